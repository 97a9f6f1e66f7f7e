"""Workbooks of Excel 97 to 2003, read with calamine: no other library reads and is kept up.

calamine allocates a cell for every place between the first and the last, so the places are counted
before. It does not tell number formats: figures come without percent signs and currencies.
"""

import datetime as dt
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import olefile  # type: ignore[import-untyped]
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from loaders.document import Element
from loaders.errors import DocumentEncrypted, LoaderLimit, UnreadableDocument
from loaders.formats.content import Content
from loaders.formats.grid import CellBudget, Grid
from loaders.formats.number_formats import show_date, show_general
from loaders.formats.sheet_tables import sheet_elements

MAX_PLACES = 8_000_000
_DAMAGED = "the old Excel workbook is damaged"
_BROKEN_OLE = (OSError, ValueError, IndexError, KeyError, TypeError, struct.error)
_RECORD = struct.Struct("<HH")
_PLACE = struct.Struct("<HH")
_EXTENT = struct.Struct("<IIHH")
_BEGIN, _DIMENSIONS, _PASSWORD = 0x0809, 0x0200, 0x002F
_CELLS = frozenset({0x0006, 0x0201, 0x0203, 0x0204, 0x0205, 0x027E, 0x00FD, 0x00D6})
_CELL_RUNS = frozenset({0x00BD, 0x00BE})

_Value = int | float | str | bool | dt.date | dt.time | dt.timedelta


def load(data: bytes) -> Content:
    """The sheets in order, hidden ones left out.

    Raises:
        DocumentEncrypted: it asks for a password.
        UnreadableDocument: it is damaged.
        LoaderLimit: its cells are too many or too far apart.
    """
    _check_places(_read_stream(data))
    budget = CellBudget()
    elements: list[Element] = []
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as book:
            for sheet in book.sheets_metadata:
                if (
                    sheet.typ is SheetTypeEnum.WorkSheet
                    and sheet.visible is SheetVisibleEnum.Visible
                ):
                    grid = _grid(book.get_sheet_by_name(sheet.name), budget)
                    elements.extend(sheet_elements(sheet.name, grid))
    except CalamineError as exc:
        raise UnreadableDocument(_DAMAGED) from exc
    except BaseException as exc:
        # A panic of Rust code is no `Exception`.
        if type(exc).__name__ == "PanicException":
            raise UnreadableDocument(_DAMAGED) from exc
        raise
    return Content(elements=elements)


def _grid(sheet: CalamineSheet, budget: CellBudget) -> Grid:
    grid = Grid(budget)
    row = 0
    for row, values in enumerate(sheet.iter_rows(), start=sheet.start[0] if sheet.start else 0):
        shown = ((column, _show(value)) for column, value in enumerate(values))
        grid.put_row(row, {column: text for column, text in shown if text and not text.isspace()})
    first_column = sheet.start[1] if sheet.start else 0
    for (first, column), (last, _) in sheet.merged_cell_ranges or ():
        grid.repeat_down(first, column - first_column, min(last, row))
    return grid


def _show(value: _Value) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, str):
        return value
    return show_general(value) if isinstance(value, (int, float)) else show_date(value)


def _read_stream(data: bytes) -> bytes:
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as container:
            name = "Workbook" if container.exists("Workbook") else "Book"
            return bytes(container.openstream(name).read())
    except _BROKEN_OLE as exc:
        raise UnreadableDocument(_DAMAGED) from exc


@dataclass(kw_only=True)
class _Extent:
    """The places between the first and the last cell of a sheet."""

    top: int = 0xFFFFFFFF
    bottom: int = -1
    left: int = 0xFFFF
    right: int = -1
    declared: int = 0

    def include(self, row: int, first: int, last: int) -> None:
        self.top, self.bottom = min(self.top, row), max(self.bottom, row)
        self.left, self.right = min(self.left, first), max(self.right, last)

    @property
    def places(self) -> int:
        found = (self.bottom - self.top + 1) * (self.right - self.left + 1)
        return max(self.declared, found if self.bottom >= 0 else 0)


def _check_places(stream: bytes) -> None:
    sheets = [_Extent()]
    for kind, content in _records(stream):
        if kind == _PASSWORD:
            raise DocumentEncrypted("the workbook is protected by a password")
        if kind == _BEGIN:
            sheets.append(_Extent())
        elif kind == _DIMENSIONS and len(content) >= _EXTENT.size:
            top, bottom, left, right = _EXTENT.unpack_from(content)
            sheets[-1].declared = max(0, bottom - top + 1) * max(0, right - left + 1)
        elif kind in _CELLS and len(content) >= _PLACE.size:
            row, column = _PLACE.unpack_from(content)
            sheets[-1].include(row, column, column)
        elif kind in _CELL_RUNS and len(content) > _PLACE.size:
            row, column = _PLACE.unpack_from(content)
            sheets[-1].include(row, column, int.from_bytes(content[-2:], "little"))
    if sum(sheet.places for sheet in sheets) > MAX_PLACES:
        raise LoaderLimit("the workbook's cells are too many, or too far apart")


def _records(stream: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + _RECORD.size <= len(stream):
        kind, length = _RECORD.unpack_from(stream, position)
        position += _RECORD.size
        yield kind, stream[position : position + length]
        position += length
