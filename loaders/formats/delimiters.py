"""Telling whether a text is a table, and what sets its cells apart."""

import csv
import io
from collections import Counter

_SAMPLE_CHARS = 64 * 1024
_CANDIDATES = ",;\t|"
_UNCLAIMED_CANDIDATES = ",;\t"
_ROWS_TO_BE_SURE = 3
_CLAIMED_SHARE = 0.6


def find_delimiter(text: str, *, claimed: bool) -> str | None:
    """The delimiter of a table, None for a text that is no table.

    Args:
        text: the whole text.
        claimed: whether the file's name says that it is a table. Without that claim only a table
            without a single odd row counts, in which no cell begins with a space as it does in
            prose with commas.
    """
    sample = text[:_SAMPLE_CHARS]
    if len(text) > len(sample):
        sample = sample[: sample.rfind("\n") + 1] or sample
    if claimed:
        shares = {each: _share_of_even_rows(sample, each) for each in _CANDIDATES}
        best = max(shares, key=lambda each: shares[each])
        return best if shares[best] >= _CLAIMED_SHARE else ","
    for candidate in _UNCLAIMED_CANDIDATES:
        if _share_of_even_rows(sample, candidate, certain=True) == 1.0:
            return candidate
    return None


def _share_of_even_rows(sample: str, delimiter: str, *, certain: bool = False) -> float:
    """How many rows have as many cells as most rows have; 0 when most have but one."""
    try:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
        rows = [row for row in reader if row]
    except csv.Error:
        return 0.0
    if certain and (
        len(rows) < _ROWS_TO_BE_SURE or any(cell[:1] == " " for row in rows for cell in row)
    ):
        return 0.0
    widths = Counter(len(row) for row in rows)
    if not widths:
        return 0.0
    width, count = widths.most_common(1)[0]
    return count / len(rows) if width > 1 else 0.0
