"""All pages of a file as one document."""

from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from loaders.document import Element
from loaders.errors import DocumentEncrypted, EmptyDocument, UnreadableDocument
from loaders.formats.content import Content
from loaders.formats.pdf.continued_tables import with_headers
from loaders.formats.pdf.forms import refuse_endless_forms
from loaders.formats.pdf.layers import Layers
from loaders.formats.pdf.outline import read_outline
from loaders.formats.pdf.pages import PageText, damaged_page, read_page
from loaders.formats.pdf.repair import repair
from loaders.formats.pdf.running_lines import drop_running_lines
from loaders.formats.pdf.sizes import HeadingSizes
from loaders.formats.pdf.structure import to_elements, with_bookmarks
from loaders.work import work_in_hand

_SAMPLE_POINTS = 100
_LOCKED = frozenset({pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY})
"""It asks for a password, or for what only another program has."""


def load(data: bytes) -> Content:
    """The text of every page, and of pictures of pages what can be made out on them.

    Raises:
        DocumentEncrypted: it asks for a password.
        UnreadableDocument: it is damaged beyond repair.
        EmptyDocument: there are no words on any page.
        LoaderLimit: it has more pages, or more scanned ones, than are read.
    """
    refuse_endless_forms(data)
    try:
        content = _read(data)
    except pdfium.PdfiumError as exc:
        if exc.err_code in _LOCKED:
            raise DocumentEncrypted("the PDF is protected by a password") from exc
        content = _read_repaired(data)
    if not content.elements:
        raise EmptyDocument("no words can be made out on any page of the PDF")
    return content


def warm_up() -> None:
    """Draw a page, so that what is loaded on first use is there."""
    document = pdfium.PdfDocument.new()
    document.new_page(_SAMPLE_POINTS, _SAMPLE_POINTS)
    sample = BytesIO()
    document.save(sample)
    document.close()
    with suppress(EmptyDocument):
        load(repair(sample.getvalue()))


def _read_repaired(data: bytes) -> Content:
    try:
        return _read(repair(data))
    except DocumentEncrypted:
        raise
    except (pdfium.PdfiumError, UnreadableDocument):
        pass  # what is not damaged can be read all the same
    try:
        return _read(data, leave_out=True)
    except pdfium.PdfiumError as exc:
        raise UnreadableDocument("the PDF is damaged") from exc


def _read(data: bytes, *, leave_out: bool = False) -> Content:
    """All pages; those that are damaged are left out if that is asked for, which is said there."""
    document = pdfium.PdfDocument(data)
    try:
        document.init_forms()
        work = work_in_hand()
        layers = Layers(data)
        work.begin(len(document))
        pages = []
        damaged = 0
        for index in range(len(document)):
            try:
                pages.append(read_page(document, index, layers))
            except pdfium.PdfiumError:
                damaged += 1
                if not leave_out or damaged == len(document):
                    raise
                pages.append(damaged_page(index))
            work.finish_page()
        return Content(
            title=document.get_metadata_value("Title").strip() or None,
            pages=len(document),
            elements=list(with_headers(_elements(document, pages))),
        )
    finally:
        document.close()


def _elements(document: pdfium.PdfDocument, pages: list[PageText]) -> Iterator[list[Element]]:
    outline = read_outline(document)
    deepest = max((each.level for marks in outline.values() for each in marks), default=0)
    lines = drop_running_lines([page.lines for page in pages])
    sizes = HeadingSizes(lines, below=deepest)
    for number, (page, page_lines) in enumerate(zip(pages, lines, strict=True), start=1):
        bookmarks = outline.get(number, ())
        if page.recognised:
            yield with_bookmarks(page.recognised, page=number, bookmarks=bookmarks)
        else:
            yield list(to_elements(page_lines, page=number, sizes=sizes, bookmarks=bookmarks))
