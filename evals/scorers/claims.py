"""What an answer claims, sentence by sentence, and whether the words of a passage bear it out.

It is an approximation by words, for languages that put spaces between them: a claim is borne out
by a passage that has all its numbers, names and quotations, and enough of its other words. What it
cannot see is a relation between the right words that is wrong.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evals.scorers.text import plain

OVERLAP = 0.6
"""The share of a claim's words that a passage has to have."""
_LABEL = re.compile(r"\[([\w-]{1,12})\]")
_GAP = re.compile(r"\s+(?=[.,;:!?](?:\s|$))")
_LIST_MARK = re.compile(r"^\s*(?:[-*+\u2022]|\d{1,3}[.)]|#{1,6}|>)\s+")
_BREAK = re.compile(r"(?<=[.!?])[\"'\u201d\u00bb)]*(?:\s*\[[\w-]{1,12}\])*\s+(?=[^a-z\s])|\n+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_WORD = re.compile(r"[^\W\d_]+")
_QUOTE = re.compile(
    r"[\"\u201c\u201e\u00ab]([^\"\u201c\u201d\u00ab\u00bb]{2,300})[\"\u201d\u201c\u00bb]"
)
_TALK = re.compile(
    r"(?:let me know|feel free|i hope|i have|i've|i found|i looked|please|sure|of course|certainly"
    r"|hello|hi\b|thank|you're welcome|is there anything|if you (?:have|need|want|would)"
    r"|here (?:is|are)\b.{0,60}:$)",
    re.IGNORECASE,
)
_COMMON_WORDS = """
about according also been being both could does document documents each every from have having here
into just more most must only other over said same says shall should some such than that their them
then there these they this those through under upon very were what when where which while will with
within would your
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_MIN_LETTERS = 4
_MAX_ENDING = 3


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence that says something which is so or is not."""

    text: str
    """Without its citations."""
    labels: tuple[str, ...]
    """What it cites."""
    numbers: frozenset[str]
    names: frozenset[str]
    """Words with a capital letter that do not begin it."""
    quotes: tuple[str, ...]
    words: frozenset[str]
    """Those that carry meaning."""


def claims_in(text: str) -> list[Claim]:
    """The claims of an answer: no questions, courtesies and announcements."""
    sentences = (_LIST_MARK.sub("", each).strip() for each in _sentences(text))
    found = [_claim(each) for each in sentences if not each.endswith("?") and not _TALK.match(each)]
    return [each for each in found if each.numbers or each.names or len(each.words) > 1]


def missing_in(claim: Claim, passage: str, *, overlap: float = OVERLAP) -> list[str]:
    """What of a claim a passage does not have; nothing when it bears it out."""
    text = plain(passage, ignore_case=True)
    words = set(_WORD.findall(text))
    numbers = {_same_form(each) for each in _NUMBER.findall(text)}
    missing = sorted(claim.numbers - numbers)
    missing += [each for each in sorted(claim.names) if not _names(words, each)]
    missing += [each for each in claim.quotes if each not in text]
    lacking = [each for each in sorted(claim.words) if not _has(words, each)]
    if len(lacking) > (1 - overlap) * len(claim.words):
        missing += [each for each in lacking if each not in missing]
    return missing


def _sentences(text: str) -> Sequence[str]:
    """A citation after the full stop belongs to what stands before it."""
    ends = [hit.end() for hit in _BREAK.finditer(text)]
    return [text[a:b].strip() for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


def _claim(sentence: str) -> Claim:
    labels = tuple(_LABEL.findall(sentence))
    text = _GAP.sub("", " ".join(_LABEL.sub("", sentence).replace("*", "").split()))
    said = plain(text, ignore_case=False)
    first, *others = _WORD.findall(said) or [""]
    return Claim(
        text=text,
        labels=labels,
        numbers=frozenset(_same_form(each) for each in _NUMBER.findall(said)),
        names=frozenset(each.casefold() for each in others if each[0].isupper() and len(each) > 1),
        quotes=tuple(plain(each, ignore_case=True) for each in _QUOTE.findall(text)),
        words=frozenset(
            word
            for each in (first, *others)
            if len(word := each.casefold()) >= _MIN_LETTERS and word not in _COMMON
        ),
    )


def _same_form(number: str) -> str:
    """12.30 and 12:30 are one time."""
    return number.replace(":", ".").replace(",", ".")


def _names(words: set[str], name: str) -> bool:
    """Maria is not Marie; what belongs to her is Maria's."""
    return not words.isdisjoint({name, f"{name}s", name.removesuffix("s")})


def _has(words: set[str], word: str) -> bool:
    return word in words or any(_are_forms_of_one(word, each) for each in words)


def _are_forms_of_one(one: str, other: str) -> bool:
    """Whether they differ by an ending."""
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared += 1
    return shared >= _MIN_LETTERS and max(len(one), len(other)) - shared <= _MAX_ENDING
