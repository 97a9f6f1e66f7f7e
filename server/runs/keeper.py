"""Takes runs that wait for a process, as many as this one has room for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import structlog

from persistence.database import Database
from persistence.errors import Conflict, PersistenceError
from persistence.notifications import Channel, Notifications
from persistence.run_records import ClaimedRun, RunClaim
from persistence.unit_of_work import UnitOfWork
from server.observability import describe
from server.runs.asking import expire_approvals
from server.runs.executor import RunExecutor
from server.runs.live import LiveRun
from server.runs.run import RunOutcome, RunRequest
from server.runs.takeover import SYSTEM, RunTakeover

LOOKS_PER_LEASE = 3
"""How often, in the time of a lease, runs are looked for whose lease has lapsed."""
BATCH = 20
"""Runs that are claimed at a time, so that other processes get their share."""
LOCKED_SECONDS = 0.1
"""After so long a run is looked for again whose turn has come and whose rows were locked."""
SETTLE_SECONDS = 10.0
"""How long a process that stops waits until what it has claimed is at work, to be handed over."""
HAND_OVER_SECONDS = 2.0
"""How long it takes after that at most, to hand over what it has not come to."""

log = structlog.get_logger(__name__)

T = TypeVar("T")
Claim = Callable[[UnitOfWork, int], Coroutine[Any, Any, list[ClaimedRun]]]
"""Takes so many runs at most."""


class RunKeeper:
    """Claims runs that have lapsed, that are next, or that people have answered."""

    def __init__(
        self,
        *,
        database: Database,
        executor: RunExecutor,
        takeover: RunTakeover,
        owner: str,
        lease_seconds: float,
        max_live: int,
    ) -> None:
        """Prepare to look after runs.

        Args:
            database: Has the runs.
            executor: Executes those that are taken.
            takeover: Makes them ready for that.
            owner: Names this process in the runs that it has.
            lease_seconds: For how long a run is taken, if nothing more is heard.
            max_live: With so many runs at work here none is taken; what users ask here directly
                is begun all the same.
        """
        self._database = database
        self._executor = executor
        self._takeover = takeover
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._max_live = max_live
        self._wanted = asyncio.Event()
        self._is_full = False
        self._claiming: set[asyncio.Task[Any]] = set()
        executor.on_settled(self._note_settled)

    def wake(self) -> None:
        """Has the database asked, now, for runs to take."""
        self._wanted.set()

    def hear_cancel(self, payload: str) -> None:
        """Ends a run that is executed here, because somebody has asked for that."""
        with suppress(ValueError):
            live = self._executor.live(UUID(payload))
            if live is not None:
                live.cancel()

    async def end(self, run_id: UUID) -> LiveRun | None:
        """Takes a run that has begun from whoever has it, and ends it as cancelled.

        Returns:
            The run, which is being written down; None if it has ended, or has not begun.

        Raises:
            PersistenceError: It could not be taken.
        """
        return await self._to_its_end(self._seize(run_id))

    async def lapse_all(self) -> None:
        """Takes every run for lost: nobody else can be at work on an embedded database.

        Raises:
            PersistenceError: The database could not be reached.
        """
        async with self._database.unit_of_work(SYSTEM) as uow:
            await uow.run_claims.lapse_all(self._lease_seconds)
            await uow.commit()

    async def look(self) -> None:
        """Closes approvals whose time is over, and takes what waits.

        Raises:
            PersistenceError: The database did not do all of it.
        """
        await self._expire_approvals()
        await self.take()

    async def take(self) -> None:
        """Takes what waits, of every kind.

        Raises:
            PersistenceError: The database did not do all of it.
        """
        await self._take(self._claim_lapsed)
        await self._take(self._claim_answered)
        await self._begin_queued()

    async def keep(self) -> None:
        """Looks whenever somebody says so and from time to time; goes on until it is cancelled."""
        interval = self._lease_seconds / LOOKS_PER_LEASE
        loop = asyncio.get_running_loop()
        next_look = loop.time()
        while True:
            try:
                if loop.time() >= next_look:
                    next_look = loop.time() + interval
                    await self.look()
                else:
                    await self.take()
            except PersistenceError as exc:
                log.warning("runs_not_looked_after", **describe(exc))
            except Exception as exc:  # noqa: BLE001 - the entry point of a task that must go on
                log.error("runs_not_looked_after", **describe(exc))
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_look):
                    await self._wanted.wait()
                    self._wanted.clear()

    async def settle(self) -> None:
        """Waits until what has been claimed is at work here, or in other hands."""
        if self._claiming:
            _, late = await asyncio.wait(self._claiming, timeout=SETTLE_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=HAND_OVER_SECONDS)

    async def _to_its_end(self, claiming: Coroutine[Any, Any, T]) -> T:
        """Does something from a claim to the work on it, also when whoever wants it is cancelled.

        A run that was claimed and nobody works on would be missed only when its lease lapses, and
        be taken for one over which its process has died.
        """
        task = asyncio.create_task(claiming)
        self._claiming.add(task)
        task.add_done_callback(self._claiming.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_fault)
            raise

    async def _expire_approvals(self) -> None:
        async with self._database.unit_of_work(SYSTEM) as uow:
            await expire_approvals(uow, datetime.now(UTC))
            # Whoever waits closes them in time; of these nobody does.
            await uow.questions.expire_all(datetime.now(UTC))
            await uow.commit()

    def _room(self) -> int:
        """How many more runs may be taken."""
        if self._executor.stopping:
            return 0
        room = max(0, self._max_live - len(self._executor.live_ids()))
        self._is_full = room == 0
        return room

    def _note_settled(self, _: RunRequest, __: RunOutcome) -> None:
        if self._is_full:
            self._is_full = False
            # The run that was settled is counted until the callbacks of its task have been called.
            asyncio.get_running_loop().call_soon(self.wake)

    async def _take(self, claim: Claim) -> None:
        """Claims a batch at a time. One that cannot be gone on with does not hold up the others."""
        while limit := min(BATCH, self._room()):
            if await self._to_its_end(self._take_batch(claim, limit)) < limit:
                return

    async def _take_batch(self, claim: Claim, limit: int) -> int:
        async with self._claims() as claimed:
            async with self._database.unit_of_work(SYSTEM) as uow:
                claimed += await claim(uow, limit)
                await uow.commit()
            for each in claimed:
                await self._set_to_work(each, self._takeover.go_on(each))
        return len(claimed)

    async def _seize(self, run_id: UUID) -> LiveRun | None:
        async with self._claims() as claimed:
            async with self._database.unit_of_work(SYSTEM) as uow:
                seized = await uow.run_claims.seize(run_id, self._owner, self._lease_seconds)
                if seized is None:
                    return None
                claimed.append(seized)
                await uow.commit()
            return await self._takeover.go_on(seized, cancel=True)

    async def _set_to_work(
        self, claimed: ClaimedRun, work: Coroutine[Any, Any, LiveRun | None]
    ) -> None:
        """Begins a run or goes on with it; whatever comes of that does not hold up the others."""
        run_id = str(claimed.run.id)
        try:
            await work
        except PersistenceError as exc:  # its lease will lapse
            log.warning("run_not_gone_on_with", run_id=run_id, **describe(exc))
        except Exception as exc:  # noqa: BLE001 - it would be the same at the next attempt
            log.error("run_not_gone_on_with", run_id=run_id, **describe(exc))
            try:
                await self._takeover.give_up(claimed)
            except PersistenceError as failure:  # its lease will lapse, and it is tried again
                log.warning("run_not_given_up", run_id=run_id, **describe(failure))

    @asynccontextmanager
    async def _claims(self) -> AsyncIterator[list[ClaimedRun]]:
        """What is claimed within, and not at work when that is cancelled, is left to others."""
        claimed: list[ClaimedRun] = []
        try:
            yield claimed
        except asyncio.CancelledError:
            await self._hand_over([c for c in claimed if self._executor.live(c.run.id) is None])
            raise

    async def _hand_over(self, claimed: Sequence[ClaimedRun]) -> None:
        try:
            async with self._database.unit_of_work(SYSTEM) as uow:
                for each in claimed:
                    await uow.run_claims.hand_over(
                        RunClaim(run_id=each.run.id, attempt=each.run.attempt, owner=each.owner)
                    )
                await uow.commit()
        except PersistenceError as exc:  # their leases will lapse
            log.warning("runs_not_handed_over", **describe(exc))

    async def _begin_queued(self) -> None:
        while self._room() and await self._to_its_end(self._begin_next()):
            pass

    async def _begin_next(self) -> bool:
        """Begins a run whose turn has come; False if there is none to be had."""
        async with self._claims() as claimed:
            async with self._database.unit_of_work(SYSTEM) as uow:
                try:
                    claimed += await uow.run_claims.claim_queued(
                        self._owner, self._lease_seconds, limit=1
                    )
                except Conflict:  # a run has begun in that session at the same moment
                    self._wake_soon()
                    return False
                if not claimed:
                    # Nobody says when a row is free again.
                    if await uow.run_claims.has_next():
                        self._wake_soon()
                    return False
                [first] = claimed
                begun = await self._takeover.record_begin(uow, first)
                await uow.commit()
            if begun is not None:
                work = self._takeover.begin(begun, cancel=first.cancel_asked)
                await self._set_to_work(first, work)
        return True

    def _wake_soon(self) -> None:
        asyncio.get_running_loop().call_later(LOCKED_SECONDS, self.wake)

    async def _claim_lapsed(self, uow: UnitOfWork, limit: int) -> list[ClaimedRun]:
        return await uow.run_claims.claim_lapsed(
            self._owner, self._lease_seconds, mine=self._executor.live_ids(), limit=limit
        )

    async def _claim_answered(self, uow: UnitOfWork, limit: int) -> list[ClaimedRun]:
        return await uow.run_claims.claim_answered(self._owner, self._lease_seconds, limit=limit)


def _log_fault(claiming: asyncio.Task[Any]) -> None:
    """Says what came of claims whose waiter has gone: nobody else hears of it."""
    exc = None if claiming.cancelled() else claiming.exception()
    if exc is not None:
        log.error("runs_not_looked_after", **describe(exc))


@asynccontextmanager
async def keep_runs(
    keeper: RunKeeper, notifications: Notifications, *, alone: bool
) -> AsyncIterator[None]:
    """Looks after runs until the end.

    Args:
        keeper: Does it.
        notifications: Say when there is something to do.
        alone: Whether no other process can be at work on the same database.
    """
    notifications.subscribe(Channel.RUN_WAITING, lambda _: keeper.wake())
    notifications.subscribe(Channel.RUN_CANCELLED, keeper.hear_cancel)
    notifications.subscribe(Channel.USER_LOCKED_OUT, lambda _: keeper.wake())
    notifications.on_gap(keeper.wake)
    if alone:
        await keeper.lapse_all()
    keeping = asyncio.create_task(keeper.keep(), name="run-keeper")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await keeper.settle()
