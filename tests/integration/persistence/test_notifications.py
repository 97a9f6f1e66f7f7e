"""What one process commits, the others hear; what may have been missed is said to be so."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from persistence.database import Database
from persistence.errors import DatabaseUnavailable, InvalidValue
from persistence.notifications import (
    PAYLOAD_MAX_BYTES,
    Channel,
    Notifications,
    open_notifications,
)
from persistence.schema import migrate
from tests.fixtures.product import StoppableDatabase
from tests.fixtures.rows import SYSTEM

HEARD_SECONDS = 30
_LISTENERS = (
    "FROM pg_stat_activity WHERE application_name = 'youworker-notifications' "
    "AND datname = current_database()"
)
CUT = f"SELECT count(pg_terminate_backend(pid)) {_LISTENERS}"


class Ear:
    """Keeps what it hears until a test asks."""

    def __init__(self, notifications: Notifications) -> None:
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._gaps: asyncio.Queue[None] = asyncio.Queue()
        notifications.subscribe(Channel.USER_LOCKED_OUT, self._heard.put_nowait)
        notifications.on_gap(lambda: self._gaps.put_nowait(None))

    async def next(self) -> str:
        async with asyncio.timeout(HEARD_SECONDS):
            return await self._heard.get()

    async def next_gap(self) -> None:
        async with asyncio.timeout(HEARD_SECONDS):
            await self._gaps.get()

    def gaps(self) -> int:
        return self._gaps.qsize()


@pytest.fixture
async def ear(database: Database) -> AsyncIterator[Ear]:
    async with open_notifications(database.dsn) as notifications:
        yield Ear(notifications)


async def tell(database: Database, payload: str) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.notify(Channel.USER_LOCKED_OUT, payload)
        await uow.commit()


async def execute(address: str, statement: str) -> int:
    connection = await asyncpg.connect(address)
    try:
        value: int = await connection.fetchval(statement)
        return value
    finally:
        await connection.close()


async def test_what_is_committed_is_heard_and_what_is_not_is_not(database: Database, ear: Ear):
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.notify(Channel.USER_LOCKED_OUT, "rolled back")
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.notify(Channel.LOGIN_ENDED, "of another channel")
        await uow.commit()
    await tell(database, "committed")
    assert await ear.next() == "committed"


async def test_every_listener_hears(database: Database, ear: Ear):
    async with open_notifications(database.dsn) as notifications:
        other = Ear(notifications)
        await tell(database, "1")
        assert [await ear.next(), await other.next()] == ["1", "1"]


async def test_the_longest_payload_arrives_whole_and_a_longer_one_is_refused(
    database: Database, ear: Ear
):
    longest = "x" * PAYLOAD_MAX_BYTES
    async with database.unit_of_work(SYSTEM) as uow:
        with pytest.raises(InvalidValue):
            await uow.notify(Channel.USER_LOCKED_OUT, longest + "x")
    await tell(database, longest)
    assert await ear.next() == longest


async def test_a_connection_that_is_cut_is_replaced_and_the_gap_is_told(
    database: Database, ear: Ear, database_url: str
):
    for _ in range(2):
        assert await execute(database_url, CUT) == 1
        await ear.next_gap()
        await tell(database, "after the gap")
        assert await ear.next() == "after the gap"


async def test_without_a_gap_none_is_told(database: Database, ear: Ear):
    await tell(database, "1")
    await ear.next()
    assert ear.gaps() == 0


async def test_it_waits_for_a_database_that_is_away(embedded_database: StoppableDatabase):
    await migrate(embedded_database.url)
    async with open_notifications(embedded_database.url) as notifications:
        ear = Ear(notifications)
        await embedded_database.stop()
        await embedded_database.start()
        await ear.next_gap()
        await execute(embedded_database.url, "SELECT pg_notify('youworker_user_locked_out', '7')")
        assert await ear.next() == "7"


async def test_closing_leaves_no_connection(database: Database, database_url: str):
    async with open_notifications(database.dsn):
        assert await execute(database_url, f"SELECT count(*) {_LISTENERS}") == 1
    async with asyncio.timeout(HEARD_SECONDS):
        while await execute(database_url, f"SELECT count(*) {_LISTENERS}"):
            pass


async def test_closing_does_not_wait_for_a_database_that_is_away(
    embedded_database: StoppableDatabase,
):
    await migrate(embedded_database.url)
    async with asyncio.timeout(HEARD_SECONDS), open_notifications(embedded_database.url):
        await embedded_database.stop()
    await embedded_database.start()


async def test_it_does_not_open_without_a_database():
    with pytest.raises(DatabaseUnavailable):
        async with open_notifications("postgresql://nobody@127.0.0.1:9/nothing"):
            pass
