"""Cutting text at its sentences, and weighing it in what an embedding model reads at once.

Everything here keeps the text whole: the pieces, put together again, are the text.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator

_SENTENCE_END = re.compile(
    r"""(?<![.!?…])[.!?…]+['")\]»”’]*\s+  # western: an end counts only before white space
    |[。！？｡]+['"）」』】”’]*\s*  # written without spaces between sentences
    |(?<!\s)\s*\n\s*""",
    re.VERBOSE,
)
"""Begins only where a run of signs begins: each run is looked at once, however long it is."""
_DIGIT = re.compile(r"[0-9]")
_SIGN = re.compile(r"[!-/:-@\[-`{-~]")
_FOREIGN = re.compile("[\u0370-\u1fff\u2070-\U0010ffff]")
_DIGIT_EXTRA, _SIGN_EXTRA, _FOREIGN_EXTRA = 1, 2, 2
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")
_LONGEST_CLUSTER_CHARS = 32
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def sentences(text: str) -> Iterator[str]:
    """The sentences with the white space that follows them."""
    start = 0
    for end in _SENTENCE_END.finditer(text):
        if end.end() > start:
            yield text[start : end.end()]
            start = end.end()
    if start < len(text):
        yield text[start:]


def weigh(text: str) -> int:
    """How much of a model's window a text takes: 1 for a letter of an English word.

    Models that were trained on English spend a token on every few letters of it, but one on nearly
    every sign and every letter of another script.
    """
    weight = len(text)
    weight += _DIGIT_EXTRA * len(_DIGIT.findall(text)) + _SIGN_EXTRA * len(_SIGN.findall(text))
    if not text.isascii():
        weight += _FOREIGN_EXTRA * len(_FOREIGN.findall(text))
    return weight


def cut_to_weight(text: str, most: int) -> Iterator[str]:
    """Pieces of at most that weight, cut between words where there are any."""
    start = 0
    while start < len(text):
        end = _end_of_piece(text, start, most)
        yield text[start:end]
        start = end


def _end_of_piece(text: str, start: int, most: int) -> int:
    # Each character weighs 1 at least, and the first is taken whatever it weighs.
    ends = range(start + 1, min(start + max(most, 1), len(text)) + 1)
    fitting = bisect_right(ends, most, key=lambda end: weigh(text[start:end]))
    end = ends[max(fitting - 1, 0)]
    if end == len(text):
        return end
    space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
    if space > start:
        return space + 1
    return _between_characters(text, start, end)


def _between_characters(text: str, start: int, end: int) -> int:
    """Move a cut back so that it parts no letter from its accents and no emoji from its signs."""
    lowest = max(start + 1, end - _LONGEST_CLUSTER_CHARS)
    for place in range(end, lowest - 1, -1):
        if not _belongs_to_previous(text, place):
            return place
    return end


def _belongs_to_previous(text: str, place: int) -> bool:
    following = text[place]
    return (
        unicodedata.category(following).startswith("M")
        or following in _JOINERS
        or ord(following) in _SKIN_TONES
        or text[place - 1] == "\u200d"
    )
