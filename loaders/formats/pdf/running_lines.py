"""Headers and footers: what stands at the edge of page after page."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import product

from loaders.formats.pdf.lines import Line
from loaders.formats.pdf.sizes import HeadingSizes

_EDGE_LINES = 2
_FEWEST_PAGES = 3
_SHARE_OF_PAGES = 0.4
_NEARLY_ALL = 0.8
_TITLE = "\1"
_NUMBER = re.compile(r"\d{1,5}")
_MOST_NUMBERS = 3


def drop_running_lines(pages: Sequence[list[Line]]) -> list[list[Line]]:
    """The pages without the lines that many of them have in their margins.

    Page numbers may make them differ, no other numbers may. The first page that has such a line
    keeps it, unless it is nothing but a number; so do pages that have no other lines. Words at
    the top that are larger than the text may be the titles of slides, numbered as those are: they
    must be the same on nearly all pages.
    """
    sizes = HeadingSizes(pages)
    keys = [_edge_keys(number, lines, sizes) for number, lines in enumerate(pages)]
    counts = Counter(key for each in keys for key in set().union(*each.values()))
    filled = sum(1 for lines in pages if lines)
    running = {key for key, count in counts.items() if count >= _fewest(key, filled)}
    seen = {key for key in running if not any(character.isalpha() for character in key)}
    kept = []
    for lines, each in zip(pages, keys, strict=True):
        found = {index: line_keys & running for index, line_keys in each.items()}
        dropped = {index for index, line_keys in found.items() if line_keys & seen}
        seen = seen.union(*found.values())
        is_all = len(dropped) == len(lines)
        kept.append([line for index, line in enumerate(lines) if is_all or index not in dropped])
    return kept


def _edge_keys(page: int, lines: Sequence[Line], sizes: HeadingSizes) -> dict[int, set[str]]:
    """For the uppermost and lowest lines of a page, by position, what they are compared by."""
    order = sorted(range(len(lines)), key=lambda index: -lines[index].top)
    edges = order[:_EDGE_LINES] + order[_EDGE_LINES:][-_EDGE_LINES:]
    return {
        index: {f"{_TITLE}{lines[index].text}"}
        if sizes.stands_out(lines[index]) and not lines[index].is_at_foot
        else _keys(page, lines[index].text)
        for index in edges
        if lines[index].is_in_margin
    }


def _fewest(key: str, pages: int) -> float:
    share = _NEARLY_ALL if key.startswith(_TITLE) else _SHARE_OF_PAGES
    return max(_FEWEST_PAGES, share * pages)


def _keys(page: int, text: str) -> set[str]:
    """The line with each number as it is, and with it counted from the number of the page."""
    numbers = _NUMBER.findall(text)
    if len(numbers) > _MOST_NUMBERS:
        return {text}
    words = _NUMBER.split(text)
    choices = [(number, f"\0{int(number) - page}") for number in numbers]
    return {
        "".join(word + number for word, number in zip(words, (*chosen, ""), strict=True))
        for chosen in product(*choices)
    }
