"""How far a file is, told as often as anybody can follow and no oftener."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import FileLost, PersistenceError
from persistence.ingest_records import (
    FileClaim,
    FileProgress,
    IngestFileStatus,
    ProgressUnit,
)
from server.observability import describe

PACE_SECONDS = 0.25
"""From one note to the next; a small file is done before the first."""

log = structlog.get_logger(__name__)


class FileTeller:
    """Writes down the last that is known of a file."""

    def __init__(
        self,
        database: Database,
        scope: AccessScope,
        claim: FileClaim,
        *,
        on_lost: Callable[[], None],
    ) -> None:
        """Args: on_lost: called when the file turns out to be somebody else's, or cancelled."""
        self._database = database
        self._scope = scope
        self._claim = claim
        self._on_lost = on_lost
        self._status: IngestFileStatus = "reading"
        self._progress: FileProgress | None = None
        self._is_told = asyncio.Event()

    def tell(self, status: IngestFileStatus) -> None:
        """Says that something else is done now."""
        self._status = status
        self._progress = None
        self._is_told.set()

    def count(self, done: int, total: int, unit: ProgressUnit = "pages") -> None:
        """Says how much of it is done."""
        self._progress = FileProgress(done=done, total=total, unit=unit)
        self._is_told.set()

    async def keep(self) -> None:
        """Writes whenever there is something new; goes on until it is cancelled."""
        while True:
            await self._is_told.wait()
            await asyncio.sleep(PACE_SECONDS)
            self._is_told.clear()
            try:
                async with self._database.unit_of_work(self._scope) as uow:
                    await uow.ingest_files.advance(self._claim, self._status, self._progress)
                    await uow.commit()
            except FileLost:
                self._on_lost()
                return
            except PersistenceError as exc:  # the next one may get through
                log.warning("progress_not_told", **describe(exc))


@asynccontextmanager
async def telling(teller: FileTeller) -> AsyncIterator[None]:
    """Within it, what the teller is told is written down."""
    keeping = asyncio.create_task(teller.keep(), name="ingest-progress")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
