"""Which tool servers there are, how they are, and which tools they bring."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import structlog
from mcp.server.lowlevel import Server

from tools.client import McpTool
from tools.config import ServerConfig, StdioServer, read_servers
from tools.connection import Limits, ServerConnection, ServerStatus
from tools.names import make_safe
from tools.servers import datetime_, units
from tools.settings import McpSettings
from tools.transports import Transport
from tools.transports.http import HttpTransport
from tools.transports.memory import MemoryTransport
from tools.transports.stdio import StdioTransport

if TYPE_CHECKING:
    from tools.scope import ScopeSigner
    from tools.servers.semantic import Search

__all__ = ["ServerStatus", "ToolCatalog", "open_catalog"]

_SEMANTIC = "semantic"

_log = structlog.get_logger(__name__)


class ToolCatalog:
    """The tools of all servers."""

    def __init__(self, connections: Sequence[ServerConnection], *, result_max_chars: int) -> None:
        self._connections = tuple(connections)
        self._result_max_chars = result_max_chars
        self._listed: tuple[object, ...] | None = None
        self._tools: tuple[McpTool, ...] = ()
        self._tools_without_documents: tuple[McpTool, ...] = ()

    def tools(self, *, with_documents: bool = True) -> tuple[McpTool, ...]:
        """Return the tools that are known now; a server that is away keeps those it had.

        Args:
            with_documents: Whether those that read documents are among them.
        """
        listed = tuple(connection.tools for connection in self._connections)
        if self._listed is None or any(
            new is not old for new, old in zip(listed, self._listed, strict=True)
        ):
            self._tools = self._build()
            self._tools_without_documents = tuple(
                tool for tool in self._tools if tool.server != _SEMANTIC
            )
            self._listed = listed
        return self._tools if with_documents else self._tools_without_documents

    def servers(self) -> list[ServerStatus]:
        """Return how each server is now, without asking it."""
        return [connection.status for connection in self._connections]

    async def refresh(self) -> None:
        """Ask every server for its tools again; those that are away are tried now."""
        await asyncio.gather(*(connection.refresh() for connection in self._connections))

    def _build(self) -> tuple[McpTool, ...]:
        built: dict[str, McpTool] = {}
        for connection in self._connections:
            for definition in connection.tools:
                name = make_safe(connection.name, definition.name, taken=built)
                if name in built:
                    _log.warning("mcp_tool_twice", server=connection.name, tool=name)
                    continue
                built[name] = McpTool(
                    definition,
                    connection,
                    name=name,
                    result_max_chars=self._result_max_chars,
                    cites_sources=connection.name == _SEMANTIC,
                )
        return tuple(built.values())


@asynccontextmanager
async def open_catalog(
    settings: McpSettings,
    *,
    signer: "ScopeSigner | None" = None,
    retriever: "Search | None" = None,
) -> AsyncIterator[ToolCatalog]:
    """Start the built-in servers and those of the servers file; hold sessions with them.

    Without a retriever there is no document search. A server that cannot be reached stops nobody:
    it is tried again, and its tools join when it answers.

    Raises:
        McpConfigError: The servers file cannot be used.
        ValueError: A retriever is given without the signer that tells who is asking.
    """
    limits = Limits(
        connect_seconds=settings.connect_timeout_seconds, call_seconds=settings.call_timeout_seconds
    )
    configured = await asyncio.to_thread(read_servers, settings.servers_file)
    built_in = [
        ServerConnection(
            name, MemoryTransport(build=build), limits=limits, receives_caller=name == _SEMANTIC
        )
        for name, build in _built_in_servers(signer, retriever).items()
    ]
    foreign = [
        ServerConnection(
            name,
            _transport_for(name, config),
            limits=limits,
            receives_caller=config.forward_caller,
        )
        for name, config in configured.items()
        if not config.disabled
    ]
    connections = [*built_in, *foreign]
    starts = [asyncio.create_task(connection.start()) for connection in connections]
    try:
        await asyncio.gather(*starts[: len(built_in)])
        if foreign and settings.start_wait_seconds:
            await asyncio.wait(starts[len(built_in) :], timeout=settings.start_wait_seconds)
        yield ToolCatalog(connections, result_max_chars=settings.result_max_chars)
    finally:
        for start in starts:
            start.cancel()
        await asyncio.gather(*(connection.close() for connection in connections))


def _built_in_servers(
    signer: "ScopeSigner | None", retriever: "Search | None"
) -> dict[str, Callable[[], Server[Any, Any]]]:
    servers: dict[str, Callable[[], Server[Any, Any]]] = {
        datetime_.NAME: datetime_.build_datetime_server,
        units.NAME: units.build_units_server,
    }
    if retriever is None:
        return servers
    if signer is None:
        raise ValueError("The document search needs the signer that tells who is asking.")
    # Only a process with documents loads what stands behind them.
    from tools.servers import semantic

    servers[semantic.NAME] = lambda: semantic.build_semantic_server(retriever, signer)
    return servers


def _transport_for(name: str, config: ServerConfig) -> Transport:
    if isinstance(config, StdioServer):
        return StdioTransport(name, config)
    return HttpTransport(config=config)
