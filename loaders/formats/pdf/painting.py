"""What is drawn on a page, object by object."""

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

Box = tuple[float, float, float, float]
"""Left, bottom, right, top; in points from the lower left corner."""
Point = tuple[float, float]

_DEEPEST_FORM = 8
_MOST_SEGMENTS = 500
_UNPAINTED = frozenset({pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium_c.FPDF_TEXTRENDERMODE_CLIP})
_FILLED = frozenset({pdfium_c.FPDF_TEXTRENDERMODE_FILL, pdfium_c.FPDF_TEXTRENDERMODE_FILL_CLIP})
_LOWEST_OPACITY = 13
_BITS_OF_COLOUR = 24
_LIGHTEST = 250
_UNTURNED = pdfium.PdfMatrix()


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One object of a page, those inside forms included."""

    handle: Any
    """As pdfium knows it."""
    kind: int
    box: Box
    matrix: pdfium.PdfMatrix
    """From its own coordinates to the page's."""

    @property
    def is_text(self) -> bool:
        """Whether it is letters."""
        return self.kind == int(pdfium_c.FPDF_PAGEOBJ_TEXT)

    @property
    def is_picture(self) -> bool:
        """Whether it is made of dots."""
        return self.kind == int(pdfium_c.FPDF_PAGEOBJ_IMAGE)

    @property
    def is_in_form(self) -> bool:
        """Whether it is part of a form that is drawn on the page, not of the page itself."""
        return self.matrix is not _UNTURNED

    @property
    def is_painted(self) -> bool:
        """Whether a text is drawn at all; the words of a recognised scan are not."""
        return pdfium_c.FPDFTextObj_GetTextRenderMode(self.handle) not in _UNPAINTED

    @property
    def is_filled(self) -> bool:
        """Whether a text is drawn in the colour that fills it."""
        return pdfium_c.FPDFTextObj_GetTextRenderMode(self.handle) in _FILLED

    @property
    def is_transparent(self) -> bool:
        """Whether what fills it lets everything through."""
        return self._fill()[3] < _LOWEST_OPACITY

    @property
    def is_white(self) -> bool:
        """Whether it is filled with the colour of paper."""
        return min(self._fill()[:3]) >= _LIGHTEST

    @property
    def hides_paper(self) -> bool:
        """Whether white text could be read on it."""
        if self.kind != pdfium_c.FPDF_PAGEOBJ_PATH:
            return not self.is_text
        mode, stroke = ctypes.c_int(), ctypes.c_int()
        pdfium_c.FPDFPath_GetDrawMode(self.handle, mode, stroke)
        return bool(mode.value) and not self.is_white

    @property
    def is_seen(self) -> bool:
        """Whether a path is drawn at all; some only cut off what goes beyond them."""
        filled, stroked = ctypes.c_int(), ctypes.c_int()
        pdfium_c.FPDFPath_GetDrawMode(self.handle, filled, stroked)
        return bool(filled.value or stroked.value)

    def strokes(self) -> Iterator[tuple[Point, Point]]:
        """The straight lines of a path that has few of them; a drawing has many."""
        count = pdfium_c.FPDFPath_CountSegments(self.handle)
        if count > _MOST_SEGMENTS:
            return
        matrix = _matrix(self.handle).multiply(self.matrix)
        start = last = (0.0, 0.0)
        x, y = ctypes.c_float(), ctypes.c_float()
        for index in range(count):
            segment = pdfium_c.FPDFPath_GetPathSegment(self.handle, index)
            pdfium_c.FPDFPathSegment_GetPoint(segment, x, y)
            here: Point = matrix.on_point(x.value, y.value)
            kind = pdfium_c.FPDFPathSegment_GetType(segment)
            if kind == pdfium_c.FPDF_SEGMENT_MOVETO:
                start = here
            elif kind == pdfium_c.FPDF_SEGMENT_LINETO:
                yield last, here
            last = here
            if pdfium_c.FPDFPathSegment_GetClose(segment):
                yield last, start

    def picture_bytes(self, page: pdfium.PdfPage) -> int:
        """What a picture on this page takes when it is unpacked."""
        described = pdfium_c.FPDF_IMAGEOBJ_METADATA()
        pdfium_c.FPDFImageObj_GetImageMetadata(self.handle, page, described)
        bits = described.bits_per_pixel or _BITS_OF_COLOUR
        return int(described.width * described.height * bits // 8)

    @property
    def marked_content(self) -> int:
        """The number by which the structure of the file knows it; -1 if it does not."""
        return int(pdfium_c.FPDFPageObj_GetMarkedContentID(self.handle))

    @property
    def address(self) -> int:
        """What tells it from all others."""
        return ctypes.addressof(self.handle.contents)

    @property
    def letter_points(self) -> float:
        """How large the letters of a text are."""
        size = ctypes.c_float()
        pdfium_c.FPDFTextObj_GetFontSize(self.handle, size)
        return abs(size.value) * _stretch(_matrix(self.handle)) * _stretch(self.matrix)

    def hide(self) -> None:
        """Have it neither read nor drawn any more."""
        pdfium_c.FPDFPageObj_SetIsActive(self.handle, False)

    def _fill(self) -> tuple[int, int, int, int]:
        red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
        if not pdfium_c.FPDFPageObj_GetFillColor(self.handle, red, green, blue, alpha):
            return 0, 0, 0, 255
        return red.value, green.value, blue.value, alpha.value


def drawn_on(page: pdfium.PdfPage) -> Iterator[Drawn]:
    """All that is drawn on a page, in the order of drawing."""
    for index in range(pdfium_c.FPDFPage_CountObjects(page)):
        yield from _drawn(pdfium_c.FPDFPage_GetObject(page, index), _UNTURNED, 0)


def overlap(one: Box, other: Box) -> float:
    """The area that two boxes have in common."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def turn(box: Box, degrees: int) -> Box:
    """A box as it lies on a page that is shown turned clockwise by so many degrees."""
    left, bottom, right, top = box
    match degrees:
        case 90:
            return bottom, -right, top, -left
        case 180:
            return -right, -top, -left, -bottom
        case 270:
            return -top, left, -bottom, right
        case _:
            return box


def _drawn(handle: Any, outer: pdfium.PdfMatrix, depth: int) -> Iterator[Drawn]:
    kind = pdfium_c.FPDFPageObj_GetType(handle)
    if kind == pdfium_c.FPDF_PAGEOBJ_FORM:
        if depth < _DEEPEST_FORM:
            inner = _matrix(handle).multiply(outer)
            for index in range(pdfium_c.FPDFFormObj_CountObjects(handle)):
                yield from _drawn(pdfium_c.FPDFFormObj_GetObject(handle, index), inner, depth + 1)
        return
    yield Drawn(handle=handle, kind=kind, box=_box(handle, outer), matrix=outer)


def _matrix(handle: Any) -> pdfium.PdfMatrix:
    raw = pdfium_c.FS_MATRIX()
    pdfium_c.FPDFPageObj_GetMatrix(handle, raw)
    return pdfium.PdfMatrix.from_raw(raw)


def _box(handle: Any, outer: pdfium.PdfMatrix) -> Box:
    sides = [ctypes.c_float() for _ in range(4)]
    pdfium_c.FPDFPageObj_GetBounds(handle, *sides)
    left, bottom, right, top = (side.value for side in sides)
    if outer is _UNTURNED:
        return left, bottom, right, top
    box: Box = outer.on_rect(left, bottom, right, top)
    return box


def _stretch(matrix: pdfium.PdfMatrix) -> float:
    return math.sqrt(abs(matrix.a * matrix.d - matrix.b * matrix.c))
