"""Tables without rules: short texts below each other, with gaps that run through all rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from loaders.formats.pdf.characters import Characters
from loaders.formats.pdf.pieces import Piece, Place, words

_FEWEST_ROWS = 3
_FEWEST_GAPS = 2
_MOST_COLUMNS = 50
_GAP = 0.9
"""As a share of the height of the line; words stand closer together, but for a few."""
_NARROWEST_CHANNEL = 0.4
_LOOSE = 0.55
"""How much of a line's width a letter takes at most, as a share of the line's height; mostly."""
_SURELY = 0.8
_FEWEST_CHARS_MEASURED = 20
_SAME_LINE = 0.4
_FARTHEST_ROW = 3.0
_FARTHEST_HEADER = 4.5
_MOST_HEADER_LINES = 20
_MOST_LOOSE_LINES = 3
_OTHER_SIZE = 1.2
_MOST_CHARS_A_CELL = 25

Gap = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A line, in the parts that wide gaps make of it."""

    index: int
    """Which of the lines it is."""
    parts: list[Piece]
    extents: list[Gap]
    """From where to where each part goes."""
    top: float
    height: float

    @property
    def chars(self) -> int:
        return self.parts[-1].end - self.parts[0].start

    @property
    def spacing(self) -> float:
        """How wide the line is for each of its letters, as a share of its height."""
        return (self.extents[-1][1] - self.extents[0][0]) / (self.height * self.chars)

    @property
    def is_full(self) -> bool:
        return _FEWEST_GAPS < len(self.parts) <= _MOST_COLUMNS

    def is_beside(self, other: "_Row") -> bool:
        return abs(self.top - other.top) < _SAME_LINE * self.height

    def is_near(self, other: "_Row") -> bool:
        return abs(self.top - other.top) <= _FARTHEST_ROW * self.height and not (
            self.height > _OTHER_SIZE * other.height or other.height > _OTHER_SIZE * self.height
        )


@dataclass(kw_only=True)
class _Group:
    """Lines that may be rows of one table."""

    rows: list[_Row]
    channels: list[Gap] = field(default_factory=list)
    """What no part of any row reaches into."""

    def takes(self, row: _Row) -> bool:
        """Add the row, if it leaves gaps where the others do."""
        channels = _free(self.channels, row)
        if len(channels) < _FEWEST_GAPS:
            return False
        # The gaps of the first rows may be chance, one that runs through many is not.
        is_open = row.is_full and len(self.rows) < _FEWEST_ROWS
        if len(channels) < len(self.channels) and not is_open:
            return False
        if not (row.is_near(self.rows[-1]) and self._may_follow(row)):
            return False
        self.rows.append(row)
        self.channels = channels
        return True

    def is_table(self) -> bool:
        full = [row for row in self.rows if row.is_full]
        chars = sum(each.end - each.start for row in full for each in row.parts)
        parts = sum(len(row.parts) for row in full)
        return len(full) >= _FEWEST_ROWS and chars <= _MOST_CHARS_A_CELL * parts

    def trim(self) -> None:
        """Leave out what follows the last full row and is not beside it."""
        last = max(number for number, row in enumerate(self.rows) if row.is_full)
        end = last + 1
        while end < len(self.rows) and self.rows[end].is_beside(self.rows[last]):
            end += 1
        del self.rows[end:]

    def column(self, extent: Gap) -> int:
        return sum((gap[0] + gap[1]) / 2 <= (extent[0] + extent[1]) / 2 for gap in self.channels)

    def _may_follow(self, row: _Row) -> bool:
        last = self.rows[-1]
        recent = self.rows[-_MOST_LOOSE_LINES:]
        if row.top > last.top and not any(row.is_beside(each) for each in recent):
            return False
        return row.is_full or len(recent) < _MOST_LOOSE_LINES or any(r.is_full for r in recent)


def find_columns(
    characters: Characters, lines: Sequence[Piece], *, first_table: int
) -> dict[int, list[Piece]]:
    """By the number of the line, its cells, for all lines that are rows of tables."""
    rows = _rows(characters, lines)
    found: dict[int, list[Piece]] = {}
    position = 0
    table = first_table
    while position < len(rows):
        group = _group_from(rows, position)
        position += 1
        if group is None:
            continue
        position = group.rows[-1].index + 1
        if group.is_table():
            found.update(_cells(group, _header(rows, group, found), table))
            table += 1
    return found


def _group_from(rows: Sequence[_Row], position: int) -> _Group | None:
    first = rows[position]
    if not first.is_full:
        return None
    group = _Group(rows=[first], channels=_gaps(first))
    following = range(position + 1, len(rows))
    while following and group.takes(rows[following[0]]):
        following = following[1:]
    group.trim()
    return group if len(group.rows) > 1 else None


def _header(rows: Sequence[_Row], group: _Group, taken: dict[int, list[Piece]]) -> list[_Row]:
    """The lines before the first row that are heads of its columns, broken as they may be."""
    first = group.rows[0]
    head: list[_Row] = []
    for row in reversed(rows[max(first.index - _MOST_HEADER_LINES, 0) : first.index]):
        rise = (row.top - first.top) / first.height
        fits = len(_free(group.channels, row)) == len(group.channels)
        size = row.height / first.height
        if row.index in taken or not (
            fits and 0 < rise <= _FARTHEST_HEADER and 1 / _OTHER_SIZE < size < _OTHER_SIZE
        ):
            break
        head.insert(0, row)
    columns = {group.column(extent) for row in head for extent in row.extents}
    return head if len(columns) >= _FEWEST_GAPS else []


def _cells(group: _Group, head: Sequence[_Row], table: int) -> Iterator[tuple[int, list[Piece]]]:
    number = 0
    current: list[_Row] = []
    for row in [*head, *group.rows]:
        starts = row.is_full or (len(row.parts) > 1 and group.column(row.extents[0]) == 0)
        is_in_head = row.index < group.rows[0].index
        goes_on = any(row.is_beside(each) for each in current) and row is not group.rows[0]
        if current and (row is group.rows[0] or (starts and not is_in_head and not goes_on)):
            number += 1
            current = []
        current.append(row)
        yield (
            row.index,
            [
                Piece(
                    start=part.start,
                    end=part.end,
                    place=Place(table=table, row=number, column=group.column(extent)),
                )
                for part, extent in zip(row.parts, row.extents, strict=True)
            ],
        )


def _rows(characters: Characters, lines: Sequence[Piece]) -> list[_Row]:
    """The lines, those that are wider than their words in their parts; none if no table can be."""
    rows = [_row(characters, line, index) for index, line in enumerate(lines)]
    spacings = sorted(row.spacing for row in rows if row.chars >= _FEWEST_CHARS_MEASURED)
    usual = min(spacings[len(spacings) // 4] if spacings else _LOOSE, _LOOSE)
    loose = [(row.spacing - usual) * row.chars >= _FEWEST_GAPS * _GAP * _SURELY for row in rows]
    if sum(loose) < _FEWEST_ROWS:
        return []
    return [
        _with_parts(characters, row) if is_loose else row
        for row, is_loose in zip(rows, loose, strict=True)
    ]


def _row(characters: Characters, line: Piece, index: int) -> _Row:
    text = characters.text[line.start : line.end]
    start = line.start + len(text) - len(text.lstrip())
    end = line.start + len(text.rstrip())
    left, bottom, right, top = characters.box(start)
    last = characters.box(end - 1)
    return _Row(
        index=index,
        parts=[Piece(start=start, end=end)],
        extents=[(min(left, last[0]), max(right, last[2]))],
        top=top,
        height=max(top - bottom, 1.0),
    )


def _with_parts(characters: Characters, row: _Row) -> _Row:
    parts, extents = _parts(characters, row.parts[0], row.height)
    return replace(row, parts=parts, extents=extents)


def _parts(characters: Characters, line: Piece, height: float) -> tuple[list[Piece], list[Gap]]:
    parts: list[Piece] = []
    extents: list[Gap] = []
    for word in words(characters, line):
        left = characters.box(word.start)[0]
        right = characters.box(word.end - 1)[2]
        if parts and left - extents[-1][1] < _GAP * height:
            parts[-1] = Piece(start=parts[-1].start, end=word.end)
            extents[-1] = (min(extents[-1][0], left), max(extents[-1][1], right))
        else:
            parts.append(word)
            extents.append((left, right))
    return parts, extents


def _gaps(row: _Row) -> list[Gap]:
    return [(before[1], after[0]) for before, after in pairwise(row.extents)]


def _free(channels: Sequence[Gap], row: _Row) -> list[Gap]:
    """What the row leaves free of each channel, where that is wide enough."""
    narrowest = _NARROWEST_CHANNEL * row.height
    kept = []
    for start, end in channels:
        for left, right in row.extents:
            if right <= start or left >= end:
                continue
            start, end = (right, end) if end - right >= left - start else (start, left)
        if end - start >= narrowest:
            kept.append((start, end))
    return kept
