"""Deterministic embeddings: texts that share words are near, texts that share none are far."""

import hashlib
import math
import re
from collections.abc import Sequence

DIMENSION = 384
_COMPONENTS_PER_WORD = 8
_SHORTEST_TELLING_WORD = 4


def embed_text(text: str, dimension: int = DIMENSION) -> list[float]:
    """The sum of the vectors of the telling words, of length one."""
    vector = [0.0] * dimension
    for word in _telling_words(text):
        digest = hashlib.blake2b(word.encode(), digest_size=4 * _COMPONENTS_PER_WORD).digest()
        for start in range(0, len(digest), 4):
            place = int.from_bytes(digest[start : start + 3]) % dimension
            vector[place] += 1.0 if digest[start + 3] & 1 else -1.0
    length = math.sqrt(sum(value * value for value in vector))
    if length == 0.0:
        vector[0] = length = 1.0
    return [value / length for value in vector]


def _telling_words(text: str) -> list[str]:
    words: list[str] = re.findall(r"\w+", text.casefold())
    telling = [
        word
        for word in words
        if len(word) >= _SHORTEST_TELLING_WORD or not word.isascii() or word.isdigit()
    ]
    return telling or words


class WordEmbedder:
    """An embedding model in this process."""

    model = "words"
    dimension = DIMENSION

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [embed_text(text) for text in texts]
