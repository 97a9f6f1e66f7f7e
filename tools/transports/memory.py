"""A server in this process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import anyio
from mcp.server.lowlevel import Server
from mcp.shared.memory import create_client_server_memory_streams

from tools.transports import Observer, Streams


@dataclass(frozen=True, kw_only=True)
class MemoryTransport:
    """Runs a fresh server beside each session."""

    build: Callable[[], Server[Any, Any]]
    kind: Literal["memory"] = "memory"

    def has_ended(self) -> bool:
        """Never known beforehand."""
        return False

    @asynccontextmanager
    async def open(self, observer: Observer) -> AsyncIterator[Streams]:
        """Start the server and connect to it."""
        server = self.build()
        options = server.create_initialization_options()
        async with (
            create_client_server_memory_streams() as (client, (server_read, server_write)),
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(server.run, server_read, server_write, options)
            try:
                yield client
            finally:
                tasks.cancel_scope.cancel()

    def explain(self, error: BaseException) -> str:
        """Name the kind of error; a server of our own has no business failing."""
        return type(error).__name__
