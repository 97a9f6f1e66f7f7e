"""The vector index with the model that fills it, for the server and for a worker of its own."""

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from persistence.database import Database
from persistence.index_collections import open_collections
from persistence.notifications import Notifications
from persistence.ranking.reranker import HttpReranker
from persistence.reindexing import Reindexer
from persistence.reindexing_requests import serve_reindexing
from persistence.retrieval import Retriever
from persistence.vectors.embeddings import OllamaEmbedder
from persistence.vectors.index import open_host
from server.settings import LlmSettings


async def open_retriever(
    llm: LlmSettings,
    database: Database,
    data_dir: Path,
    notifications: Notifications,
    stack: AsyncExitStack,
) -> Retriever:
    """The index with the model that fills it; both are closed with the stack.

    Raises:
        PersistenceError: One of them cannot be opened.
    """
    enter = stack.enter_async_context
    host = await enter(open_host(llm, data_dir=data_dir))
    open_embedder = partial(make_embedder, llm)
    collections = await enter(
        open_collections(
            database, host, open_embedder, model=llm.embed_model, notifications=notifications
        )
    )
    if not host.is_shared:
        reindexer = Reindexer(database, host, open_embedder)
        await enter(serve_reindexing(database, notifications, reindexer))
    reranker = await enter(HttpReranker(llm)) if llm.rerank_url is not None else None
    return Retriever(database, collections, database.key_ring, reranker=reranker)


def make_embedder(llm: LlmSettings, model: str) -> OllamaEmbedder:
    """An embedding model of the configured server, to be opened."""
    assert llm.ollama_base_url is not None  # noqa: S101 - settled by open_model_address
    return OllamaEmbedder(llm.ollama_base_url, model, llm.ollama_api_key)
