"""The events of runs that ended long ago are deleted; their answers stay."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import PersistenceError
from server.observability import describe

EXPIRY_SECONDS = 600.0
"""From one time to the next."""
BATCH_RUNS = 100
"""Of how many runs events are deleted in one transaction."""

log = structlog.get_logger(__name__)


async def expire_events(database: Database, *, ended_before: datetime) -> int:
    """Deletes the events of all runs that ended before that; returns of how many.

    Raises:
        PersistenceError: The database did not do it; what was done until then stays done.
    """
    expired = 0
    while True:
        async with database.unit_of_work(AccessScope.system("event retention")) as uow:
            count = await uow.run_events.expire(ended_before=ended_before, limit=BATCH_RUNS)
            await uow.commit()
        expired += count
        if count < BATCH_RUNS:
            return expired


@asynccontextmanager
async def keep_expiring(database: Database, *, hours: float) -> AsyncIterator[None]:
    """Deletes the events of runs that ended so many hours ago, now and then."""
    expiring = asyncio.create_task(_keep(database, timedelta(hours=hours)), name="event-retention")
    try:
        yield
    finally:
        expiring.cancel()
        await asyncio.gather(expiring, return_exceptions=True)


async def _keep(database: Database, retention: timedelta) -> None:
    while True:
        try:
            if count := await expire_events(database, ended_before=datetime.now(UTC) - retention):
                log.info("events_expired", runs=count)
        except PersistenceError as exc:
            log.warning("event_retention_failed", **describe(exc))
        except Exception as exc:  # noqa: BLE001 - the entry point of a task that must go on
            log.error("event_retention_failed", **describe(exc))
        await asyncio.sleep(EXPIRY_SECONDS)
