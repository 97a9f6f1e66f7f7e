"""Books: every chapter is a page of HTML, read as one.

`unstructured` needs pandoc for them, a program that is not here.
"""

import posixpath
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from loaders.document import Element, ElementKind
from loaders.encoding import decode
from loaders.errors import DocumentEncrypted, EmptyDocument, UnreadableDocument
from loaders.formats import html
from loaders.formats.archive import Archive
from loaders.formats.content import Content
from loaders.formats.safe_xml import XmlElement, parse_part

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_CHAPTERS = frozenset({"application/xhtml+xml", "text/html", "text/x-oeb1-document"})
# Fonts are often scrambled, in books that anybody may read.
_SCRAMBLED_FONTS = frozenset(
    {"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}
)
_MAX_CHAPTERS = 5_000


def load(data: bytes) -> Content:
    """The chapters in reading order, each under a heading; the book's own contents left out.

    Raises:
        DocumentEncrypted: the chapters can be read only with a key.
        UnreadableDocument: it is damaged.
    """
    archive = Archive(data)
    _refuse_encrypted(archive)
    part = _package_part(archive)
    package = parse_part(archive, part)
    title = _title(package)
    elements: list[Element] = []
    for chapter in _chapters(archive, package, posixpath.dirname(part)):
        elements.extend(_read_chapter(archive.read(chapter), title))
    return Content(elements=list(_said_once(elements)), title=title)


def _said_once(elements: Iterable[Element]) -> Iterator[Element]:
    """Without what only repeats the heading above it: title pages, names of pictures."""
    heading: Element | None = None
    for each in elements:
        if heading is not None and each.text.split() == heading.text.split():
            continue
        heading = each if each.kind is ElementKind.HEADING else None
        yield each


def _refuse_encrypted(archive: Archive) -> None:
    if _ENCRYPTION not in archive:
        return
    methods = parse_part(archive, _ENCRYPTION).iter("{*}EncryptionMethod")
    if any(method.get("Algorithm") not in _SCRAMBLED_FONTS for method in methods):
        raise DocumentEncrypted("the book is protected against copying")


def _package_part(archive: Archive) -> str:
    for root in parse_part(archive, _CONTAINER).iter("{*}rootfile"):
        path: str = root.get("full-path", "")
        if path in archive:
            return path
    raise UnreadableDocument("the book does not say what is in it")


def _title(package: XmlElement) -> str | None:
    found = package.find(".//{http://purl.org/dc/elements/1.1/}title")
    return None if found is None else " ".join((found.text or "").split()) or None


def _chapters(archive: Archive, package: XmlElement, folder: str) -> Iterator[str]:
    items = {item.get("id"): item for item in package.iter("{*}item")}
    seen: set[str] = set()
    for reference in package.iter("{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is None or item.get("media-type") not in _CHAPTERS:
            continue
        if "nav" in item.get("properties", "").split():
            continue
        part = posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        if part in archive and part not in seen and len(seen) < _MAX_CHAPTERS:
            seen.add(part)
            yield part


def _read_chapter(data: bytes, book: str | None) -> Iterator[Element]:
    """A chapter without a heading gets the page's title, unless that only names the book."""
    if not data.strip():
        return
    try:
        text = decode(data)
    except EmptyDocument:
        return
    elements = html.load(text)
    if elements and not any(each.kind is ElementKind.HEADING for each in elements):
        title = html.find_title(text)
        if title and title != book:
            yield Element(kind=ElementKind.HEADING, text=title)
    yield from elements
