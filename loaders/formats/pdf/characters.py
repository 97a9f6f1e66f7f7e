"""The letters of a page as pdfium counts them, and where each stands."""

import ctypes
from dataclasses import dataclass

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from loaders.formats.pdf.painting import Box, turn

_NOT_MAPPED = 0xFFFD
_CODE_UNIT_BYTES = 2


@dataclass(frozen=True, kw_only=True)
class Characters:
    """All letters of one page; a place in the text leads to a place on the page."""

    text: str
    text_page: pdfium.PdfTextPage
    turned: int
    """By how many degrees the page is shown turned clockwise."""

    def box(self, index: int) -> Box:
        """The room that a letter takes up, with what its font keeps free above and below it."""
        found = pdfium_c.FS_RECTF()
        pdfium_c.FPDFText_GetLooseCharBox(self.text_page, index, found)
        box = found.left, found.bottom, found.right, found.top
        return turn(box, self.turned) if self.turned else box

    def drawn_by(self, index: int) -> int | None:
        """The address of the object that draws a letter; None where none does."""
        handle = pdfium_c.FPDFText_GetTextObject(self.text_page, index)
        return ctypes.addressof(handle.contents) if handle else None


def read_characters(text_page: pdfium.PdfTextPage, *, turned: int) -> Characters:
    """One for each that pdfium counts."""
    handle, count = text_page.raw, text_page.count_chars()
    buffer = (ctypes.c_ushort * (count + 1))()
    written = pdfium_c.FPDFText_GetText(handle, 0, count, buffer) - 1
    text = bytes(buffer)[: written * _CODE_UNIT_BYTES].decode("utf-16-le", "replace")
    if len(text) != count:
        # Some have no Unicode, or take two units of it: then they are asked for one by one.
        text = "".join(
            chr(pdfium_c.FPDFText_GetUnicode(handle, index) or _NOT_MAPPED)
            for index in range(count)
        )
    return Characters(text=text, text_page=text_page, turned=turned)
