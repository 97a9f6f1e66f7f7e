"""The files that this process works on: taken, given back, tried again, given up."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeVar
from uuid import UUID

import structlog

from loaders.errors import LoaderError, LoaderUnavailable
from persistence.database import Database
from persistence.errors import Conflict, DatabaseUnavailable, FileLost, NotFound, PersistenceError
from persistence.ingest_records import FileClaim, IngestFailure, IngestFile, Lane, TakenFile
from persistence.notifications import Channel, Notifications
from persistence.records import AuditEntry
from persistence.vectors.errors import EmbeddingError, IndexUnavailable
from server.documents.discovery import Discovery
from server.documents.file_ingester import FileIngester, FileOrder
from server.documents.progress import FileTeller, telling
from server.erasure.ingestion import SYSTEM, IngestEraser
from server.error_responses import translate
from server.errors import IngestConflict, IngestCrashed, NotAuthenticated, ServerError
from server.job_settings import JobSettings
from server.observability import describe
from server.security.principal import Principal, scope_of
from server.security.revocation import Revocation, Watch
from tools.errors import FetchError, UrlUnreachable

MAY_PASS = (
    Conflict,
    DatabaseUnavailable,
    EmbeddingError,
    IndexUnavailable,
    IngestConflict,
    LoaderUnavailable,
    OSError,
    UrlUnreachable,
)
"""What another attempt may not run into."""
PATIENCE_PAUSES_SECONDS = (0.1, 0.5, 1.0, 2.0, *[5.0] * 11)
"""Pauses while the database is away, a minute in all: then the file is left to whoever finds it."""

log = structlog.get_logger(__name__)

T = TypeVar("T")
StopReason = Literal["given_back", "locked_out", "lost"]
"""Why the work was broken off: this process stops, its user may not go on, others have the file."""


@dataclass(kw_only=True, eq=False)
class _LiveFile:
    """A file that is worked on here."""

    taken: TakenFile
    working: "asyncio.Task[Lane | None]"
    reason: StopReason | None = None

    def stop(self, reason: StopReason) -> None:
        """Breaks the work off; the first reason counts."""
        self.reason = self.reason or reason
        self.working.cancel()


class FileWork:
    """Sees to it that a file comes to its end here or elsewhere, and once."""

    def __init__(
        self,
        *,
        database: Database,
        notifications: Notifications,
        ingester: FileIngester,
        discovery: Discovery,
        eraser: IngestEraser,
        revocation: Revocation,
        settings: JobSettings,
    ) -> None:
        self._database = database
        self._ingester = ingester
        self._discovery = discovery
        self._eraser = eraser
        self._revocation = revocation
        self._settings = settings
        self._live: set[_LiveFile] = set()
        self._is_stopping = False
        notifications.subscribe(Channel.INGEST_CANCELLED, self._hear_cancel)

    async def work(self, file_id: UUID) -> float | None:
        """Works on a file; returns after how many seconds to do so again, or None at its end."""
        if self._is_stopping:
            return 0.0
        try:
            taken = await _patiently(lambda: self._take(file_id))
            return await self._work(taken) if taken is not None else None
        except PersistenceError as exc:
            log.warning("file_left", file_id=str(file_id), **describe(exc))
        except Exception as exc:  # noqa: BLE001 - the entry point of a job, which must not be lost
            log.error("file_left", file_id=str(file_id), **describe(exc))
        return self._settings.retry_limit_seconds

    def stop(self) -> None:
        """Gives back all that is worked on, and takes nothing more."""
        self._is_stopping = True
        for live in list(self._live):
            live.stop("given_back")

    async def _take(self, file_id: UUID) -> TakenFile | None:
        async with self._database.unit_of_work(SYSTEM) as uow:
            taken = await uow.ingest_files.take(file_id)
            await uow.commit()
        return taken

    async def _work(self, taken: TakenFile) -> float | None:
        run = taken.run
        if taken.file.crashes >= self._settings.max_crashes:
            await self._give_up(taken, IngestCrashed())
            return None
        with self._revocation.watch(
            run.user_id, login_id=run.login_id, api_key_id=run.api_key_id
        ) as watch:
            try:
                await _patiently(lambda: self._revocation.confirm(watch))
                return await self._work_watched(taken, watch)
            except asyncio.CancelledError:
                await self._give_back(taken.file, failed=False)
                raise

    async def _work_watched(self, taken: TakenFile, watch: Watch) -> float | None:
        live = _LiveFile(taken=taken, working=asyncio.create_task(self._ingest(taken)))
        self._live.add(live)
        watch.on_end(lambda: live.stop("locked_out"))
        if self._is_stopping:
            live.stop("given_back")
        try:
            await asyncio.wait({live.working})
        finally:
            self._live.discard(live)
            live.working.cancel()
            await asyncio.wait({live.working})
        if not live.working.cancelled():
            if live.working.exception() is None and (lane := live.working.result()) is not None:
                await self._move(taken.file, lane)
                return None
            return await self._settle(taken, live.working.exception())
        if live.reason == "given_back":
            return await self._give_back(taken.file, failed=False)
        if live.reason == "locked_out":
            await _patiently(
                lambda: self._eraser.cancel(SYSTEM, taken.run.id, reason=NotAuthenticated())
            )
        return None

    async def _ingest(self, taken: TakenFile) -> Lane | None:
        async with self._database.unit_of_work(SYSTEM) as uow:
            user = await uow.users.get(taken.run.user_id)
        principal = Principal(
            user=user,
            scope=scope_of(user),
            api_key_id=taken.run.api_key_id,
            login_id=taken.run.login_id,
        )
        order = FileOrder(file=taken.file, run=taken.run, principal=principal)
        if taken.file.kind == "discovery":
            await self._discovery.find(order)
            return None
        teller = FileTeller(
            self._database,
            principal.scope,
            taken.file.claim,
            on_lost=lambda: self._lose(taken.file.claim),
        )
        async with telling(teller):
            return await self._ingester.ingest(order, teller)

    async def _settle(self, taken: TakenFile, error: BaseException | None) -> float | None:
        """Decides what becomes of a file whose work has ended."""
        file = taken.file
        if error is None:
            await _patiently(lambda: self._clear(file.id))
            return None
        if isinstance(error, FileLost):
            return None
        log.warning("file_not_ingested", file_id=str(file.id), **describe(error))
        is_known = isinstance(error, (LoaderError, ServerError, FetchError, PersistenceError))
        may_pass = isinstance(error, MAY_PASS) or not is_known
        if may_pass and file.failures + 1 < self._settings.attempts:
            return await self._give_back(file, failed=True)
        await self._give_up(taken, error)
        return None

    async def _give_back(self, file: IngestFile, *, failed: bool) -> float | None:
        """Leaves a file to the next attempt; returns when that may be."""
        pause: float | None = None
        if failed:
            pause = min(
                self._settings.retry_seconds * 2**file.failures, self._settings.retry_limit_seconds
            )
        try:
            await _patiently(lambda: self._write_back(file.claim, pause))
        except FileLost:
            return None
        return pause or 0.0

    async def _move(self, file: IngestFile, lane: Lane) -> None:
        with suppress(FileLost):
            await _patiently(lambda: self._write_lane(file.claim, lane))

    async def _write_lane(self, claim: FileClaim, lane: Lane) -> None:
        async with self._database.unit_of_work(SYSTEM) as uow:
            await uow.ingest_files.move(claim, lane)
            await uow.commit()

    async def _write_back(self, claim: FileClaim, pause: float | None) -> None:
        async with self._database.unit_of_work(SYSTEM) as uow:
            await self._eraser.detach(uow, await uow.ingest_files.hold(claim))
            await uow.ingest_files.give_back(claim, pause_seconds=pause)
            await uow.commit()

    async def _give_up(self, taken: TakenFile, error: BaseException) -> None:
        with suppress(FileLost):
            await _patiently(lambda: self._write_failure(taken, _failure(error)))
            await _patiently(lambda: self._clear(taken.file.id))

    async def _write_failure(self, taken: TakenFile, failure: IngestFailure) -> None:
        file, order = taken.file, taken.run.order
        async with self._database.unit_of_work(SYSTEM) as uow:
            await uow.ingest_files.fail(file.claim, failure, user_id=file.user_id)
            await self._eraser.discard_within(uow, await uow.ingest_files.get(file.id))
            user = await uow.users.get(file.user_id)
            await uow.audit.record(
                AuditEntry(
                    action="document.ingest",
                    resource_type="document",
                    success=False,
                    actor_id=user.id,
                    actor_name=user.username,
                    ip=order.ip,
                    user_agent=order.user_agent,
                    correlation_id=order.correlation_id,
                    details={"code": failure.code},
                )
            )
            await uow.commit()

    async def _clear(self, file_id: UUID) -> None:
        """Removes what a file has left that has come to its end."""
        async with self._database.unit_of_work(SYSTEM) as uow:
            try:
                file = await uow.ingest_files.get(file_id)
            except NotFound:  # a search for files, or the run was deleted
                return
        try:
            await self._eraser.discard(SYSTEM, file)
        except (PersistenceError, OSError) as exc:  # it is looked for again later
            log.warning("original_kept", file_id=str(file_id), **describe(exc))

    def _hear_cancel(self, payload: str) -> None:
        for live in list(self._live):
            if str(live.taken.run.id) == payload:
                live.stop("lost")

    def _lose(self, claim: FileClaim) -> None:
        for live in list(self._live):
            if live.taken.file.claim == claim:
                live.stop("lost")


def _failure(error: BaseException) -> IngestFailure:
    """What is told of it to whoever gave the file."""
    if isinstance(error, (LoaderError, FetchError)):
        return IngestFailure(code=error.code, message=str(error))
    translated = translate(error if isinstance(error, Exception) else Exception())
    return IngestFailure(code=translated.code, message=str(translated))


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Asks the database, and again while it is away.

    Raises:
        DatabaseUnavailable: It stayed away.
    """
    for pause in PATIENCE_PAUSES_SECONDS:
        try:
            return await ask()
        except DatabaseUnavailable:
            await asyncio.sleep(pause)
    return await ask()
