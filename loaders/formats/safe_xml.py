"""XML that declares nothing, includes nothing, fetches nothing and is not too large to hold.

Nesting is limited by libxml2 itself to 256 levels, one text to ten million bytes.
"""

import re
from collections.abc import Iterator
from typing import IO, Any

from lxml import etree  # type: ignore[import-untyped]

from loaders.errors import LoaderError, LoaderLimit, UnreadableDocument
from loaders.formats.archive import Archive

XmlElement = Any
"""An element of lxml, which tells no types."""

MAX_TAGS = 3_000_000
"""Opening and closing tags of one part; as a tree, they take half of the memory there is."""
MAX_TAGS_AT_ONCE = 1_000_000
"""Of a part that is read piece by piece; the widest row of a sheet takes a tenth of it."""

_DECLARATION = b"<!DOCTYPE"
_NO_DECLARATIONS = "the file declares its own kind of XML, which is not read"
_DAMAGED = "the file's XML is damaged"
_READ_BYTES = 64 * 1024
_WIDE_STARTS = (b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<")
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/(main|relationships|chart|diagram)")
_STRICT_HEAD_BYTES = 4096


def parse_part(archive: Archive, name: str) -> XmlElement:
    """A part of an archive as a tree.

    Raises:
        UnreadableDocument: it is not there, no XML, nested too deeply, or declares something.
        LoaderLimit: it is too large.
    """
    return parse(archive.read(name))


def parse(data: bytes) -> XmlElement:
    """XML as a tree; the strict dialect of office documents as the common one.

    Raises:
        UnreadableDocument: it is no XML, nested too deeply, or declares something.
        LoaderLimit: it is too large.
    """
    if data.count(b"<") > MAX_TAGS:
        raise LoaderLimit("the file holds too many pieces of text")
    if data.startswith(_WIDE_STARTS):
        raise UnreadableDocument("the file's XML is in an encoding that is not read")
    if _DECLARATION in data:
        raise UnreadableDocument(_NO_DECLARATIONS)
    if _STRICT.search(data[:_STRICT_HEAD_BYTES]):
        data = _STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006/\2", data)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True,
        remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as exc:
        raise _told(exc) from exc
    _refuse_declarations(root)
    return root


def iterate(source: IO[bytes], *tags: str) -> Iterator[XmlElement]:
    """The elements of these names, whatever their namespace; each is gone when the next comes.

    Raises:
        UnreadableDocument: it is no XML, nested too deeply, or declares something.
        LoaderLimit: one of them is too large.
    """
    stream = _Metered(source)
    pieces = etree.iterparse(
        stream, events=("end",), tag=[f"{{*}}{tag}" for tag in tags],
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True,
        remove_pis=True,
    )  # fmt: skip
    try:
        for _, element in pieces:
            _refuse_declarations(element)
            yield element
            element.clear()
            parent = element.getparent()
            while parent is not None and element.getprevious() is not None:
                del parent[0]
            stream.renew()
    except etree.XMLSyntaxError as exc:
        raise _told(exc) from exc


def local_name(element: XmlElement) -> str:
    """An element's name without its namespace; empty for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _told(error: etree.XMLSyntaxError) -> LoaderError:
    """libxml2 tells that it has no memory left as it tells all else."""
    if error.code == etree.ErrorTypes.ERR_NO_MEMORY:
        return LoaderLimit("reading the file takes more memory than allowed")
    return UnreadableDocument(_DAMAGED)


def _refuse_declarations(element: XmlElement) -> None:
    if element.getroottree().docinfo.internalDTD is not None:
        raise UnreadableDocument(_NO_DECLARATIONS)


class _Metered:
    """A stream that ends in an error when too much comes between two elements."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._tags = 0
        self._tail = b""

    def read(self, _size: int = -1) -> bytes:
        data = self._source.read(_READ_BYTES)
        self._tags += data.count(b"<")
        if self._tags > MAX_TAGS_AT_ONCE:
            raise LoaderLimit("a piece of the file is too large")
        if _DECLARATION in self._tail + data:
            raise UnreadableDocument(_NO_DECLARATIONS)
        self._tail = data[-len(_DECLARATION) :]
        return data

    def renew(self) -> None:
        self._tags = 0
