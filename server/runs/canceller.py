"""Ends runs wherever they are: here, on another replica, in a queue, or nowhere any more."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any
from uuid import UUID

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import NotFound, PersistenceError
from persistence.event_batches import EventBatch
from persistence.notifications import Channel, Notifications
from persistence.run_records import Run
from server.observability import describe
from server.runs.executor import RunExecutor
from server.runs.keeper import RunKeeper
from server.runs.live import LiveRun
from server.runs.run import RunOutcome, last_events

PATIENCE_SECONDS = 0.5
"""How long the process that executes a run may take to end it, before it is taken away from it."""
SETTLE_SECONDS = 10.0
"""How long a server that stops waits for the ends of runs whose readers have left."""

log = structlog.get_logger(__name__)


class RunCanceller:
    """Cancels runs of any user's scope."""

    def __init__(
        self,
        *,
        database: Database,
        executor: RunExecutor,
        keeper: RunKeeper,
        notifications: Notifications,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._database = database
        self._executor = executor
        self._keeper = keeper
        self._patience_seconds = patience_seconds
        self._changes: dict[str, set[asyncio.Event]] = {}
        self._background: set[asyncio.Task[None]] = set()
        notifications.subscribe(Channel.RUN_CHANGED, self._note_change)

    async def cancel(self, scope: AccessScope, run_id: UUID) -> None:
        """Ends a run and waits until it is written down; one that has ended is left as it is.

        Args:
            scope: Of the run's user; a run that is out of its sight is left alone.
            run_id: The run.

        Raises:
            PersistenceError: The database did not do it.
        """
        await self._end(scope, run_id, self._stop_here(scope, run_id))

    def cancel_soon(self, scope: AccessScope, run_id: UUID) -> None:
        """Does the same without waiting for it; a run that is at work here stops at once."""
        ending = self._end(scope, run_id, self._stop_here(scope, run_id))
        task = asyncio.create_task(_end_unheard(run_id, ending))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def settle(self) -> None:
        """Waits for what was to be ended soon."""
        if self._background:
            _, late = await asyncio.wait(self._background, timeout=SETTLE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _stop_here(self, scope: AccessScope, run_id: UUID) -> LiveRun | None:
        """Stops a run that is executed here; None if it is not, or out of sight."""
        live = self._executor.live(run_id)
        if live is None or not scope.owns(live.request.principal.user.id):
            return None
        live.cancel()
        return live

    async def _end(self, scope: AccessScope, run_id: UUID, live: LiveRun | None) -> None:
        """Sees to the end of a run, be it one that was stopped here."""
        if live is not None and await live.outcome() is not None:
            return
        changed = asyncio.Event()
        self._changes.setdefault(str(run_id), set()).add(changed)
        try:
            run = await self._ask(scope, run_id)
            if run is None or (run.status == "running" and await self._ends(scope, run, changed)):
                return
        finally:
            self._changes[str(run_id)].discard(changed)
            if not self._changes[str(run_id)]:
                del self._changes[str(run_id)]
        ended = await self._keeper.end(run_id)
        if ended is not None:
            await ended.outcome()

    async def _ask(self, scope: AccessScope, run_id: UUID) -> Run | None:
        """Asks for the end of a run; None if there is nothing left to do."""
        async with self._database.unit_of_work(scope) as uow:
            run = await uow.run_claims.discard_queued(run_id)
            if run is not None:
                events = last_events(_never_begun(run))
                await uow.run_events.append(
                    EventBatch.of(run.id, run.attempt, after=1, events=events)
                )
                await uow.commit()
                return None
            run = await uow.run_claims.ask_cancel(run_id)
            await uow.commit()
        return run

    async def _ends(self, scope: AccessScope, run: Run, changed: asyncio.Event) -> bool:
        """Waits a moment for the process that executes the run; whether the run has ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience_seconds):
                while True:
                    if not await self._is_live(scope, run.id):
                        return True
                    await changed.wait()
                    changed.clear()
        return False

    async def _is_live(self, scope: AccessScope, run_id: UUID) -> bool:
        async with self._database.unit_of_work(scope) as uow:
            try:
                return (await uow.runs.get(run_id)).is_live
            except NotFound:  # deleted with its session
                return False

    def _note_change(self, payload: str) -> None:
        for event in self._changes.get(payload, ()):
            event.set()


async def _end_unheard(run_id: UUID, ending: Coroutine[Any, Any, None]) -> None:
    try:
        await ending
    except PersistenceError as exc:
        log.warning("run_not_cancelled", run_id=str(run_id), **describe(exc))
    except Exception as exc:  # noqa: BLE001 - the entry point of a task that nobody reads
        log.error("run_not_cancelled", run_id=str(run_id), **describe(exc))


def _never_begun(run: Run) -> RunOutcome:
    return RunOutcome(status="cancelled", content="", model=run.model, latency_ms=0)
