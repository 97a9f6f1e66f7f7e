"""What the index keeps of words: numbers that only the installation's key makes.

A number is the beginning of a keyed hash of a word's stem. Whoever reads the index without the key
sees which chunks share a word, and how often words occur, but no word.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from persistence.encryption import KeyRing
from persistence.lexical.stemming import (
    USUAL_LANGUAGES,
    guess_languages,
    is_function_word,
    stem,
)
from persistence.lexical.tokens import words
from persistence.vectors.port import QueryWord

K1 = 1.2
B = 0.4
"""BM25's saturation of repeated words and its share of length normalisation."""
USUAL_WORDS = 110
"""Words of a chunk that `loaders.splitter.CHUNK_WEIGHT` filled with prose. A constant, because an
average over the collection would tell one tenant of another's documents."""
MOST_QUERY_WORDS = 32
"""Further ones are left to the vectors; each costs a look at all who have it."""

_TERM_BITS = 32
_MOST_FORMS = 4
_REMEMBERED_STEMS = 50_000
_CONTEXT = "words of chunks/"


class TermMaker:
    """Makes the terms of texts and of questions with one installation's key."""

    def __init__(self, key_ring: KeyRing) -> None:
        self._term_of = lru_cache(maxsize=_REMEMBERED_STEMS)(
            lambda word: _number(key_ring.keyed_hash(_CONTEXT + word))
        )

    def of_texts(self, texts: Sequence[str]) -> list[dict[int, float]]:
        """The terms of each text of one document, with their BM25 weights between 0 and 1."""
        split = [list(words(text)) for text in texts]
        of_document = guess_languages([word for each in split for word in each])
        return [self._weigh(each, _language(each, of_document)) for each in split]

    def of_query(self, query: str) -> list[QueryWord]:
        """The words of a question, each with every form that a text may have it in."""
        asked = _first_of_each(words(query))[:MOST_QUERY_WORDS]
        likely = guess_languages(asked)
        languages = [*likely, *(each for each in USUAL_LANGUAGES if each not in likely)]
        made: list[QueryWord] = []
        seen: set[int] = set()
        for word in asked:
            is_common = is_function_word(word, likely)
            stems = _first_of_each(
                stem(word, each) for each in (likely if is_common else languages)
            )
            terms = [self._term_of(each) for each in stems[:_MOST_FORMS]]
            fresh = tuple(each for each in terms if each not in seen)
            seen.update(fresh)
            if fresh:
                made.append(QueryWord(terms=fresh, is_common=is_common))
        return made

    def _weigh(self, text_words: Sequence[str], language: str) -> dict[int, float]:
        counts: Counter[int] = Counter()
        for word, count in Counter(text_words).items():
            counts[self._term_of(stem(word, language))] += count
        norm = K1 * (1 - B + B * len(text_words) / USUAL_WORDS)
        return {term: count / (count + norm) for term, count in counts.items()}


def _language(text_words: Sequence[str], of_document: Sequence[str]) -> str:
    of_text = guess_languages(text_words)
    return next(iter([*of_text, *of_document]), USUAL_LANGUAGES[0])


def _first_of_each(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _number(digest: str) -> int:
    return int(digest[: _TERM_BITS // 4], 16)
