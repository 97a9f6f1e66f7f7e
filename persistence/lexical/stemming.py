"""Words to stems, and which language a text is in.

Accents fall away after stemming, not before: the stemmers tell forms apart by them, while people
leave them out (`perche`, `eleve`), and half of all keyboards lack them. What that confuses (`schon`
and `schön`) the vectors keep apart.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cache

import Stemmer

from persistence.lexical.function_words import FUNCTION_WORDS

USUAL_LANGUAGES = ("english", "german", "french", "italian", "spanish", "portuguese", "dutch")
"""Tried for words that tell of no language, and for names, whatever the question is written in."""

_BY_SCRIPT = (
    ("\u0370", "\u03ff", "greek"),
    ("\u0400", "\u052f", "russian"),
    ("\u0530", "\u058f", "armenian"),
    ("\u0600", "\u06ff", "arabic"),
    ("\u0900", "\u097f", "hindi"),
    ("\u0b80", "\u0bff", "tamil"),
)
_LATIN_END = "\u0250"
_LANGUAGES_OF: Mapping[str, tuple[str, ...]] = {
    word: tuple(language for language, its in FUNCTION_WORDS.items() if word in its)
    for word in frozenset().union(*FUNCTION_WORDS.values())
}
_DROPPED_MARKS = (("\u0300", "\u036f"), ("\u0591", "\u05c7"), ("\u064b", "\u0670"))
_FOLDED_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ı": "i", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe"}
)
_LONGEST_STEMMED_CHARS = 32


def guess_languages(text_words: Sequence[str]) -> list[str]:
    """The languages whose function words are in a text, the likeliest first; none if it has none.

    Languages that explain less than half as much as the best one are left out.
    """
    seen: Counter[str] = Counter()
    for word in text_words:
        if word.isascii() and len(word) == 1:
            continue  # a part of a code
        for language in _LANGUAGES_OF.get(word, ()):
            seen[language] += 1
    if not seen:
        return []
    most = max(seen.values())
    ranked = sorted(seen.items(), key=lambda each: (-each[1], each[0] != "english", each[0]))
    return [language for language, count in ranked if 2 * count > most]


def is_function_word(word: str, languages: Collection[str]) -> bool:
    """Whether a word only holds sentences together in one of the languages."""
    return any(language in languages for language in _LANGUAGES_OF.get(word, ()))


def stem(word: str, language: str) -> str:
    """The word without its ending and its accents; digits and foreign scripts stay as they are."""
    by_script = _language_of_script(word)
    if by_script == "arabic":
        word = _fold(word)  # its vowel signs are for beginners, and its stemmer knows none
    return _fold(_stem_letters(word, by_script or language))


def _stem_letters(word: str, language: str) -> str:
    if len(word) > _LONGEST_STEMMED_CHARS or any(map(str.isdigit, word)):
        return word
    stemmed: str = _stemmer(language).stemWord(word)
    return stemmed


@cache
def _stemmer(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(language)


def _language_of_script(word: str) -> str | None:
    first = word[0]
    if first < _LATIN_END:
        return None
    return next((name for low, high, name in _BY_SCRIPT if low <= first <= high), None)


def _fold(word: str) -> str:
    if word.isascii():
        return word
    apart = unicodedata.normalize("NFD", word.translate(_FOLDED_LETTERS))
    kept = [char for char in apart if not _is_dropped(char)]
    return unicodedata.normalize("NFC", "".join(kept))


def _is_dropped(char: str) -> bool:
    return any(low <= char <= high for low, high in _DROPPED_MARKS) and bool(
        unicodedata.combining(char)
    )
