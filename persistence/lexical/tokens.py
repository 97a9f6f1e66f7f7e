"""Text of any language into words.

Words are what stands between spaces and signs, in lower case. Where a script writes no spaces, or
glues its particles to the word (Chinese, Japanese, Korean, Thai and their neighbours), two
neighbouring characters are a word. What signs hold together (`RFC-2616`, `anna@example.org`,
`3.14`, `e-mail`) counts as one word without its signs, and each of its parts counts too.
"""

import re
import unicodedata
from collections.abc import Iterator

from persistence.visible_text import show

LONGEST_WORD_CHARS = 64
"""What is longer is no word that anybody asks for: encoded data, a signature."""

# Marks that belong to a letter are no letters to `re`; these blocks hold letters and marks alone.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u0900-\u0963\u0966-\u0e4e"
    "\u0e50-\u0f0a\u0f18-\u0f39\u0f3e-\u1049\u1050-\u109f\u1780-\u17d3\u17e0-\u17e9"
)
_LETTER = rf"(?:[^\W_]|[{_MARKS}])"
_WORD = re.compile(rf"{_LETTER}+")
_COMPOUND = re.compile(rf"{_LETTER}+(?:[-._@/:+&,'’]{_LETTER}+)*")
_DENSE_SCRIPTS = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_DENSE_RUN = re.compile(rf"([{_DENSE_SCRIPTS}]+)")
_LOOSE_SIGN = re.compile(r"[/:,&+]")
_DIGITS_OR_LETTERS = re.compile(r"[0-9]+|[^0-9]+")
_HAS_DIGIT = re.compile(r"[0-9]")
_JOINS_LETTERS = frozenset("-_@.&+")
"""Signs that make one word of two; between digits any sign does."""


def words(text: str) -> Iterator[str]:
    """The words of a text in their order, in lower case, not yet stemmed."""
    text = show(unicodedata.normalize("NFKC", text)).casefold()
    # Lower case may come apart: İ becomes an i and a dot.
    for found in _COMPOUND.finditer(unicodedata.normalize("NFC", text)):
        for word in _words_of(found.group()):
            if len(word) <= LONGEST_WORD_CHARS:
                yield word


def _words_of(compound: str) -> Iterator[str]:
    parts = _WORD.findall(compound)
    segments = _LOOSE_SIGN.split(compound)
    for whole in [compound, *segments] if len(segments) > 1 else segments:
        if not _WORD.fullmatch(whole) and _is_one_word(whole):
            yield "".join(_WORD.findall(whole))
    for part in parts:
        for piece in _DENSE_RUN.split(part):
            if _DENSE_RUN.fullmatch(piece):
                yield from _pairs(piece)
            elif piece:
                yield from _with_its_pieces(piece)


def _is_one_word(compound: str) -> bool:
    signs = {char for char in compound if not char.isalnum()}
    if _HAS_DIGIT.search(compound):
        return not signs & {"'", "’"}
    return bool(signs) and signs <= _JOINS_LETTERS


def _with_its_pieces(word: str) -> Iterator[str]:
    yield word
    if _HAS_DIGIT.search(word) and not word.isdigit():
        yield from _DIGITS_OR_LETTERS.findall(word)


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for start in range(len(run) - 1):
        yield run[start : start + 2]
