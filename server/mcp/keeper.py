"""Has this process hold the MCP servers that there are, whichever replica changed them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from persistence.errors import PersistenceError
from persistence.notifications import Channel, Notifications
from server.mcp.registry import ServerRegistry
from server.observability import describe
from tools.catalog import ToolCatalog

RETRY_SECONDS = 5.0
"""Pause before the database is asked again, when it could not be."""

log = structlog.get_logger(__name__)


class ServerKeeper:
    """Follows the registry, and asks servers for their tools now and then."""

    def __init__(
        self,
        registry: ServerRegistry,
        catalog: ToolCatalog,
        notifications: Notifications,
        *,
        refresh_seconds: float,
    ) -> None:
        self._registry = registry
        self._catalog = catalog
        self._refresh_seconds = refresh_seconds
        self._one_at_a_time = asyncio.Lock()
        self._changed = asyncio.Event()
        self._changed.set()  # what was read before this began to listen may be of the past
        notifications.subscribe(Channel.MCP_SERVERS_CHANGED, lambda _: self._changed.set())
        notifications.on_gap(self._changed.set)

    async def apply(self) -> None:
        """Holds what there is now, judges the tools anew, and waits a little for new servers.

        Raises:
            PersistenceError: It could not be read.
        """
        await self._adopt()
        await self._catalog.complete()

    async def keep(self) -> None:
        """Goes on until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self._follow), name="mcp-servers-follow")
            # By itself: as long as a server hangs, a change must be followed all the same.
            tasks.create_task(self._repeat(self._refresh), name="mcp-servers-refresh")

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except PersistenceError as exc:
                log.warning("mcp_servers_in_doubt", **describe(exc))
                await self._try_again()
            except Exception as exc:  # noqa: BLE001 - the entry point of a task that must go on
                log.error("mcp_servers_in_doubt", **describe(exc))
                await self._try_again()

    async def _follow(self) -> None:
        await self._changed.wait()
        self._changed.clear()
        await self._adopt()

    async def _refresh(self) -> None:
        await asyncio.sleep(self._refresh_seconds)
        await self._catalog.refresh()

    async def _adopt(self) -> None:
        async with self._one_at_a_time:  # else what was read first could count last
            self._catalog.hold(await self._registry.read())
        await self._catalog.judge()

    async def _try_again(self) -> None:
        await asyncio.sleep(RETRY_SECONDS)
        self._changed.set()


@asynccontextmanager
async def keep_servers(keeper: ServerKeeper) -> AsyncIterator[None]:
    """Follows the servers until the end."""
    keeping = asyncio.create_task(keeper.keep(), name="mcp-servers")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
