"""Rows of a ruled table that no rule keeps apart: those of columns of short texts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean

from loaders.formats.pdf.characters import Characters
from loaders.formats.pdf.pieces import Piece, Place

_FEWEST_LEVELS = 3
_FEWEST_COLUMNS = 2
_MOST_CHARS_ON_AVERAGE = 12
_SAME_LEVEL = 0.4
_MOST_LEVELS = 10_000


def split_rows(
    characters: Characters, lines: Sequence[list[Piece]], *, first_table: int
) -> list[list[Piece]]:
    """The pieces, with the rows of this table and all after it counted anew.

    Where the texts of a row's cells stand side by side line for line, and are too short to be
    paragraphs, each line is a row.
    """
    rows: dict[tuple[int, int], list[tuple[Piece, Place]]] = defaultdict(list)
    for line in lines:
        for piece in line:
            if piece.place is not None and piece.place.table >= first_table:
                rows[piece.place.table, piece.place.row].append((piece, piece.place))
    levels: dict[int, int] = {}
    for pieces in rows.values():
        levels.update(_levels(characters, pieces))
    return [[_counted_anew(piece, levels) for piece in line] for line in lines]


def _counted_anew(piece: Piece, levels: Mapping[int, int]) -> Piece:
    if piece.place is None:
        return piece
    row = piece.place.row * _MOST_LEVELS + levels.get(piece.start, 0)
    return replace(piece, place=replace(piece.place, row=row))


def _levels(characters: Characters, pieces: Sequence[tuple[Piece, Place]]) -> dict[int, int]:
    """By where a piece starts, which line of its row it is on; none if the row is one."""
    if mean(piece.end - piece.start for piece, _ in pieces) > _MOST_CHARS_ON_AVERAGE:
        return {}
    boxes = {piece.start: characters.box(piece.start) for piece, _ in pieces}
    levels: dict[int, int] = {}
    last, level = None, -1
    for start, (_, bottom, _, top) in sorted(boxes.items(), key=lambda each: -each[1][3]):
        if last is None or last - top > _SAME_LEVEL * (top - bottom):
            last, level = top, level + 1
        levels[start] = level
    columns: dict[int, set[int]] = defaultdict(set)
    for piece, place in pieces:
        columns[levels[piece.start]].add(place.column)
    first = min(place.column for _, place in pieces)
    is_aligned = all(len(each) >= _FEWEST_COLUMNS and first in each for each in columns.values())
    is_split = _FEWEST_LEVELS <= len(columns) <= _MOST_LEVELS and is_aligned
    return levels if is_split else {}
