"""Tables that a file names itself, in the tree of its structure."""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from loaders.formats.pdf.painting import Drawn
from loaders.formats.pdf.pieces import Place

_DEEPEST = 40
_MOST_ELEMENTS = 20_000
_LONGEST_NAME_BYTES = 64
_CELLS = frozenset({"TD", "TH"})


def find_tagged(page: pdfium.PdfPage, drawn: Sequence[Drawn]) -> Mapping[int, Place]:
    """For each object that draws letters of a table's cell, by its address, which cell it is."""
    tree = pdfium_c.FPDF_StructTree_GetForPage(page)
    if not tree:
        return {}
    try:
        cells = _Walk().cells(tree)
    finally:
        pdfium_c.FPDF_StructTree_Close(tree)
    if not cells:
        return {}
    # In a form the numbers begin anew.
    texts = [each for each in drawn if each.is_text and not each.is_in_form]
    return {
        each.address: cells[number] for each in texts if (number := each.marked_content) in cells
    }


class _Walk:
    """One way through the tree, which the file may have made endless."""

    def __init__(self) -> None:
        self._left = _MOST_ELEMENTS

    def cells(self, tree: Any) -> dict[int, Place]:
        """By the number of the content, which cell of which table it is in."""
        roots = [
            pdfium_c.FPDF_StructTree_GetChildAtIndex(tree, index)
            for index in range(pdfium_c.FPDF_StructTree_CountChildren(tree))
        ]
        found: dict[int, Place] = {}
        tables = (table for root in roots for table in self._named(root, "Table", 0))
        for table, element in enumerate(tables):
            for row, line in enumerate(self._named(element, "TR", 0)):
                for column, cell in enumerate(self._cells(line)):
                    for number in self._contents(cell, 0):
                        found[number] = Place(table=table, row=row, column=column)
        return found

    def _named(self, element: Any, name: str, depth: int) -> Iterator[Any]:
        if not self._may_visit(element, depth):
            return
        if _name(element) == name:
            yield element
            return
        for child in _children(element):
            yield from self._named(child, name, depth + 1)

    def _cells(self, line: Any) -> Iterator[Any]:
        return (each for each in _children(line) if each and _name(each) in _CELLS)

    def _contents(self, element: Any, depth: int) -> Iterator[int]:
        if not self._may_visit(element, depth):
            return
        for index in range(pdfium_c.FPDF_StructElement_GetMarkedContentIdCount(element)):
            number = pdfium_c.FPDF_StructElement_GetMarkedContentIdAtIndex(element, index)
            if number >= 0:
                yield number
        for child in _children(element):
            yield from self._contents(child, depth + 1)

    def _may_visit(self, element: Any, depth: int) -> bool:
        self._left -= 1
        return bool(element) and self._left > 0 and depth < _DEEPEST


def _children(element: Any) -> Iterator[Any]:
    for index in range(pdfium_c.FPDF_StructElement_CountChildren(element)):
        yield pdfium_c.FPDF_StructElement_GetChildAtIndex(element, index)


def _name(element: Any) -> str:
    buffer = ctypes.create_string_buffer(_LONGEST_NAME_BYTES)
    length = pdfium_c.FPDF_StructElement_GetType(element, buffer, len(buffer))
    return buffer.raw[: max(length - 2, 0)].decode("utf-16-le", "replace")
