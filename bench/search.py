"""How long a search takes, and how that grows with what all tenants have.

    python -m bench.search [--sizes 1000 20000 100000] [--tenants 50] [--queries 200]

Through the product's Retriever, on the engine in process; vectors are random and words are drawn by
Zipf's law, which is harder on the index than texts are: nothing lies together. The embedding model
and PostgreSQL are left out: they take the same whatever the size. The floor is one bare query of
the engine for the nearest vectors of one tenant, in the same run.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from persistence.access import AccessScope
from persistence.encryption import KeyRing
from persistence.index_collections import OneCollection
from persistence.passages import Chunk
from persistence.records import Document, Page
from persistence.retrieval import Retriever
from persistence.vectors.edge import open_edge_store
from persistence.vectors.filters import Filter, Match
from persistence.vectors.generations import GenerationIndex

DIMENSION = 384
CHUNKS_PER_DOCUMENT = 50
CHUNK_WORDS = 110
VOCABULARY = 30_000
CANDIDATES = 24
"""What a search for six passages asks the engine for."""
LINE = "{:>9}{:>12}{:>12}{:>12}{:>12}{:>12}{:>10}"


@dataclass(frozen=True)
class Everything:
    """A database in which every document exists and belongs to whoever asks."""

    title: str = "Document"
    filename: str = "document.txt"

    def unit_of_work(self, scope: AccessScope) -> AbstractAsyncContextManager["Everything"]:
        return nullcontext(self)

    @property
    def documents(self) -> "Everything":
        return self

    @property
    def groups(self) -> "Everything":
        return self

    async def ids(self) -> frozenset[int]:
        return frozenset()

    async def list(self, *, limit: int, offset: int) -> Page[Document]:
        return Page(items=[], total=0, limit=limit, offset=offset)

    async def visible(self, ids: Collection[int]) -> Mapping[int, "Everything"]:
        return dict.fromkeys(ids, self)


class _RandomEmbedder:
    """Vectors in any direction."""

    model = "random"
    dimension = DIMENSION

    def __init__(self) -> None:
        self._random = np.random.default_rng(5)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._random.standard_normal((len(texts), DIMENSION)).tolist()
        return vectors


class _Words:
    """Texts of words that no language has, as often as words are."""

    def __init__(self) -> None:
        self._random = random.Random(7)
        letters = "bcdfglmnprstvz"
        self._vocabulary = [
            "".join(self._random.choice(letters) + self._random.choice("aeiou") for _ in range(4))
            for _ in range(VOCABULARY)
        ]
        self._often = list(np.cumsum([1 / rank for rank in range(1, VOCABULARY + 1)]))

    def text(self, count: int) -> str:
        words = self._random.choices(self._vocabulary, cum_weights=self._often, k=count)
        return "the " + " ".join(words)


async def _fill(
    retriever: Retriever, words: _Words, *, first: int, last: int, tenants: int
) -> None:
    for document in range(first // CHUNKS_PER_DOCUMENT, last // CHUNKS_PER_DOCUMENT):
        chunks = [
            Chunk(position=place, text=words.text(CHUNK_WORDS))
            for place in range(CHUNKS_PER_DOCUMENT)
        ]
        await retriever.replace(document + 1, document % tenants + 1, chunks)


async def _time(ask: Callable[[int], Awaitable[object]], rounds: int) -> list[float]:
    """Milliseconds of each round, in order of length."""
    took = []
    for number in range(rounds):
        started = time.perf_counter()
        await ask(number)
        took.append((time.perf_counter() - started) * 1000)
    return sorted(took)


async def measure(options: argparse.Namespace, folder: Path) -> None:
    """Prints one line a size."""
    words, embedder = _Words(), _RandomEmbedder()
    print(LINE.format("chunks", "fill, s", "p50, ms", "p95, ms", "bare p50", "bare p95", "ratio"))
    async with open_edge_store(folder, dimension=DIMENSION) as store:
        index = GenerationIndex(store, dimension=DIMENSION)
        key_ring = KeyRing([KeyRing.generate_key()])
        retriever = Retriever(Everything(), OneCollection(index, embedder), key_ring)
        filled, medians = 0, []
        for size in options.sizes:
            started = time.perf_counter()
            await _fill(retriever, words, first=filled, last=size, tenants=options.tenants)
            fill_seconds, filled = time.perf_counter() - started, size
            questions = [words.text(6) for _ in range(options.queries)]
            [vector] = await embedder.embed(["question"])

            async def search(number: int, asked: list[str] = questions) -> None:
                scope = AccessScope(user_id=number % options.tenants + 1)
                await retriever.search(asked[number % len(asked)], scope=scope)

            async def search_bare(number: int, asked: list[float] = vector) -> None:
                owner = Match(field="owner_id", values=(number % options.tenants + 1,))
                await store.search(asked, Filter(must=(owner,)), CANDIDATES)

            await _time(search, 10)
            ours, bare = (
                await _time(search, options.queries),
                await _time(search_bare, options.queries),
            )
            medians.append(statistics.median(ours))
            figures = [fill_seconds, *_middle_and_tail(ours), *_middle_and_tail(bare)]
            ratio = statistics.median(ours) / statistics.median(bare)
            print(LINE.format(size, *(f"{figure:.1f}" for figure in figures), f"{ratio:.1f} ×"))
    if len(medians) > 1:
        print(
            f"{options.sizes[-1] / options.sizes[0]:.0f} times the chunks took "
            f"{medians[-1] / medians[0]:.1f} times as long"
        )


def _middle_and_tail(took: Sequence[float]) -> tuple[float, float]:
    return statistics.median(took), took[int(len(took) * 0.95)]


def main() -> None:
    """Prints the figures as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 20_000, 100_000])
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(options, Path(folder)))


if __name__ == "__main__":
    main()
