"""The composition root: the one place where things are built, and where they are closed again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import structlog

from graph.agent import build_agent
from graph.llm.chat_model import open_chat_models, open_model_address
from graph.settings import AgentSettings
from loaders.pipeline import open_pipeline
from persistence.access import AccessScope
from persistence.blobs import BlobStore
from persistence.checkpoints import open_checkpointer
from persistence.database import Database, open_database
from persistence.encryption import KeyRing
from persistence.records import User
from persistence.retrieval import Retriever
from persistence.vectors.embeddings import OllamaEmbedder
from persistence.vectors.index import open_index
from server.chat.service import ChatService
from server.documents.service import DocumentService
from server.health.service import HealthService
from server.installation import InstallationSecrets
from server.runs.executor import RunExecutor
from server.runs.lease import Lease, keep_leases
from server.runs.recorder import RunRecorder
from server.security.credentials import Authenticator
from server.settings import LlmSettings, Settings
from server.users.service import UserService
from tools.catalog import open_catalog
from tools.scope import ScopeSigner

A = TypeVar("A")
B = TypeVar("B")

EMBEDDED_HISTORY_TOKENS = 1_200

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What the routes work with."""

    settings: Settings
    authenticator: Authenticator
    executor: RunExecutor
    chat: ChatService
    documents: DocumentService
    users: UserService
    health: HealthService


@asynccontextmanager
async def open_resources(
    settings: Settings, secrets: InstallationSecrets
) -> AsyncIterator[Resources]:
    """Opens everything in order, yields it, and closes it in reverse.

    Raises:
        PersistenceError, GraphError, LoaderError, ToolError: A part cannot be opened.
    """
    data_dir = settings.data_dir.absolute()
    key_ring = KeyRing(secrets.key_list)
    _announce_embedded(settings)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        llm, database = await _enter_both(
            stack,
            open_model_address(settings.llm),
            open_database(settings.database, key_ring=key_ring, data_dir=data_dir),
        )
        checkpointer = await enter(open_checkpointer(database.dsn, key_ring))
        retriever = await _open_retriever(llm, database, key_ring, data_dir, stack)
        pipeline = await enter(open_pipeline(settings.ingest))
        signer = ScopeSigner(secrets.jwt_secret)
        catalog = await enter(open_catalog(settings.mcp, signer=signer, retriever=retriever))
        models = await enter(open_chat_models(llm))
        agent = build_agent(
            models.default, (), checkpointer=checkpointer, settings=_agent_settings(settings)
        )
        executor = RunExecutor(agent, RunRecorder(database, checkpointer))
        lease = Lease(database)
        await enter(keep_leases(lease, executor.live_ids))
        stack.push_async_callback(executor.stop)
        documents = DocumentService(
            database=database,
            blobs=BlobStore(data_dir / "blobs", key_ring),
            pipeline=pipeline,
            retriever=retriever,
            max_file_bytes=settings.ingest.max_file_bytes,
            max_passages=settings.ingest.max_passages,
        )
        await documents.discard_abandoned()
        yield Resources(
            settings=settings,
            authenticator=Authenticator(
                database, root_key=secrets.root_api_key, root=await _ensure_root(database)
            ),
            executor=executor,
            chat=ChatService(
                database=database,
                executor=executor,
                lease=lease,
                models=models,
                default_model=llm.chat_model,
                catalog=catalog,
                signer=signer,
                checkpointer=checkpointer,
            ),
            documents=documents,
            users=UserService(database),
            health=HealthService(
                {
                    "database": database.ping,
                    "qdrant": retriever.ping,
                    "llm": models.ping,
                },
                catalog,
            ),
        )


def _agent_settings(settings: Settings) -> AgentSettings:
    """The embedded model reads some 90 tokens a second: a long history would cost half a minute."""
    if settings.llm.ollama_base_url is not None:
        return settings.agent
    tokens = min(settings.agent.history_tokens, EMBEDDED_HISTORY_TOKENS)
    return settings.agent.model_copy(update={"history_tokens": tokens})


async def _enter_both(
    stack: AsyncExitStack,
    first: AbstractAsyncContextManager[A],
    second: AbstractAsyncContextManager[B],
) -> tuple[A, B]:
    """Opens two things at once: the model and the database take seconds each to start."""
    opening = [asyncio.ensure_future(each.__aenter__()) for each in (first, second)]
    await asyncio.wait(opening, return_when=asyncio.FIRST_EXCEPTION)
    for task in opening:  # whoever is still at it when the other failed need not go on
        task.cancel()
    opened = await asyncio.gather(*opening, return_exceptions=True)
    for manager, value in zip((first, second), opened, strict=True):
        if not isinstance(value, BaseException):
            stack.push_async_exit(manager)
    failures = [value for value in opened if isinstance(value, BaseException)]
    if failures:
        raise next((f for f in failures if isinstance(f, Exception)), failures[0])
    return cast("tuple[A, B]", tuple(opened))


async def _open_retriever(
    llm: LlmSettings,
    database: Database,
    key_ring: KeyRing,
    data_dir: Path,
    stack: AsyncExitStack,
) -> Retriever:
    assert llm.ollama_base_url is not None  # noqa: S101 - settled by open_model_address
    embedder = await stack.enter_async_context(
        OllamaEmbedder(
            llm.ollama_base_url,
            llm.embed_model,
            llm.ollama_api_key,
        )
    )
    index = await stack.enter_async_context(
        open_index(llm, data_dir=data_dir, dimension=embedder.dimension, model=embedder.model)
    )
    return Retriever(database, index, embedder, key_ring)


async def _ensure_root(database: Database) -> User:
    async with database.unit_of_work(AccessScope.system("installation")) as uow:
        root = await uow.users.ensure_root()
        await uow.commit()
    return root


def _announce_embedded(settings: Settings) -> None:
    embedded = {
        "database": settings.database.url is None,
        "index": settings.llm.qdrant_url is None,
        "model": settings.llm.ollama_base_url is None,
    }
    parts = [name for name, is_embedded in embedded.items() if is_embedded]
    if parts:
        log.info("embedded_defaults", parts=parts, data_dir=str(settings.data_dir))
