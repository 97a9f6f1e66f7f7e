"""Pages as pictures, for those whose words are none but to the eye."""

import math
from collections.abc import Sequence

import pypdfium2 as pdfium
from PIL import Image

from loaders.errors import LoaderLimit
from loaders.formats.pdf.painting import Box, Drawn, overlap
from loaders.ocr.pictures import LONGEST_SIDE, MOST_GREY_PIXELS, MOST_PIXELS

_MOST_PICTURE_BYTES = MOST_PIXELS * 3
_SCAN_SHARE = 0.5
_DPI = 300
"""What Tesseract reads best."""
_POINTS_PER_INCH = 72


def is_scan(drawn: Sequence[Drawn], paper: Box) -> bool:
    """Whether pictures cover most of a page."""
    covered = sum(overlap(each.box, paper) for each in drawn if each.is_picture)
    return covered > 0 and covered >= _SCAN_SHARE * overlap(paper, paper)


def render(page: pdfium.PdfPage, drawn: Sequence[Drawn]) -> tuple[Image.Image, int]:
    """The page in grey, and how many dots of it make an inch: fewer where it is huge.

    Raises:
        LoaderLimit: a picture on it is too large; pdfium would leave it out and say nothing.
    """
    for each in drawn:
        if each.is_picture and each.picture_bytes(page) > _MOST_PICTURE_BYTES:
            raise LoaderLimit("a picture in the file is larger than allowed")
    width, height = page.get_size()
    square_inches = max(width * height, 1) / _POINTS_PER_INCH**2
    longest_inches = max(width, height, 1) / _POINTS_PER_INCH
    dpi = min(_DPI, math.sqrt(MOST_GREY_PIXELS / square_inches), LONGEST_SIDE / longest_inches)
    bitmap = page.render(scale=dpi / _POINTS_PER_INCH, grayscale=True)
    try:
        return bitmap.to_pil().copy(), math.ceil(dpi)
    finally:
        bitmap.close()
