"""Telling whether a text is a table, and what sets its cells apart."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable

_SAMPLE_CHARS = 64 * 1024
_CANDIDATES = ",;\t|"
_UNCLAIMED_CANDIDATES = ",;\t"
_ROWS_TO_BE_SURE = 3
_CLAIMED_SHARE = 0.6
_SAID = re.compile(r'"?sep=([,;|\t])"?[ \t]*\n', re.I)


def said_delimiter(text: str) -> re.Match[str] | None:
    """The line at the top that tells Excel the delimiter, if there is one."""
    return _SAID.match(text)


def comments_end(text: str) -> int:
    """How many characters the lines at the top take that only speak of the table."""
    end = 0
    while text.startswith("#", end):
        end = text.find("\n", end) + 1 or len(text)
    return end


def find_delimiter(text: str, *, claimed: bool) -> str | None:
    """The delimiter of a table, None for a text that is no table.

    Args:
        text: the whole text.
        claimed: whether the file's name says that it is a table. Without that claim only a table
            without a single odd row counts, in which no cell begins with a space as it does in
            prose with commas.
    """
    said = said_delimiter(text)
    if said is not None:
        return said[1]
    start = comments_end(text[:_SAMPLE_CHARS])
    sample = text[start : start + _SAMPLE_CHARS]
    if len(text) > start + len(sample):
        sample = sample[: sample.rfind("\n") + 1] or sample
    if claimed:
        return _best(sample, _share_of_even_rows) or _best(sample, _share_of_cut_rows) or ","
    for candidate in _UNCLAIMED_CANDIDATES:
        if _is_certain(sample, candidate):
            return candidate
    return None


def _best(sample: str, share_of: Callable[[list[list[str]]], float]) -> str | None:
    shares = {each: share_of(_rows(sample, each)) for each in _CANDIDATES}
    best = max(shares, key=lambda each: shares[each])
    return best if shares[best] >= _CLAIMED_SHARE else None


def _is_certain(sample: str, delimiter: str) -> bool:
    rows = _rows(sample, delimiter)
    if len(rows) < _ROWS_TO_BE_SURE or any(cell[:1] == " " for row in rows for cell in row):
        return False
    return _share_of_even_rows(rows) == 1.0


def _rows(sample: str, delimiter: str) -> list[list[str]]:
    try:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
        return [row for row in reader if row]
    except csv.Error:
        return []


def _share_of_even_rows(rows: list[list[str]]) -> float:
    """How many rows have as many cells as most rows have; 0 when most have but one."""
    widths = Counter(len(row) for row in rows)
    if not widths:
        return 0.0
    width, count = widths.most_common(1)[0]
    return count / len(rows) if width > 1 else 0.0


def _share_of_cut_rows(rows: list[list[str]]) -> float:
    """How many rows have several cells: the last ones may be left out where they are empty."""
    return sum(len(row) > 1 for row in rows) / len(rows) if rows else 0.0
