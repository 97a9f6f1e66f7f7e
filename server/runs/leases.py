"""Keeps this process's runs claimed, whatever else it is busy with."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.run_records import HeldRun
from server.observability import describe
from server.runs.executor import RunExecutor
from server.runs.live import LiveRun
from server.runs.takeover import SYSTEM

RENEWALS_PER_LEASE = 3
"""How often a lease is renewed while it lasts."""
LOCKED_PAUSES_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Pauses before leases are tried again whose rows were locked."""
RETRY_SECONDS = 1.0
"""Pause before the database is asked again, when it could not be."""

log = structlog.get_logger(__name__)


class RunLeases:
    """Renews the leases of the runs that are executed here, and drops those that were taken."""

    def __init__(
        self, *, database: Database, executor: RunExecutor, owner: str, lease_seconds: float
    ) -> None:
        """Args: owner: names this process in the runs that it has."""
        self._database = database
        self._executor = executor
        self._owner = owner
        self._lease_seconds = lease_seconds

    async def renew(self) -> None:
        """Renews all leases, once.

        Raises:
            PersistenceError: The database did not do all of it.
        """
        live = {run_id: self._executor.live(run_id) for run_id in self._executor.live_ids()}
        for pause in (*LOCKED_PAUSES_SECONDS, None):
            if not live:
                return
            locked = await self._renew(live)
            live = {run_id: live[run_id] for run_id in locked}
            if live and pause is not None:
                await asyncio.sleep(pause)

    async def keep(self) -> None:
        """Renews from time to time; goes on until it is cancelled."""
        interval = self._lease_seconds / RENEWALS_PER_LEASE
        while True:
            pause = interval
            try:
                await self.renew()
            except PersistenceError as exc:
                log.warning("leases_not_renewed", **describe(exc))
                pause = min(interval, RETRY_SECONDS)
            except Exception as exc:  # noqa: BLE001 - the entry point of a task that must go on
                log.error("leases_not_renewed", **describe(exc))
            await asyncio.sleep(pause)

    async def _renew(self, live: Mapping[UUID, LiveRun | None]) -> list[UUID]:
        """Renews what can be; returns the runs whose rows are locked."""
        async with self._database.reserved_unit_of_work(SYSTEM) as uow:
            held = await uow.run_claims.renew(self._owner, self._lease_seconds, live)
            await uow.commit()
        known = {(each.run_id, each.attempt): each for each in held}
        for run_id, run in live.items():
            if run is not None and not run.answering.done():
                _judge(run, known.get((run_id, run.request.claim.attempt)))
        return [each.run_id for each in held if not each.renewed]


def _judge(run: LiveRun, held: HeldRun | None) -> None:
    if held is None:
        log.info("run_taken_over", run_id=str(run.request.run_id))
        run.stream.close()
        run.stop("lost")
    elif held.cancel_asked:
        run.cancel()


@asynccontextmanager
async def keep_leases(leases: RunLeases) -> AsyncIterator[None]:
    """Keeps the runs of this process claimed until the end."""
    keeping = asyncio.create_task(leases.keep(), name="run-leases")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
