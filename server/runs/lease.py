"""Leases: how others can tell that the process of a run still lives."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import PersistenceError
from server.observability import describe

LEASE = timedelta(seconds=30)
RENEWAL_SECONDS = 10.0

log = structlog.get_logger(__name__)


class Lease:
    """This process's claim on the runs that it executes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.owner = uuid4().hex

    def until(self) -> datetime:
        """When a lease taken now lapses."""
        return datetime.now(UTC) + LEASE

    async def expire(self) -> int:
        """Marks runs lost whose process is gone; returns how many.

        Nobody else can be running on an embedded database, so there every open run is lost.
        """
        async with self._database.unit_of_work(AccessScope.system("lost runs")) as uow:
            lost = await uow.runs.expire(datetime.now(UTC), all_owners=self._database.embedded)
            await uow.commit()
        return lost

    async def renew(self, run_ids: Collection[UUID]) -> None:
        """Prolongs the lease on the runs that live here; any other of this process is lost."""
        if not run_ids:
            return
        async with self._database.unit_of_work(AccessScope.system("lease renewal")) as uow:
            await uow.runs.renew(self.owner, self.until(), run_ids)
            await uow.commit()


@asynccontextmanager
async def keep_leases(
    lease: Lease, live_ids: Callable[[], Collection[UUID]]
) -> AsyncIterator[None]:
    """Marks what an earlier process lost and keeps this one's live runs claimed."""
    if lost := await lease.expire():
        log.warning("runs_lost", count=lost)
    renewing = asyncio.create_task(_keep(lease, live_ids), name="lease-renewal")
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def _keep(lease: Lease, live_ids: Callable[[], Collection[UUID]]) -> None:
    while True:
        await asyncio.sleep(RENEWAL_SECONDS)
        try:
            await lease.renew(live_ids())
        except PersistenceError as exc:
            log.warning("lease_renewal_failed", **describe(exc))
