"""What makes files searchable, as the server and a worker of its own are made of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from loaders.pipeline import Pipeline
from persistence.blobs import BlobStore
from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.notifications import Notifications
from persistence.retrieval import Retriever
from server.documents.content_restorer import ContentRestorer
from server.documents.discovery import Discovery
from server.documents.file_ingester import FileIngester
from server.documents.file_work import FileWork
from server.documents.ingest_feed import IngestFeed
from server.documents.ingestion import IngestService
from server.documents.originals import Originals
from server.documents.paths import ServerPaths
from server.documents.sharing import DocumentSharing
from server.erasure.documents import DocumentEraser
from server.erasure.ingestion import SYSTEM, IngestEraser
from server.jobs.runner import JobRunner
from server.observability import describe
from server.security.revocation import Revocation
from server.settings import Settings
from tools.outbound import Fetcher

HOUSEKEEPING_SECONDS = 600.0
"""From one time to the next that old runs are deleted, and what was left lying."""
JOBS_PER_READER = 2
"""Files at work for each that is read: the others are fetched or embedded."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class IngestionParts:
    """The parts, which share what they work with."""

    service: IngestService
    feed: IngestFeed
    runner: JobRunner
    eraser: IngestEraser


@dataclass(frozen=True, kw_only=True)
class IngestionBase:
    """What the parts work with."""

    settings: Settings
    database: Database
    notifications: Notifications
    revocation: Revocation
    retriever: Retriever
    pipeline: Pipeline
    blobs: BlobStore


def build_ingestion(base: IngestionBase) -> IngestionParts:
    """Makes the parts; nothing is begun yet."""
    settings, database, blobs = base.settings, base.database, base.blobs
    paths = ServerPaths(settings.ingest)
    sharing = DocumentSharing(database, base.retriever)
    eraser = IngestEraser(
        database=database,
        blobs=blobs,
        retriever=base.retriever,
        documents=DocumentEraser(database=database, blobs=blobs, retriever=base.retriever),
    )
    originals = Originals(
        blobs=blobs,
        paths=paths,
        fetcher=Fetcher(settings.outbound),
        max_file_bytes=settings.ingest.max_file_bytes,
    )
    ingester = FileIngester(
        database=database,
        blobs=blobs,
        pipeline=base.pipeline,
        retriever=base.retriever,
        sharing=sharing,
        originals=originals,
    )
    work = FileWork(
        database=database,
        notifications=base.notifications,
        ingester=ingester,
        restorer=ContentRestorer(
            database=database, blobs=blobs, pipeline=base.pipeline, retriever=base.retriever
        ),
        discovery=Discovery(database, paths, max_waiting_files=settings.jobs.max_waiting_files),
        eraser=eraser,
        revocation=base.revocation,
        settings=settings.jobs,
    )
    feed = IngestFeed(database, base.notifications)
    service = IngestService(
        database=database,
        blobs=blobs,
        originals=originals,
        paths=paths,
        sharing=sharing,
        feed=feed,
        eraser=eraser,
        revocation=base.revocation,
        settings=settings.jobs,
    )
    return IngestionParts(
        service=service, feed=feed, runner=_build_runner(base, work), eraser=eraser
    )


def _build_runner(base: IngestionBase, work: FileWork) -> JobRunner:
    return JobRunner(
        database=base.database,
        notifications=base.notifications,
        files=work,
        settings=base.settings.jobs,
        places={
            "files": base.settings.ingest.parallel_files * JOBS_PER_READER,
            "recordings": 1,  # one is listened to at a time
        },
    )


@asynccontextmanager
async def keep_house(
    database: Database, eraser: IngestEraser, *, days: float
) -> AsyncIterator[None]:
    """Removes, at once and now and then, what was left lying, and runs that ended days ago."""
    await eraser.discard_abandoned()
    keeping = asyncio.create_task(
        _keep(database, eraser, timedelta(days=days)), name="ingest-retention"
    )
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def _keep(database: Database, eraser: IngestEraser, retention: timedelta) -> None:
    while True:
        try:
            async with database.unit_of_work(SYSTEM) as uow:
                before = datetime.now(UTC) - retention
                if count := await uow.ingest_runs.expire(finished_before=before):
                    log.info("ingest_runs_expired", runs=count)
                await uow.commit()
        except PersistenceError as exc:
            log.warning("ingest_retention_failed", **describe(exc))
        except Exception as exc:  # noqa: BLE001 - the entry point of a task that must go on
            log.error("ingest_retention_failed", **describe(exc))
        await asyncio.sleep(HOUSEKEEPING_SECONDS)
        await eraser.discard_abandoned()
