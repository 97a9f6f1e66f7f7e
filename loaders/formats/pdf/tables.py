"""Which lines of a page, or which parts of them, are cells of tables."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from statistics import mean

import pypdfium2 as pdfium

from loaders.formats.pdf.characters import Characters
from loaders.formats.pdf.columns import find_columns
from loaders.formats.pdf.painting import Drawn
from loaders.formats.pdf.pieces import Piece, Place, split
from loaders.formats.pdf.ruled_rows import split_rows
from loaders.formats.pdf.rules import RuledTable, find_ruled
from loaders.formats.pdf.tagged import find_tagged

_FEWEST_CELLS = 4
_FEWEST_ROWS = 2
_MOST_CHARS = 1_500
_MOST_CHARS_ON_AVERAGE = 300
_MOST_TABLES = 100_000
"""More than a page can have; tells the tables of one kind from those of another."""


def find_tables(
    page: pdfium.PdfPage,
    drawn: Sequence[Drawn],
    characters: Characters,
    lines: Sequence[Piece],
    *,
    is_scan: bool,
) -> list[Piece]:
    """The lines in their order, those in tables in as many pieces as there are cells on them.

    What a file names a table is taken for one, and what is ruled like one. Where there is neither,
    columns must be plain to see. Text set in columns, forms and frames stay as they are.
    """
    split_lines: list[list[Piece]] = [[line] for line in lines]
    for place_of in _finders(page, drawn, characters):
        split_lines = [
            split(characters, line[0], place_of) if _is_whole(line) else line
            for line in split_lines
        ]
    split_lines = split_rows(
        characters, _undo_unlikely(split_lines, lines), first_table=_MOST_TABLES
    )
    # The words of a recognised scan stand where its letters are, but are not as wide.
    free = [] if is_scan else [index for index, line in enumerate(split_lines) if _is_whole(line)]
    found = find_columns(
        characters, [split_lines[index][0] for index in free], first_table=2 * _MOST_TABLES
    )
    for index, cells in found.items():
        split_lines[free[index]] = cells
    return [piece for line in split_lines for piece in line]


def _finders(
    page: pdfium.PdfPage, drawn: Sequence[Drawn], characters: Characters
) -> Iterable[Callable[[int], Place | None]]:
    tagged = find_tagged(page, drawn)
    if tagged:
        yield lambda index: _tagged_at(tagged, characters, index)
    ruled = find_ruled(drawn, turned=characters.turned)
    if ruled:
        yield lambda index: _ruled_at(ruled, characters, index)


def _tagged_at(tagged: Mapping[int, Place], characters: Characters, index: int) -> Place | None:
    address = characters.drawn_by(index)
    return None if address is None else tagged.get(address)


def _ruled_at(ruled: Sequence[RuledTable], characters: Characters, index: int) -> Place | None:
    left, bottom, right, top = characters.box(index)
    for number, table in enumerate(ruled):
        cell = table.cell_at((left + right) / 2, (bottom + top) / 2)
        if cell is not None:
            return Place(table=_MOST_TABLES + number, row=cell[0], column=cell[1])
    return None


def _is_whole(line: Sequence[Piece]) -> bool:
    return len(line) == 1 and line[0].place is None


def _undo_unlikely(split_lines: Sequence[list[Piece]], lines: Sequence[Piece]) -> list[list[Piece]]:
    chars: dict[int, dict[Place, int]] = defaultdict(lambda: defaultdict(int))
    for line in split_lines:
        for piece in line:
            if piece.place is not None:
                chars[piece.place.table][piece.place] += piece.end - piece.start
    unlikely = {table for table, cells in chars.items() if not _is_likely(cells)}
    return [
        _without(unlikely, line, whole) if unlikely else line
        for line, whole in zip(split_lines, lines, strict=True)
    ]


def _without(tables: AbstractSet[int], line: list[Piece], whole: Piece) -> list[Piece]:
    left = [
        replace(piece, place=None) if piece.place and piece.place.table in tables else piece
        for piece in line
    ]
    return [whole] if all(piece.place is None for piece in left) else left


def _is_likely(cells: Mapping[Place, int]) -> bool:
    rows = {place.row for place in cells}
    columns = {place.column for place in cells}
    return (
        len(cells) >= _FEWEST_CELLS
        and min(len(rows), len(columns)) >= _FEWEST_ROWS
        and max(cells.values()) <= _MOST_CHARS
        and mean(cells.values()) <= _MOST_CHARS_ON_AVERAGE
    )
