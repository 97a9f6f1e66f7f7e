"""What a worker of its own is made of: of the server only what makes files searchable."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from graph.llm.chat_model import open_model_address
from loaders.pipeline import Pipeline, open_pipeline
from persistence.blobs import BlobStore
from persistence.database import open_database
from persistence.encryption import KeyRing
from persistence.notifications import open_notifications
from server.bootstrap import find_speech_model
from server.errors import ConfigurationError
from server.ingestion_parts import IngestionBase, build_ingestion, keep_house
from server.installation import InstallationSecrets
from server.jobs.runner import keep_jobs
from server.retrieval_parts import open_retriever
from server.security.revocation import open_revocation
from server.settings import Settings


def require_shared(settings: Settings) -> None:
    """Returns if another process can work beside the server.

    Raises:
        ConfigurationError: Database or index are embedded.
    """
    for name, value in (
        ("DATABASE__URL", settings.database.url),
        ("LLM__QDRANT_URL", settings.llm.qdrant_url),
    ):
        if value is None:
            raise ConfigurationError(
                f"{name} is not set, and only one process, the server, may hold the embedded "
                "database and index: leave the work to it (JOBS__IN_API=true), or set both."
            )


@asynccontextmanager
async def open_worker(settings: Settings, secrets: InstallationSecrets) -> AsyncIterator[Pipeline]:
    """Works on files until the end; yields what reads them, to be warmed up.

    Raises:
        ConfigurationError: Database or index are embedded.
        PersistenceError, GraphError, LoaderError: A part cannot be opened.
    """
    require_shared(settings)
    data_dir = settings.data_dir.absolute()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        llm = await enter(open_model_address(settings.llm))
        database = await enter(
            open_database(settings.database, key_ring=KeyRing(secrets.key_list), data_dir=data_dir)
        )
        notifications = await enter(open_notifications(database.dsn))
        revocation = await enter(open_revocation(database, notifications))
        retriever = await open_retriever(llm, database, data_dir, notifications, stack)
        find_speech = partial(find_speech_model, settings.llm)
        pipeline = await enter(open_pipeline(settings.ingest, settings.speech, find_speech))
        ingestion = build_ingestion(
            IngestionBase(
                settings=settings,
                database=database,
                notifications=notifications,
                revocation=revocation,
                retriever=retriever,
                pipeline=pipeline,
                blobs=BlobStore(data_dir / "blobs", database.key_ring),
            )
        )
        await enter(keep_house(database, ingestion.eraser, days=settings.jobs.retention_days))
        await enter(keep_jobs(ingestion.runner))
        yield pipeline
