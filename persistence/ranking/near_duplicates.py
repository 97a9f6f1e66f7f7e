"""Telling texts that say the same in the same words."""

import re
from dataclasses import dataclass

SHINGLE_WORDS = 4
LEAST_SHARE = 0.9
"""Of the shingles of the shorter text: it is in the longer one, or is that one but for a few words
or the overlap of two neighbouring cuts."""

_WORD = re.compile(r"\w+")
_HAS_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What is compared of a text."""

    shingles: frozenset[tuple[str, ...]]
    figures: frozenset[str]


def fingerprint(text: str) -> Fingerprint:
    """The runs of words of a text, and its figures."""
    words = _WORD.findall(text.casefold())
    starts = range(max(len(words) - SHINGLE_WORDS, 0) + 1)
    return Fingerprint(
        shingles=frozenset(tuple(words[start : start + SHINGLE_WORDS]) for start in starts),
        figures=frozenset(word for word in words if _HAS_DIGIT.search(word)),
    )


def is_near_duplicate(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether one of two texts says nothing that the other does not.

    A figure that only the shorter one has makes it another text: the price of another year.
    """
    shorter, longer = sorted((one, other), key=lambda each: len(each.shingles))
    if not shorter.figures <= longer.figures:
        return False
    common = len(shorter.shingles & longer.shingles)
    return common >= LEAST_SHARE * len(shorter.shingles)
