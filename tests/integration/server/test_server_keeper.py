"""Following which servers there are, whatever the servers do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp import types

from persistence.database import Database
from persistence.notifications import open_notifications
from server.mcp.guard import StoredDefinitions
from server.mcp.keeper import ServerKeeper, keep_servers
from server.mcp.registry import ServerRegistry
from tests.fakes.mutable_mcp_server import open_mutable_server, tool
from tests.fixtures.rows import SYSTEM
from tools.catalog import ToolCatalog, open_catalog
from tools.registry import RegisteredServer
from tools.settings import McpSettings

HANG_SECONDS = 60
PAUSE_SECONDS = 0.01
ROUNDS_OF_THE_LOOP = 20


async def enable(database: Database, name: str, *, enabled: bool) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        [row] = [each for each in await uow.mcp_servers.all() if each.name == name]
        await uow.mcp_servers.change(row, config=row.config, groups=None, enabled=enabled)
        await uow.commit()


async def add(database: Database, name: str, url: str) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.mcp_servers.create(name, source="api", config={"url": url})
        await uow.commit()


def held(catalog: ToolCatalog) -> set[str]:
    return {each.name for each in catalog.servers()} - {"datetime", "units"}


async def reach(catalog: ToolCatalog, names: set[str]) -> None:
    """Waits until these servers are held."""
    async with asyncio.timeout(10):
        while held(catalog) != names:
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def deaf_server() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """One that takes connections and never answers, and what is set when it is asked."""
    asked, stop = asyncio.Event(), asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await stop.wait()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp", asked
    finally:
        stop.set()
        server.close()


@pytest.fixture
def settings(tmp_path: Path) -> McpSettings:
    return McpSettings(
        servers_file=tmp_path / "none.json",
        start_wait_seconds=HANG_SECONDS,
        connect_timeout_seconds=HANG_SECONDS,
    )


async def test_a_server_that_hangs_delays_no_change_of_another(
    database: Database, settings: McpSettings
) -> None:
    registry = ServerRegistry(database, settings)
    guard = StoredDefinitions(database, hold_new_tools=False)
    async with (
        open_mutable_server() as fake,
        deaf_server() as (deaf_url, asked),
        open_notifications(database.dsn) as notifications,
        open_catalog(settings, servers=await registry.open(), guard=guard) as catalog,
        keep_servers(ServerKeeper(registry, catalog, notifications, refresh_seconds=HANG_SECONDS)),
    ):
        await add(database, "mail", fake.url)
        await reach(catalog, {"mail"})
        await add(database, "deaf", deaf_url)
        await asked.wait()
        await enable(database, "mail", enabled=False)
        await reach(catalog, {"deaf"})
        await enable(database, "mail", enabled=True)
        await reach(catalog, {"deaf", "mail"})


async def test_servers_are_asked_for_their_tools_again_and_again(
    database: Database, settings: McpSettings
) -> None:
    registry = ServerRegistry(database, settings)
    listed: asyncio.Queue[tuple[types.Tool, ...]] = asyncio.Queue()
    async with (
        open_mutable_server() as fake,
        open_notifications(database.dsn) as notifications,
        open_catalog(settings, servers=[]) as catalog,
    ):
        await add(database, "mail", fake.url)
        catalog.hold(await registry.open())
        await catalog.complete()
        connection = catalog.connection_of("mail")
        assert connection is not None
        assert [each.name for each in connection.tools] == ["send", "read"]
        connection.on_tools(listed.put_nowait)
        fake.tools.append(tool("said to nobody"))
        keeper = ServerKeeper(registry, catalog, notifications, refresh_seconds=PAUSE_SECONDS)
        async with keep_servers(keeper), asyncio.timeout(10):
            found = await listed.get()
    assert [each.name for each in found] == ["send", "read", "said to nobody"]


class SlowRegistry(ServerRegistry):
    """Its answer to the first question is of the past when it comes."""

    reads = 0

    def __init__(self, database: Database, settings: McpSettings) -> None:
        super().__init__(database, settings)
        self.has_read = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def read(self) -> list[RegisteredServer]:
        self.reads += 1
        found = await super().read()
        if not self.has_read.is_set():
            self.has_read.set()
            await self.may_answer.wait()
        return found


async def test_what_was_read_first_does_not_count_last(
    database: Database, settings: McpSettings
) -> None:
    await add(database, "mail", "http://127.0.0.1:1/mcp")
    registry = SlowRegistry(database, settings)
    async with (
        open_notifications(database.dsn) as notifications,
        open_catalog(settings, servers=[]) as catalog,
    ):
        keeper = ServerKeeper(registry, catalog, notifications, refresh_seconds=HANG_SECONDS)
        early = asyncio.create_task(keeper.apply())
        await registry.has_read.wait()
        await enable(database, "mail", enabled=False)
        late = asyncio.create_task(keeper.apply())
        for _ in range(ROUNDS_OF_THE_LOOP):
            await asyncio.sleep(0)
        assert registry.reads == 1
        registry.may_answer.set()
        await asyncio.gather(early, late)
        assert held(catalog) == set()
