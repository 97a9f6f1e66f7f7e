"""Parts of lines, and the cells of tables that they are in."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loaders.formats.pdf.characters import Characters

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, kw_only=True, order=True)
class Place:
    """A cell; each number is counted from 0."""

    table: int
    row: int
    column: int


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A run of letters on one line, and the cell that it is in, if it is in any."""

    start: int
    end: int
    place: Place | None = None


def words(characters: Characters, piece: Piece) -> Iterator[Piece]:
    """The words of a piece."""
    for match in _WORD.finditer(characters.text, piece.start, piece.end):
        yield Piece(start=match.start(), end=match.end())


def split(
    characters: Characters, line: Piece, place_of: Callable[[int], Place | None]
) -> list[Piece]:
    """The line in pieces of which each is in one cell, or in none; no word is cut."""
    pieces: list[Piece] = []
    for word in words(characters, line):
        place = place_of(word.start)
        if pieces and pieces[-1].place == place:
            pieces[-1] = Piece(start=pieces[-1].start, end=word.end, place=place)
        else:
            pieces.append(Piece(start=word.start, end=word.end, place=place))
    return [line] if all(each.place is None for each in pieces) else pieces
