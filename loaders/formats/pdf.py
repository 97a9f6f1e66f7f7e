"""PDF with text in it, page by page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from loaders.document import Element, ElementKind
from loaders.errors import DocumentEncrypted, EmptyDocument, UnreadableDocument
from loaders.formats.paragraphs import join_lines

_HYPHENATED = re.compile("[\u0002\ufffe\u00ad]\n?")


@dataclass(frozen=True, kw_only=True)
class PdfContent:
    """The text of a PDF."""

    title: str | None
    pages: int
    elements: list[Element]


def load(data: bytes) -> PdfContent:
    """The text of every page that has some.

    Raises:
        DocumentEncrypted: it asks for a password.
        UnreadableDocument: it is damaged beyond repair.
        EmptyDocument: there is no text, as on scanned pages.
    """
    try:
        document = pdfium.PdfDocument(data)
        try:
            content = PdfContent(
                title=document.get_metadata_value("Title").strip() or None,
                pages=len(document),
                elements=list(_elements(document)),
            )
        finally:
            document.close()
    except pdfium.PdfiumError as exc:
        if exc.err_code == pdfium_c.FPDF_ERR_PASSWORD:
            raise DocumentEncrypted("the PDF is protected by a password") from exc
        raise UnreadableDocument("the PDF is damaged") from exc
    if not content.elements:
        raise EmptyDocument(
            "the PDF holds no text; if its pages are scanned, they cannot be read yet"
        )
    return content


def _elements(document: pdfium.PdfDocument) -> Iterator[Element]:
    for index in range(len(document)):
        for paragraph in join_lines(_page_text(document, index)):
            yield Element(kind=ElementKind.TEXT, text=paragraph, page=index + 1)


def _page_text(document: pdfium.PdfDocument, index: int) -> str:
    page = document[index]
    try:
        _remove_invisible(page)
        text_page = page.get_textpage()
        try:
            text: str = text_page.get_text_bounded()
        finally:
            text_page.close()
    finally:
        page.close()
    return _HYPHENATED.sub("", text.replace("\r\n", "\n").replace("\x00", ""))


def _remove_invisible(page: pdfium.PdfPage) -> None:
    """Take out text that is not painted, which can carry orders to the model.

    On a scanned page the recognised words lie unpainted over the picture: there they are the text,
    so they stay where they outnumber what is painted.
    """
    painted, unpainted = 0, []
    for text in page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_TEXT], max_depth=1):
        mode = pdfium_c.FPDFTextObj_GetTextRenderMode(text.raw)
        if mode in {pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium_c.FPDF_TEXTRENDERMODE_CLIP}:
            unpainted.append(text)
        else:
            painted += 1
    if painted >= len(unpainted):
        for text in unpainted:
            page.remove_obj(text)
