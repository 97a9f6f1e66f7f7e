"""How good the answers of a search are: nDCG@10 and recall@10 on public collections.

    python -m bench.retrieval [--half test] [--cache-dir DIR] [--base-url URL] [--rerank-url URL]

Through the product's Retriever, its engine in process and its embedding server (the embedded one
unless an address is given), with the passages that a user gets: near-duplicates gone, neighbours
joined, nothing below the floor. The parts are the same Retriever over an index that tells it only
of the words, or only of the vectors, and no floor. Without the address of a reranker, what reranks
is late interaction of the embedding model's own tokens (bench/late_interaction.py). The settings
of the fusion were chosen on the development half of the questions; figures are told of the other.
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ir_measures
import structlog
from ir_measures import R, nDCG

from bench.judged import Collection, load_collections
from bench.late_interaction import open_late_interaction
from bench.search import Everything
from graph.llm.chat_model import open_model_address
from loaders.document import Element, ElementKind, LoadedDocument
from loaders.splitter import split
from persistence.access import AccessScope
from persistence.encryption import KeyRing
from persistence.index_collections import OneCollection
from persistence.ranking.reranker import HttpReranker, Reranker
from persistence.ranking.scores import SCORE_FLOOR
from persistence.retrieval import Retriever
from persistence.settings import RerankSettings, VectorSettings
from persistence.vectors.embeddings import OllamaEmbedder
from persistence.vectors.index import open_index
from persistence.vectors.port import ScoredPoint, VectorIndex
from server.settings import LlmSettings

OWNER = 1
SCOPE = AccessScope(user_id=OWNER)
DEPTH = 10
MOST_CHUNKS = 1000
"""No document of the collections has as many."""
PASSAGES = 30
"""Asked for, so that ten documents are among them."""
LINE = "  {:<28}{:>9}{:>11}{:>16}"


class _OneSided:
    """An index that tells of nearness only, or of words only."""

    def __init__(self, index: VectorIndex, *, hides: str) -> None:
        self._index = index
        self._hides = hides

    async def search(self, vector: Sequence[float], **asked: Any) -> list[ScoredPoint]:
        hits = await self._index.search(vector, **asked)
        hidden: dict[str, Any] = {self._hides: 0.0}
        return [replace(hit, **hidden) for hit in hits]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What came of one way to search."""

    ndcg: float
    recall: float
    unanswered: float
    """The share of questions that found nothing at all."""


@asynccontextmanager
async def open_filled(
    collection: Collection, embedder: OllamaEmbedder, folder: Path
) -> AsyncIterator[tuple[VectorIndex, Mapping[int, str], KeyRing]]:
    """The index with all documents, their ids by number, and the keys."""
    key_ring = KeyRing([KeyRing.generate_key()])
    names = dict(enumerate(collection.documents, start=1))
    async with open_index(
        VectorSettings(), data_dir=folder, dimension=embedder.dimension, model=embedder.model
    ) as index:
        retriever = Retriever(Everything(), OneCollection(index, embedder), key_ring)
        for number, name in names.items():
            article = collection.documents[name]
            heading = Element(kind=ElementKind.HEADING, text=article.title)
            texts = [part for part in article.text.split("\n\n") if part.strip()]
            elements = [Element(kind=ElementKind.TEXT, text=part) for part in texts]
            document = LoadedDocument(
                title=article.title, mime="text/plain", elements=(heading, *elements)
            )
            chunks = split(document, most=MOST_CHUNKS)
            await retriever.replace(number, OWNER, chunks)
        yield index, names, key_ring


async def judge(retriever: Retriever, collection: Collection, names: Mapping[int, str]) -> Quality:
    """Asks all questions and compares what comes with what is right."""
    run: list[ir_measures.ScoredDoc] = []
    unanswered = 0
    for question_id, question in collection.questions.items():
        passages = await retriever.search(question, scope=SCOPE, limit=PASSAGES)
        best: dict[str, float] = {}
        for passage in passages:
            best.setdefault(names[passage.document_id], passage.score)
        unanswered += not passages
        run += [ir_measures.ScoredDoc(question_id, *each) for each in list(best.items())[:DEPTH]]
    qrels = [
        ir_measures.Qrel(question_id, name, 1)
        for question_id in collection.questions
        for name in collection.right[question_id]
    ]
    found = ir_measures.calc_aggregate([nDCG @ DEPTH, R @ DEPTH], qrels, run)
    return Quality(
        ndcg=found[nDCG @ DEPTH],
        recall=found[R @ DEPTH],
        unanswered=unanswered / len(collection.questions),
    )


async def measure(
    collection: Collection,
    strangers: Collection,
    embedder: OllamaEmbedder,
    reranker: Reranker,
) -> None:
    """Prints one collection's table; the strangers' questions have no answer in it."""
    print(f"{collection.name}: {len(collection.documents)} documents, ", end="")
    print(f"{len(collection.questions)} questions")
    print(LINE.format("", "nDCG@10", "recall@10", "found nothing"))
    with tempfile.TemporaryDirectory() as folder:
        async with open_filled(collection, embedder, Path(folder)) as (index, names, key_ring):

            def retriever(index: Any = index, **options: Any) -> Retriever:
                return Retriever(Everything(), OneCollection(index, embedder), key_ring, **options)

            ways = {
                "words (BM25)": retriever(_OneSided(index, hides="score"), score_floor=1e-9),
                "vectors": retriever(_OneSided(index, hides="overlap"), score_floor=1e-9),
                "both": retriever(score_floor=1e-9),
                f"both, floor {SCORE_FLOOR}": retriever(),
                "both, floor, reranked": retriever(reranker=reranker),
            }
            for name, way in ways.items():
                quality = await judge(way, collection, names)
                figures = (quality.ndcg, quality.recall, quality.unanswered)
                print(LINE.format(name, *(f"{figure:.3f}" for figure in figures)), flush=True)
            nothing = 0
            for question in strangers.questions.values():
                nothing += not await retriever().search(question, scope=SCOPE)
            share = nothing / len(strangers.questions)
            print(f"  of the questions of {strangers.name}, {share:.0%} find nothing\n", flush=True)


async def main() -> None:
    """Prints the figures as tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=["test", "development"], default="test")
    parser.add_argument("--cache-dir", type=Path, default=Path.home() / ".cache/youworker/judged")
    parser.add_argument("--base-url", help="of a server that speaks Ollama's protocol")
    parser.add_argument("--rerank-url")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    everything = await asyncio.to_thread(load_collections, options.cache_dir)
    halves = [each.half(is_development=options.half == "development") for each in everything]
    settings = LlmSettings(ollama_base_url=options.base_url)
    async with open_model_address(settings) as llm:
        assert llm.ollama_base_url is not None
        async with OllamaEmbedder(
            llm.ollama_base_url, llm.embed_model, llm.ollama_api_key
        ) as embedder:
            rerank = RerankSettings(rerank_url=options.rerank_url)
            if rerank.rerank_url is None:
                await _measure_all(halves, embedder, await open_late_interaction())
                return
            async with HttpReranker(rerank) as reranker:
                await _measure_all(halves, embedder, reranker)


async def _measure_all(
    halves: Sequence[Collection], embedder: OllamaEmbedder, reranker: Reranker
) -> None:
    for collection, strangers in zip(halves, reversed(halves), strict=True):
        await measure(collection, strangers, embedder, reranker)


if __name__ == "__main__":
    asyncio.run(main())
