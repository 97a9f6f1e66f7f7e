"""Telling texts that say nothing which a better one does not say in the same words."""

import re
from dataclasses import dataclass

SHINGLE_WORDS = 4
LEAST_SHARE = 0.9
"""Of its shingles: what is missing are a few words, or the overlap of two neighbouring cuts."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What is compared of a text."""

    shingles: frozenset[tuple[str, ...]]
    words: frozenset[str]


def fingerprint(text: str) -> Fingerprint:
    """The runs of words of a text, and its words and figures."""
    words = _WORD.findall(text.casefold())
    starts = range(max(len(words) - SHINGLE_WORDS, 0) + 1)
    return Fingerprint(
        shingles=frozenset(tuple(words[start : start + SHINGLE_WORDS]) for start in starts),
        words=frozenset(words),
    )


def says_nothing_new(text: Fingerprint, known: Fingerprint) -> bool:
    """Whether a text says nothing that the known one does not.

    A text of which the known one is a part says more. So does one with a single word or figure of
    its own: the price of another year, the name of a successor.
    """
    if not text.words <= known.words:
        return False
    common = len(text.shingles & known.shingles)
    return common >= LEAST_SHARE * len(text.shingles)
