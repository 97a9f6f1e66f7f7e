"""The files that this process works on: taken, given back, tried again, given up."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeVar
from uuid import UUID

import structlog

from loaders.errors import LoaderError, LoaderUnavailable
from persistence.database import Database
from persistence.errors import Conflict, DatabaseUnavailable, FileLost, PersistenceError
from persistence.ingest_records import FileClaim, IngestFailure, IngestFile, Lane, TakenFile
from persistence.notifications import Channel, Notifications
from persistence.records import AuditEntry
from persistence.unit_of_work import UnitOfWork
from persistence.vectors.errors import EmbeddingError, IndexUnavailable
from server.documents.content_restorer import ContentRestorer
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

CRASHES_TO_UNDO = 2
"""So many times as many processes may die over what undoes a file as over the file."""
PATIENT_ATTEMPTS = 50
"""How often it is looked whether somebody else is done with the same content: that may take as long
as a recording of hours."""
MAX_DOUBLINGS = 20
"""Of a pause, which has reached its limit long before."""

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
        restorer: ContentRestorer,
        discovery: Discovery,
        eraser: IngestEraser,
        revocation: Revocation,
        settings: JobSettings,
    ) -> None:
        self._database = database
        self._ingester = ingester
        self._restorer = restorer
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
        file, run = taken.file, taken.run
        try:
            if file.ends_as is not None:  # also of a user who is locked out by now
                return await self._undo(taken)
            if file.crashes >= self._settings.max_crashes:
                return await self._give_up(taken, _failure(IngestCrashed()))
            with self._revocation.watch(
                run.user_id, login_id=run.login_id, api_key_id=run.api_key_id
            ) as watch:
                await _patiently(lambda: self._revocation.confirm(watch))
                return await self._see_through(taken, self._ingest(taken), watch)
        except asyncio.CancelledError:
            await self._give_back(file, failed=False)
            raise

    async def _undo(self, taken: TakenFile) -> float | None:
        """Has a file end when the index is as it was before it."""
        file = taken.file
        assert file.failure is not None  # noqa: S101 - why it is to end stands beside that it is
        if file.crashes >= self._settings.max_crashes * CRASHES_TO_UNDO:
            log.error("content_not_restored", file_id=str(file.id))
            return await self._give_up(taken, file.failure)
        return await self._see_through(taken, self._restorer.restore(file))

    async def _see_through(
        self,
        taken: TakenFile,
        work: Coroutine[None, None, Lane | None],
        watch: Watch | None = None,
    ) -> float | None:
        live = _LiveFile(taken=taken, working=asyncio.create_task(work))
        self._live.add(live)
        if watch is not None:
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
        if live.reason == "locked_out":
            await _patiently(
                lambda: self._eraser.cancel(SYSTEM, taken.run.id, reason=NotAuthenticated())
            )
        # Also what was taken for lost: nobody else looks after it if it is this one's still.
        again = await self._give_back(taken.file, failed=False)
        if again is None:
            await _patiently(lambda: self._clear(taken.file.id))
        return again

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
        if error is None and file.failure is not None:
            return await self._give_up(taken, file.failure)
        if error is None:
            await _patiently(lambda: self._clear(file.id))
            return None
        if isinstance(error, FileLost):
            return None
        log.warning("file_not_ingested", file_id=str(file.id), **describe(error))
        is_known = isinstance(error, (LoaderError, ServerError, FetchError, PersistenceError))
        may_pass = isinstance(error, MAY_PASS) or not is_known
        if may_pass and (file.failure or file.failures + 1 < self._attempts(error)):
            return await self._give_back(file, failed=True)
        if file.failure is not None:
            log.error("content_not_restored", file_id=str(file.id), **describe(error))
        return await self._give_up(taken, file.failure or _failure(error))

    def _attempts(self, error: BaseException) -> int:
        """How often a file is tried that fails like this."""
        most = self._settings.attempts
        return max(most, PATIENT_ATTEMPTS) if isinstance(error, IngestConflict) else most

    async def _give_back(self, file: IngestFile, *, failed: bool) -> float | None:
        """Leaves a file to the next attempt; returns when that may be."""
        pause: float | None = None
        if failed:
            doublings = min(file.failures, MAX_DOUBLINGS)
            pause = min(
                self._settings.retry_seconds * 2**doublings, self._settings.retry_limit_seconds
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

    async def _give_up(self, taken: TakenFile, failure: IngestFailure) -> float | None:
        """Ends a file that is not taken; returns when to go on if its content may be in force."""
        try:
            if not await _patiently(lambda: self._write_failure(taken, failure)):
                return 0.0
        except FileLost:
            pass
        await _patiently(lambda: self._clear(taken.file.id))
        return None

    async def _write_failure(self, taken: TakenFile, failure: IngestFailure) -> bool:
        """Whether that is its end: what may be in the index has to be taken back first."""
        async with self._database.unit_of_work(SYSTEM) as uow:
            file = await uow.ingest_files.hold(taken.file.claim)
            if is_end := not file.is_settling or file.ends_as is not None:
                is_cancelled = file.ends_as == "cancelled"
                await uow.ingest_files.fail(
                    file.claim, failure, user_id=file.user_id, cancelled=is_cancelled
                )
                if (ended := await uow.ingest_leftovers.get(file.id)) is not None:
                    await self._eraser.discard_within(uow, ended)
                if not is_cancelled:
                    await _record_failure(uow, taken, failure)
            else:
                await uow.ingest_files.withdraw(file.claim, failure, user_id=file.user_id)
            await uow.commit()
        return is_end

    async def _clear(self, file_id: UUID) -> None:
        """Removes what a file has left that has come to its end."""
        async with self._database.unit_of_work(SYSTEM) as uow:
            file = await uow.ingest_leftovers.get(file_id)
        if file is None:  # somebody else works on it, or it is gone
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


async def _record_failure(uow: UnitOfWork, taken: TakenFile, failure: IngestFailure) -> None:
    order = taken.run.order
    user = await uow.users.get(taken.file.user_id)
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
