"""Tables that are ruled: the grid that the lines on a page make."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import pypdfium2.raw as pdfium_c

from loaders.formats.pdf.painting import Drawn, turn

_MOST_POINTS_THICK = 3.0
_MOST_POINTS_APART = 3.0
_MOST_RULES = 3_000
_MOST_PAIRS = 40_000
_MOST_CELLS = 5_000
_MOST_TABLES = 50
_FEWEST_BOUNDS = 3
_RULED_SHARE = 0.6
_LEAST_CELL_SHARE = 0.5


@dataclass(frozen=True, kw_only=True, order=True)
class Rule:
    """A line along an edge of the page: where it stands across, and from where to where it goes."""

    at: float
    start: float
    end: float

    def covers(self, start: float, end: float) -> bool:
        """Whether it runs along most of this stretch."""
        return min(self.end, end) - max(self.start, start) >= _RULED_SHARE * (end - start)


class RuledTable:
    """A grid, some of whose cells may be merged."""

    def __init__(self, upright: Sequence[Rule], level: Sequence[Rule]) -> None:
        """Take the rules that touch each other for the cells' borders; the outer may be missing."""
        self._columns = _bounds(upright, level)
        self._rows = _bounds(level, upright)
        self._merged: dict[tuple[int, int], tuple[int, int]] = {}
        if len(self._columns) * len(self._rows) > _MOST_CELLS:
            return
        beside = [_near(upright, at) for at in self._columns]
        above = [_near(level, at) for at in self._rows]
        # From the lower left corner: a cell is known by the highest and leftmost of its parts.
        for row in reversed(range(len(self._rows) - 1)):
            for column in range(len(self._columns) - 1):
                self._merged[row, column] = self._find(row, column, beside[column], above[row + 1])

    @property
    def is_regular(self) -> bool:
        """Whether it looks like a table: forms and drawings make grids that are mostly merged."""
        if min(len(self._columns), len(self._rows)) < _FEWEST_BOUNDS:
            return False
        return len(set(self._merged.values())) >= max(_LEAST_CELL_SHARE * len(self._merged), 1)

    def cell_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column of the cell at this place, from the top and from the left."""
        column, row = bisect_right(self._columns, x) - 1, bisect_right(self._rows, y) - 1
        cell = self._merged.get((row, column))
        return None if cell is None else (len(self._rows) - 2 - cell[0], cell[1])

    def _find(
        self, row: int, column: int, beside: Sequence[Rule], above: Sequence[Rule]
    ) -> tuple[int, int]:
        left, bottom = self._columns[column], self._rows[row]
        right, top = self._columns[column + 1], self._rows[row + 1]
        if row + 2 < len(self._rows) and not _is_ruled(above, left, right):
            return self._merged[row + 1, column]
        if column and not _is_ruled(beside, bottom, top):
            return self._merged[row, column - 1]
        return row, column


def find_ruled(drawn: Sequence[Drawn], *, turned: int) -> list[RuledTable]:
    """The grids on a page that look like tables."""
    upright: list[Rule] = []
    level: list[Rule] = []
    for each in drawn:
        if each.kind == pdfium_c.FPDF_PAGEOBJ_PATH and each.is_seen:
            _add_rules(each, turned, upright, level)
            if len(upright) + len(level) > _MOST_RULES:  # a drawing
                return []
    upright, level = _joined(upright), _joined(level)
    if len(upright) * len(level) > _MOST_PAIRS:
        return []
    tables = (RuledTable(*group) for group in _touching(upright, level))
    return list(islice((each for each in tables if each.is_regular), _MOST_TABLES))


def _add_rules(path: Drawn, turned: int, upright: list[Rule], level: list[Rule]) -> None:
    left, bottom, right, top = turn(path.box, turned)
    wide, high = right - left, top - bottom
    if wide <= _MOST_POINTS_THICK < high:
        upright.append(Rule(at=(left + right) / 2, start=bottom, end=top))
    elif high <= _MOST_POINTS_THICK < wide:
        level.append(Rule(at=(bottom + top) / 2, start=left, end=right))
    elif min(wide, high) > _MOST_POINTS_THICK:
        for one, other in path.strokes():
            x, y, next_x, next_y = turn((*one, *other), turned)
            if abs(x - next_x) < 1:
                upright.append(Rule(at=x, start=min(y, next_y), end=max(y, next_y)))
            elif abs(y - next_y) < 1:
                level.append(Rule(at=y, start=min(x, next_x), end=max(x, next_x)))


def _joined(rules: Sequence[Rule]) -> list[Rule]:
    """The rules with those as one that go on in the same line, or lie beside each other."""
    joined: list[Rule] = []
    for group in _clusters(sorted(rules)):
        at = sum(each.at for each in group) / len(group)
        start, end = group[0].start, group[0].end
        for each in sorted(group, key=lambda each: each.start):
            if each.start > end + _MOST_POINTS_APART:
                joined.append(Rule(at=at, start=start, end=end))
                start, end = each.start, each.end
            start, end = min(start, each.start), max(end, each.end)
        joined.append(Rule(at=at, start=start, end=end))
    return joined


def _clusters(rules: Sequence[Rule]) -> Iterator[list[Rule]]:
    group: list[Rule] = []
    for each in rules:
        if group and each.at - group[-1].at > _MOST_POINTS_APART:
            yield group
            group = []
        group.append(each)
    if group:
        yield group


def _touching(
    upright: Sequence[Rule], level: Sequence[Rule]
) -> Iterator[tuple[list[Rule], list[Rule]]]:
    """The rules in groups that hang together."""
    free = set(range(len(level)))
    seen: set[int] = set()
    for first in range(len(upright)):
        if first in seen:
            continue
        seen.add(first)
        group, crossing, waiting = [], [], [first]
        while waiting:
            one = upright[waiting.pop()]
            group.append(one)
            found = [index for index in free if _meet(one, level[index])]
            free.difference_update(found)
            crossing += [level[index] for index in found]
            for index, other in enumerate(upright):
                if index not in seen and any(_meet(other, level[each]) for each in found):
                    seen.add(index)
                    waiting.append(index)
        if crossing:
            yield group, crossing


def _meet(upright: Rule, level: Rule) -> bool:
    return (
        level.start - _MOST_POINTS_APART <= upright.at <= level.end + _MOST_POINTS_APART
        and upright.start - _MOST_POINTS_APART <= level.at <= upright.end + _MOST_POINTS_APART
    )


def _bounds(rules: Sequence[Rule], across: Sequence[Rule]) -> list[float]:
    places = {each.at for each in rules}
    places |= {min(each.start for each in across), max(each.end for each in across)}
    bounds: list[float] = []
    for place in sorted(places):
        if not bounds or place - bounds[-1] > _MOST_POINTS_APART:
            bounds.append(place)
    return bounds


def _near(rules: Sequence[Rule], at: float) -> list[Rule]:
    return [each for each in rules if abs(each.at - at) <= _MOST_POINTS_APART]


def _is_ruled(rules: Sequence[Rule], start: float, end: float) -> bool:
    return any(each.covers(start, end) for each in rules)
