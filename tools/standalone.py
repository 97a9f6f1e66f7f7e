"""The built-in servers by name, with what each of them needs when it is served alone."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mcp.server.lowlevel import Server
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from persistence.settings import (
    DatabaseSettings,
    EncryptionSettings,
    RerankSettings,
    VectorSettings,
)
from tools.errors import CannotServe
from tools.servers import datetime_, units
from tools.settings import OutboundSettings, WebSettings

if TYPE_CHECKING:
    from persistence.vectors.embeddings import OllamaEmbedder

BuiltServer: TypeAlias = Server[dict[str, Any], Any]

NEEDS = """what they need from the environment (or .env), named as the product names it:
  datetime, units   nothing
  web               OUTBOUND__ENABLED=true; WEB__SEARXNG_URL to search as well
  semantic          DATABASE__URL, LLM__OLLAMA_BASE_URL, LLM__QDRANT_URL (or the DATA_DIR of a
                    product that is not running), and the product's own SECURITY__JWT_SECRET and
                    SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET. Each call must carry the caller that
                    the product has signed, as it does for servers with "forwardCaller": true.

Over HTTP nobody but semantic asks who is calling: stay on loopback, or behind something that asks.
"""


class SecretSettings(EncryptionSettings):
    """The secrets that a server shares with the product (`SECURITY__*`)."""

    jwt_secret: SecretStr | None = None


class IndexSettings(VectorSettings, RerankSettings):
    """Where vectors are and what makes them (`LLM__*`)."""

    ollama_base_url: str | None = None
    ollama_api_key: SecretStr | None = None


class StandaloneSettings(BaseSettings):
    """What a server reads that is served alone: the product's variables, with its defaults."""

    model_config = SettingsConfigDict(
        env_nested_delimiter="__",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    data_dir: Path = Path(".data")
    database: DatabaseSettings = DatabaseSettings()
    security: SecretSettings = SecretSettings()
    llm: IndexSettings = IndexSettings()
    outbound: OutboundSettings = OutboundSettings()
    web: WebSettings = WebSettings()


@asynccontextmanager
async def _open_datetime(_: StandaloneSettings) -> AsyncIterator[BuiltServer]:
    yield datetime_.build_datetime_server()


@asynccontextmanager
async def _open_units(_: StandaloneSettings) -> AsyncIterator[BuiltServer]:
    yield units.build_units_server()


@asynccontextmanager
async def _open_web(settings: StandaloneSettings) -> AsyncIterator[BuiltServer]:
    from tools.web_server import open_web

    if not settings.outbound.enabled:
        raise CannotServe("OUTBOUND__ENABLED is not true, and so nothing may be fetched.")
    async with open_web(settings.web, settings.outbound) as tools:
        yield tools.build_server()


@asynccontextmanager
async def _open_semantic(settings: StandaloneSettings) -> AsyncIterator[BuiltServer]:
    # None of the others needs a database.
    from persistence.database import open_database
    from persistence.encryption import KeyRing
    from persistence.index_collections import open_collections
    from persistence.notifications import open_notifications
    from persistence.ranking.reranker import HttpReranker
    from persistence.retrieval import Retriever
    from persistence.vectors.index import open_host
    from tools.scope import ScopeSigner
    from tools.servers.semantic import build_semantic_server

    llm, data_dir = settings.llm, settings.data_dir.absolute()
    signing = _require("SECURITY__JWT_SECRET", settings.security.jwt_secret)
    keys = _require(
        "SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET",
        settings.security.chat_message_encryption_secret,
    )
    _require("DATABASE__URL", settings.database.url)
    if llm.ollama_base_url is None:
        raise CannotServe("LLM__OLLAMA_BASE_URL is not set.")
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        key_ring = KeyRing([key.strip() for key in keys.split(",")])
        database = await enter(
            open_database(settings.database, key_ring=key_ring, data_dir=data_dir)
        )
        notifications = await enter(open_notifications(database.dsn))
        host = await enter(open_host(llm, data_dir=data_dir))
        collections = await enter(
            open_collections(
                database,
                host,
                partial(_open_embedder, llm),
                model=llm.embed_model,
                notifications=notifications,
            )
        )
        reranker = await enter(HttpReranker(llm)) if llm.rerank_url is not None else None
        retriever = Retriever(database, collections, database.key_ring, reranker=reranker)
        yield build_semantic_server(retriever, ScopeSigner(signing))


def _open_embedder(llm: IndexSettings, model: str) -> "OllamaEmbedder":
    from persistence.vectors.embeddings import OllamaEmbedder

    assert llm.ollama_base_url is not None  # noqa: S101 - required above
    return OllamaEmbedder(llm.ollama_base_url, model, llm.ollama_api_key)


def _require(name: str, secret: SecretStr | None) -> str:
    if secret is None:
        raise CannotServe(f"{name} is not set.")
    return secret.get_secret_value()


OPENERS: Mapping[str, Callable[[StandaloneSettings], AbstractAsyncContextManager[BuiltServer]]] = {
    "datetime": _open_datetime,
    "semantic": _open_semantic,
    "units": _open_units,
    "web": _open_web,
}
"""Raise `CannotServe`, `SearchFailed` or a `PersistenceError` if there is something missing."""
