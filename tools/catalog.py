"""Which tool servers there are, how they are, and which tools they bring."""

import asyncio
from collections.abc import AsyncIterator, Callable, Container, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

from tools.authorization.bearer import Bearer, ServerAuthorizations
from tools.built_in import SEMANTIC, BuiltIn, built_in_servers, profile_for, transport_for
from tools.client import McpTool
from tools.config import audience_of, is_authorized, read_servers
from tools.connection import Limits, ServerStatus
from tools.definitions import DefinitionGuard
from tools.registry import RegisteredServer
from tools.server_tools import ServerTools, ToolListing
from tools.session_pool import SessionPool
from tools.settings import McpSettings
from tools.transports import Transport

if TYPE_CHECKING:
    from tools.scope import ScopeSigner
    from tools.servers.semantic import Search
    from tools.servers.web import WebTools

__all__ = ["ServerStatus", "ToolCatalog", "open_catalog"]

Authorize: TypeAlias = Callable[[RegisteredServer], ServerAuthorizations]


class ToolCatalog:
    """The tools of all servers, which come and go while it is in use."""

    def __init__(
        self,
        make: Callable[[RegisteredServer], ServerTools],
        *,
        built_in: Sequence[RegisteredServer],
        start_wait_seconds: float,
    ) -> None:
        """Prepare a catalog.

        Args:
            make: Makes what follows one server.
            built_in: The servers that are always held.
            start_wait_seconds: How long new servers that are not built in are waited for.
        """
        self._make = make
        self._built_in = tuple(built_in)
        self._start_wait_seconds = start_wait_seconds
        self.revision = 0
        """Another one whenever there are other servers, or they are for others."""
        self._held: dict[str, ServerTools] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._parts: tuple[tuple[McpTool, ...], ...] = ()
        self._tools: tuple[McpTool, ...] = ()
        self._tools_without_documents: tuple[McpTool, ...] = ()

    def tools(self, *, with_documents: bool = True) -> tuple[McpTool, ...]:
        """Return the tools that may be used now; a server that is away keeps those it had.

        Args:
            with_documents: Whether those that read documents are among them.
        """
        parts = tuple([held.tools for held in self._held.values()])
        if [*map(id, parts)] != [*map(id, self._parts)]:
            self._parts = parts
            self._tools = tuple(tool for part in parts for tool in part)
            self._tools_without_documents = tuple(
                tool for tool in self._tools if tool.server != SEMANTIC
            )
        return self._tools if with_documents else self._tools_without_documents

    def servers(self) -> list[ServerStatus]:
        """Return how each server is now, without asking it."""
        return [held.connection.status for held in self._held.values()]

    def groups_of(self, name: str) -> frozenset[int] | None:
        """Return the groups whose members may use a server; None if everybody may."""
        held = self._held.get(name)
        return None if held is None else held.server.groups

    def sampling_of(self, name: str) -> Literal["ask", "allow", "deny"]:
        """Return whether a server may have the model of a run answer it."""
        held = self._held.get(name)
        config = None if held is None else held.server.config
        return "deny" if config is None else config.sampling

    @property
    def is_for_everybody(self) -> bool:
        """Whether there is no server that only some groups may use."""
        return all(held.server.groups is None for held in self._held.values())

    def status_of(self, name: str) -> ServerStatus | None:
        """Return how a server is now, without asking it; None if it is not held."""
        held = self._held.get(name)
        return None if held is None else held.connection.status

    def connection_of(self, name: str) -> SessionPool | None:
        """Return what speaks with a server; None if it is not held."""
        held = self._held.get(name)
        return None if held is None else held.connection

    def registered(self) -> list[RegisteredServer]:
        """Return what there is, as root has it."""
        return [held.server for held in self._held.values()]

    def end_sessions(self, user_id: int, *, at: Container[str] | None = None) -> None:
        """End the sessions that a person has of their own, with these servers or all."""
        for name, held in self._held.items():
            if at is None or name in at:
                held.connection.end_sessions_of(user_id)

    def listing(self, *, with_documents: bool = True) -> list[ToolListing]:
        """Return how each tool is, also those that may not be used."""
        return [
            listed
            for name, held in self._held.items()
            if with_documents or name != SEMANTIC
            for listed in held.listing()
        ]

    async def refresh(self, name: str | None = None) -> None:
        """Ask every server, or one, for its tools again; those that are away are tried now."""
        await asyncio.gather(*(held.refresh() for held in self._named(name)))

    async def judge(self, name: str | None = None) -> None:
        """Find out anew which tools may be used, of every server or one."""
        await asyncio.gather(*(held.judge() for held in self._named(name)))

    async def follow(self, servers: Sequence[RegisteredServer]) -> None:
        """Do as `hold` does, and wait as `complete` does."""
        self.hold(servers)
        await self.complete()

    def hold(self, servers: Sequence[RegisteredServer]) -> None:
        """Hold these servers and the built-in ones, and no others, from now on.

        What is reached as before is held on to. No server is waited for: one that hangs must not
        delay that another one is switched off.
        """
        asked_for = [server for server in servers if server.is_wanted]
        wanted = {server.name: server for server in (*self._built_in, *asked_for)}
        ends = {
            name: self._end(held)
            for name, held in self._held.items()
            if name not in wanted or not wanted[name].is_reached_as(held.server)
        }
        for name in ends:
            del self._held[name]
        for name, server in wanted.items():
            if name not in self._held:
                self._held[name] = self._make(server)
                self._held[name].start(after=ends.get(name))
            self._held[name].server = server
        self.revision += 1

    async def complete(self) -> None:
        """Wait until what was let go has ended, and, up to a limit, for what is new."""
        held = self._held.values()
        # Nothing of it may end with whoever waits for it.
        await asyncio.gather(
            *(asyncio.shield(each.start()) for each in held if each.server.is_ours)
        )
        if self._ending:
            await asyncio.wait(self._ending)
        starts = [each.start() for each in held if not each.server.is_ours]
        if starts and self._start_wait_seconds:
            await asyncio.wait(starts, timeout=self._start_wait_seconds)

    async def close(self) -> None:
        """End everything; takes bounded time."""
        for held in self._held.values():
            self._end(held)
        await asyncio.gather(*self._ending)

    def _named(self, name: str | None) -> list[ServerTools]:
        return [held for held in self._held.values() if name in (None, held.server.name)]

    def _end(self, held: ServerTools) -> "asyncio.Task[None]":
        # A task of its own: it ends whatever becomes of whoever waits for it.
        held.remove()
        task = asyncio.create_task(held.close(), name=f"mcp end {held.server.name}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task


@asynccontextmanager
async def open_catalog(
    settings: McpSettings,
    *,
    signer: "ScopeSigner | None" = None,
    retriever: "Search | None" = None,
    web: "WebTools | None" = None,
    servers: Sequence[RegisteredServer] | None = None,
    guard: DefinitionGuard | None = None,
    authorize: Authorize | None = None,
) -> AsyncIterator[ToolCatalog]:
    """Start the built-in servers and others; hold sessions with them.

    Without a retriever there is no document search. A server that cannot be reached stops nobody:
    it is tried again, and its tools join when it answers.

    Args:
        settings: Whom to wait for, and how long.
        signer: Tells the built-in servers who is asking.
        retriever: Searches documents.
        web: Looks into the web; without it no tool does.
        servers: The servers beside the built-in ones; those of the servers file when None.
        guard: Says which tools may be used; without one all may.
        authorize: Keeps what people grant at a server; without it nobody gets into one that wants
            that.

    Raises:
        McpConfigError: The servers file cannot be used.
        ValueError: A retriever is given without the signer that tells who is asking.
    """
    limits = limits_of(settings)
    built_in = built_in_servers(signer, retriever, web)
    if servers is None:
        servers = await read_registry(settings)

    def make(server: RegisteredServer) -> ServerTools:
        granted = authorize(server) if authorize and is_authorized(server.config) else None
        return ServerTools(
            server,
            _pool_for(server, built_in, granted, limits=limits),
            guard=guard,
            definition_max_bytes=settings.definition_max_bytes,
            result_max_chars=settings.result_max_chars,
            content_limits=settings.content_limits,
        )

    catalog = ToolCatalog(
        make,
        built_in=[RegisteredServer(name=name, source="built-in") for name in built_in],
        start_wait_seconds=settings.start_wait_seconds,
    )
    try:
        await catalog.follow(servers)
        yield catalog
    finally:
        await catalog.close()


def _pool_for(
    server: RegisteredServer,
    built_in: dict[str, BuiltIn],
    granted: ServerAuthorizations | None,
    *,
    limits: Limits,
) -> SessionPool:
    config = server.config

    def connect(user_id: int | None) -> Transport:
        bearer = None if granted is None else Bearer(authorizations=granted, user_id=user_id)
        return transport_for(server, built_in, bearer)

    return SessionPool(
        server.name,
        connect,
        per_user=config is not None and config.session == "user",
        limits=limits,
        profile=profile_for(server),
        receives_caller=server.name == SEMANTIC or (config is not None and config.forward_caller),
        identity_audience=audience_of(config),
        authorizations=granted,
    )


def limits_of(settings: McpSettings) -> Limits:
    """Return what each server is held to."""
    return Limits(
        connect_seconds=settings.connect_timeout_seconds,
        call_seconds=settings.call_timeout_seconds,
        user_sessions_max=settings.user_sessions_max,
        user_session_idle_seconds=settings.user_session_idle_seconds,
    )


async def read_registry(settings: McpSettings) -> list[RegisteredServer]:
    """Return the servers of the servers file.

    Raises:
        McpConfigError: The file cannot be used.
    """
    configured = await asyncio.to_thread(read_servers, settings.servers_file)
    return [
        RegisteredServer(name=name, source="file", config=config)
        for name, config in configured.items()
    ]
