"""Headings and paragraphs out of lines."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median

from loaders.document import Element, ElementKind
from loaders.formats.paragraphs import join_lines
from loaders.formats.pdf.lines import Line
from loaders.formats.pdf.sizes import HeadingSizes
from loaders.formats.tables import table_element

_LONGEST_HEADING_CHARS = 200
_MOST_HEADING_LINES = 3
_WIDE_GAP = 1.5
_NUMBERS_AND_SPACES = re.compile(r"^[\d.\s]+|\s+")


@dataclass(frozen=True, kw_only=True)
class Bookmark:
    """A heading that the file lists itself."""

    title: str
    level: int


def to_elements(
    lines: Sequence[Line], *, page: int, sizes: HeadingSizes, bookmarks: Sequence[Bookmark]
) -> Iterator[Element]:
    """The headings and paragraphs of a page.

    Args:
        lines: what is on the page.
        page: counted from 1.
        sizes: what headings look like in the file.
        bookmarks: those that lead to this page.
    """
    levels = [sizes.level(line) for line in lines]
    marked = _find_bookmarked(lines, bookmarks)
    kinds = [
        (bool(line.rows), *marked.get(index, (level, None)))
        for index, (level, line) in enumerate(zip(levels, lines, strict=True))
    ]
    grouped = groupby(zip(kinds, lines, strict=True), key=lambda each: each[0])
    for (is_table, level, _), group in grouped:
        part = [line for _, line in group]
        if is_table:
            yield from filter(None, (table_element(line.rows, page=page) for line in part))
            continue
        heading = " ".join(line.text for line in part).strip()
        if level is not None and _could_be_heading(part, heading):
            yield Element(kind=ElementKind.HEADING, text=heading, page=page, level=level)
        else:
            for paragraph in _paragraphs(part):
                yield Element(kind=ElementKind.TEXT, text=paragraph, page=page)


def with_bookmarks(
    elements: Sequence[Element], *, page: int, bookmarks: Sequence[Bookmark]
) -> list[Element]:
    """What is recognised on a scanned page, with the bookmarks' headings among it or before it."""
    by_title = {_bare(each.text): index for index, each in enumerate(elements)}
    result = list(elements)
    missing = []
    for bookmark in bookmarks:
        heading = Element(
            kind=ElementKind.HEADING,
            text=bookmark.title,
            level=bookmark.level,
            page=page,
        )
        index = by_title.get(_bare(bookmark.title))
        if index is None:
            missing.append(heading)
        else:
            result[index] = heading
    return missing + result


def _find_bookmarked(
    lines: Sequence[Line], bookmarks: Sequence[Bookmark]
) -> Mapping[int, tuple[int | None, int | None]]:
    """For each line of a bookmark's title its level, and a number that all of its lines share."""
    levels = {_bare(each.title): each.level for each in bookmarks if _bare(each.title)}
    found: dict[int, tuple[int | None, int | None]] = {}
    for start in range(len(lines)) if levels else ():
        for count in range(1, min(_MOST_HEADING_LINES, len(lines) - start) + 1):
            indexes = range(start, start + count)
            level = levels.get(_bare(" ".join(lines[index].text for index in indexes)))
            if level is not None and start not in found:
                found.update(dict.fromkeys(indexes, (level, start)))
    return found


def _bare(title: str) -> str:
    return _NUMBERS_AND_SPACES.sub("", title).casefold()


def _could_be_heading(lines: Sequence[Line], text: str) -> bool:
    return len(lines) <= _MOST_HEADING_LINES and len(text) <= _LONGEST_HEADING_CHARS


def _paragraphs(lines: Sequence[Line]) -> Iterator[str]:
    """Lines between wide gaps, joined to paragraphs; a jump up is the next column."""
    steps = [above.top - below.top for above, below in pairwise(lines)]
    usual = median([step for step in steps if step > 0] or [0])
    block = ""
    for line, step in zip(lines, [0.0, *steps], strict=True):
        if block and step > usual * _WIDE_GAP:
            yield from join_lines(block)
            block = ""
        block += line.text if line.is_broken else f"{line.text}\n"
    yield from join_lines(block)
