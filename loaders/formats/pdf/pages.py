"""One page: its lines, or what is recognised on its picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from loaders.document import Element, ElementKind
from loaders.formats.pdf.hidden import remove_hidden
from loaders.formats.pdf.layers import Layers
from loaders.formats.pdf.lines import Line, read_lines
from loaders.formats.pdf.painting import Box, Drawn, drawn_on
from loaders.formats.pdf.rendering import is_scan, render
from loaders.ocr.recognition import read_grey

_FEW_CHARS = 50
_WRITTEN = frozenset(
    {pdfium_c.FPDF_ANNOT_FREETEXT, pdfium_c.FPDF_ANNOT_STAMP, pdfium_c.FPDF_ANNOT_WIDGET}
)
"""What shows its text on the page, as links and remarks do not."""
_FIRST_PRIVATE, _LAST_PRIVATE = "\ue000", "\uf8ff"
_NOT_MAPPED = "\ufffd"


@dataclass(frozen=True, kw_only=True)
class PageText:
    """What a page says."""

    lines: list[Line] = field(default_factory=list)
    recognised: list[Element] = field(default_factory=list)
    """The paragraphs of a page that is a picture; there are then no lines."""


def read_page(document: pdfium.PdfDocument, index: int, layers: Layers) -> PageText:
    """The text of the page, or of its picture when the page is one.

    Args:
        document: the file.
        index: which page, counted from 0.
        layers: those of the file.

    Raises:
        pdfium.PdfiumError: the page is damaged.
        LoaderError: its picture cannot be recognised within what the file may take.
    """
    page = _open(document, index)
    try:
        drawn = list(drawn_on(page))
        paper: Box = page.get_bbox()
        scanned = is_scan(drawn, paper)
        remove_hidden(drawn, paper, layers, is_scan=scanned)
        lines = read_lines(page, drawn, is_scan=scanned)
        if _is_readable(lines, drawn, is_scan=scanned):
            return PageText(lines=[line for line in lines if line.text])
        picture, dpi = render(page, drawn)
    finally:
        page.close()
    recognised = read_grey(picture, page=index + 1, dpi=dpi)
    if recognised:
        return PageText(recognised=recognised)
    return PageText(lines=[line for line in lines if line.text])


def damaged_page(index: int) -> PageText:
    """What stands in the place of a page that cannot be read."""
    text = "(This page is damaged and could not be read.)"
    return PageText(recognised=[Element(kind=ElementKind.TEXT, text=text, page=index + 1)])


def _open(document: pdfium.PdfDocument, index: int) -> pdfium.PdfPage:
    """The page with what was written on it or filled into its form; it is no part by itself."""
    page = document[index]
    if _WRITTEN.isdisjoint(list(_annotations(page))):
        return page
    pdfium_c.FPDFPage_Flatten(page, pdfium_c.FLAT_NORMALDISPLAY)
    page.close()
    return document[index]


def _annotations(page: pdfium.PdfPage) -> Iterator[int]:
    """What kinds of things lie on the page; what only paper shows is hidden on the way."""
    for number in range(pdfium_c.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium_c.FPDFPage_GetAnnot(page, number)
        if annotation:
            if pdfium_c.FPDFAnnot_GetFlags(annotation) & pdfium_c.FPDF_ANNOT_FLAG_NOVIEW:
                pdfium_c.FPDFAnnot_SetFlags(annotation, pdfium_c.FPDF_ANNOT_FLAG_HIDDEN)
            yield pdfium_c.FPDFAnnot_GetSubtype(annotation)
            pdfium_c.FPDFPage_CloseAnnot(annotation)


def _is_readable(lines: Sequence[Line], drawn: Sequence[Drawn], *, is_scan: bool) -> bool:
    chars = "".join(line.text for line in lines)
    mapped = sum(1 for each in chars if not _is_unmapped(each))
    if is_scan:
        return mapped >= _FEW_CHARS
    if not chars:
        return not lines and all(each.is_text for each in drawn)
    # Some fonts say what their letters look like, but not which they are.
    return mapped * 2 > len(chars)


def _is_unmapped(character: str) -> bool:
    return character == _NOT_MAPPED or _FIRST_PRIVATE <= character <= _LAST_PRIVATE
