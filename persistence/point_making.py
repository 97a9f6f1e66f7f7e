"""Chunks as points of the index: embedded, their words counted, encrypted."""

import asyncio
from collections.abc import Sequence

from persistence.encryption import KeyRing
from persistence.lexical.terms import TermMaker
from persistence.passages import Chunk, Passage
from persistence.sealed_chunks import open_chunk, seal_chunk
from persistence.vectors.embeddings import Embedder
from persistence.vectors.port import Point, StoredPoint
from persistence.visible_text import show


class PointMaker:
    """Makes points under the keys of the installation."""

    def __init__(self, key_ring: KeyRing) -> None:
        self._key_ring = key_ring
        self._terms = TermMaker(key_ring)

    async def make(
        self, embedder: Embedder, document_id: int, chunks: Sequence[Chunk]
    ) -> list[Point]:
        """Embed and encrypt chunks of a document, which takes its time.

        Raises:
            EmbeddingError: They could not be embedded.
        """
        ciphertexts = [seal_chunk(self._key_ring, document_id, chunk) for chunk in chunks]
        return await self._make(embedder, chunks, ciphertexts)

    async def remake(self, embedder: Embedder, points: Sequence[StoredPoint]) -> list[Point]:
        """Embed points anew; their ciphertexts stay as they are.

        Raises:
            EmbeddingError: They could not be embedded.
            DecryptionError: No key opens one of them.
        """
        chunks = [open_chunk(self._key_ring, point) for point in points]
        return await self._make(embedder, chunks, [point.ciphertext for point in points])

    async def _make(
        self, embedder: Embedder, chunks: Sequence[Chunk], ciphertexts: Sequence[str]
    ) -> list[Point]:
        texts = [searched_text(chunk) for chunk in chunks]
        vectors = await embedder.embed(texts)
        # A book has thousands of chunks, and each takes half a millisecond.
        terms_of_texts = await asyncio.to_thread(self._terms.of_texts, texts)
        return [
            Point(
                position=chunk.position,
                vector=vector,
                model=embedder.model,
                terms=terms,
                ciphertext=ciphertext,
            )
            for chunk, vector, terms, ciphertext in zip(
                chunks, vectors, terms_of_texts, ciphertexts, strict=True
            )
        ]


def searched_text(piece: Chunk | Passage) -> str:
    """What of a chunk is embedded, and whose words are counted: what people see of it.

    A word that holds something invisible would not be found by whoever reads it whole.
    """
    text = f"{piece.heading}\n{piece.text}" if piece.heading else piece.text
    shown = show(text)
    return shown if shown.strip() else text  # some models refuse to embed nothing
