"""Facts about what was used are added up now and then, by whichever replica comes first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import PersistenceError
from server.observability import describe

ROLL_UP_SECONDS = 30.0
"""From one time to the next; what is read is exact at any moment, only slower with more facts."""
BATCH_FACTS = 5_000

log = structlog.get_logger(__name__)


async def roll_up(database: Database) -> int:
    """Adds up all facts that there are; returns how many.

    Raises:
        PersistenceError: The database did not do it; what was done until then stays done.
    """
    rolled = 0
    while True:
        async with database.unit_of_work(AccessScope.system("usage roll-up")) as uow:
            count = await uow.usage.roll_up(limit=BATCH_FACTS)
            await uow.commit()
        rolled += count
        if count < BATCH_FACTS:
            return rolled


@asynccontextmanager
async def keep_rolling_up(database: Database) -> AsyncIterator[None]:
    """Adds facts up until the end."""
    rolling = asyncio.create_task(_keep(database), name="usage-roll-up")
    try:
        yield
    finally:
        rolling.cancel()
        await asyncio.gather(rolling, return_exceptions=True)


async def _keep(database: Database) -> None:
    while True:
        try:
            await roll_up(database)
        except PersistenceError as exc:
            log.warning("usage_roll_up_failed", **describe(exc))
        except Exception as exc:  # noqa: BLE001 - the entry point of a task that must go on
            log.error("usage_roll_up_failed", **describe(exc))
        await asyncio.sleep(ROLL_UP_SECONDS)
