"""MCP servers: root adds, changes and removes them, and every replica follows."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from persistence.database import Database
from persistence.errors import NotFound
from persistence.mcp_records import McpServer, McpToolRow
from persistence.records import AuditEntry, Page
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry
from server.errors import (
    BadServerConfig,
    DefinitionChanged,
    GroupNotFound,
    McpServerLimit,
    McpServerNotFound,
    ServerInFile,
    StdioRefused,
)
from server.mcp.guard import changed_parts
from server.mcp.keeper import ServerKeeper
from server.mcp.registry import ServerRegistry
from server.security.principal import Origin, Principal
from tools.catalog import ToolCatalog
from tools.config import ServerConfig, StdioServer, parse_server
from tools.errors import McpConfigError
from tools.shown_config import describe_server

SERVERS_MAX = 100
"""Every replica holds a session with each."""

_ABSENT = "it is not in the servers file"
_UNUSABLE = "its stored configuration cannot be used"
_NOT_ALLOWED = "commands are not allowed over the API"
_OFF = "it is switched off"


@dataclass(frozen=True, kw_only=True)
class HeldChange:
    """A tool that waits to be approved."""

    id: int
    name: str
    changed: Sequence[str]
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """How a server is at this process."""

    healthy: bool
    error: str | None
    tools: int
    breaker: Literal["closed", "open", "half-open"]


@dataclass(frozen=True, kw_only=True)
class ServerView:
    """A server as root sees it."""

    id: int
    name: str
    source: Literal["file", "api"]
    transport: Literal["stdio", "http"] | None
    config: Mapping[str, Any] | None
    groups: Sequence[int] | None
    enabled: bool
    status: ServerState
    held: Sequence[HeldChange]
    held_fingerprint: str | None
    created_at: datetime
    updated_at: datetime


class McpServerService:
    """All of it is for root, which the routes see to."""

    def __init__(
        self,
        database: Database,
        catalog: ToolCatalog,
        registry: ServerRegistry,
        keeper: ServerKeeper,
        *,
        allow_stdio: bool,
    ) -> None:
        """Args: allow_stdio: whether a command of this machine may be a server."""
        self._database = database
        self._catalog = catalog
        self._registry = registry
        self._keeper = keeper
        self._allow_stdio = allow_stdio

    async def list_servers(
        self, principal: Principal, *, limit: int, offset: int
    ) -> Page[ServerView]:
        """All servers beside the built-in ones, the oldest first."""
        async with self._database.unit_of_work(principal.scope) as uow:
            servers = await uow.mcp_servers.all()
            held = await uow.mcp_tools.held()
        shown = [self._view(each, held) for each in servers[offset : offset + limit]]
        return Page(items=shown, total=len(servers), limit=limit, offset=offset)

    async def get(self, principal: Principal, server_id: int) -> ServerView:
        """One server.

        Raises:
            McpServerNotFound: There is none.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            server = await _find(uow, server_id)
            return self._view(server, await uow.mcp_tools.held())

    async def create(
        self,
        principal: Principal,
        origin: Origin,
        *,
        name: str,
        config: Mapping[str, Any],
        groups: Collection[int] | None,
        enabled: bool,
    ) -> ServerView:
        """Adds a server, and waits a little for it.

        Raises:
            BadServerConfig, StdioRefused: It cannot be used.
            ServerNameTaken: There is another one of the name.
            McpServerLimit: There are as many as there may be.
            GroupNotFound: One of the groups does not exist.
        """
        self._check(name, config)
        async with self._database.unit_of_work(principal.scope) as uow:
            if len(await uow.mcp_servers.all()) >= SERVERS_MAX:
                raise McpServerLimit
            try:
                made = await uow.mcp_servers.create(
                    name,
                    source="api",
                    config=config,
                    groups=groups,
                    enabled=enabled,
                    created_by=principal.user.id,
                )
            except NotFound as exc:
                raise GroupNotFound from exc
            await uow.audit.record(
                _entry("mcp_server.create", principal, origin, made, after=self._told(made))
            )
            await uow.commit()
        await self._keeper.apply()
        return await self.get(principal, made.id)

    async def change(
        self, principal: Principal, origin: Origin, server_id: int, changes: Mapping[str, Any]
    ) -> ServerView:
        """Changes what is given.

        Raises:
            McpServerNotFound: There is none.
            ServerInFile: The servers file alone says how it is reached.
            BadServerConfig, StdioRefused: It could not be used any more.
            GroupNotFound: One of the groups does not exist.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            before = await _find(uow, server_id, lock=True)
            if "config" in changes:
                if before.source == "file":
                    raise ServerInFile
                self._check(before.name, changes["config"])
            wanted = {
                "config": before.config,
                "groups": before.groups,
                "enabled": before.enabled,
            } | dict(changes)
            try:
                after = await uow.mcp_servers.change(before, **wanted)
            except NotFound as exc:
                raise GroupNotFound from exc
            await uow.audit.record(
                _entry(
                    "mcp_server.change",
                    principal,
                    origin,
                    after,
                    before=self._told(before),
                    after=self._told(after) | {"config_changed": before.config != after.config},
                )
            )
            await uow.commit()
        await self._keeper.apply()
        return await self.get(principal, server_id)

    async def delete(self, principal: Principal, origin: Origin, server_id: int) -> None:
        """Removes a server, and forgets what was approved of its tools.

        Raises:
            McpServerNotFound: There is none.
            ServerInFile: It is in the servers file.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            before = await _find(uow, server_id, lock=True)
            if before.source == "file" and self._registry.config_in_file(before.name) is not None:
                raise ServerInFile
            await uow.mcp_servers.delete(server_id)
            await uow.mcp_tools.forget(before.name)
            await uow.audit.record(
                _entry("mcp_server.delete", principal, origin, before, before=self._told(before))
            )
            await uow.commit()
        await self._keeper.apply()

    async def refresh(self, principal: Principal, origin: Origin, server_id: int) -> ServerView:
        """Asks a server for its tools again; if it is away, it is tried now.

        Raises:
            McpServerNotFound: There is none.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            server = await _find(uow, server_id)
            await uow.audit.record(_entry("mcp_server.refresh", principal, origin, server))
            await uow.commit()
        await self._catalog.refresh(server.name)
        await self._catalog.judge(server.name)
        return await self.get(principal, server_id)

    async def approve(
        self, principal: Principal, origin: Origin, server_id: int, fingerprint: str
    ) -> ServerView:
        """Approves all that waits at a server, if it is what was shown.

        Raises:
            McpServerNotFound: There is none.
            DefinitionChanged: Something else waits by now, or nothing.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            server = await _find(uow, server_id, lock=True)
            held = [each for each in await uow.mcp_tools.held() if each.server == server.name]
            if not held or fingerprint_of(held) != fingerprint:
                raise DefinitionChanged
            for tool in sorted(held, key=lambda each: each.name):  # as the guard does, see there
                if not await uow.mcp_tools.approve(tool, decided_by=principal.user.id):
                    raise DefinitionChanged
            approved = {f"{each.server}.{each.name}": _changes_of(each) for each in held}
            await uow.audit.record(
                _entry("mcp_server.approve", principal, origin, server, approved=approved)
            )
            await uow.commit()
        await self._catalog.judge()
        return await self.get(principal, server_id)

    def _check(self, name: str, entry: Mapping[str, Any]) -> None:
        try:
            config = parse_server(name, entry, origin="config")
        except McpConfigError as exc:
            raise BadServerConfig(str(exc)) from exc
        if isinstance(config, StdioServer) and not self._allow_stdio:
            raise StdioRefused

    def _view(self, server: McpServer, held: Sequence[McpToolRow]) -> ServerView:
        config = self._config_of(server)
        waiting = [each for each in held if each.server == server.name]
        return ServerView(
            id=server.id,
            name=server.name,
            source=server.source,
            transport=_transport_of(config),
            config=None if config is None else describe_server(config),
            groups=None if server.groups is None else sorted(server.groups),
            enabled=server.enabled,
            status=self._state_of(server, config),
            held=[
                HeldChange(
                    id=each.id,
                    name=f"{each.server}.{each.name}",
                    changed=_changes_of(each),
                    fingerprint=each.held.fingerprint if each.held else "",
                )
                for each in waiting
            ],
            held_fingerprint=fingerprint_of(waiting) if waiting else None,
            created_at=server.created_at,
            updated_at=server.updated_at,
        )

    def _config_of(self, server: McpServer) -> ServerConfig | None:
        if server.source == "file":
            return self._registry.config_in_file(server.name)
        try:
            return parse_server(server.name, server.config)
        except McpConfigError:  # of an older version of the product; the registry has said why
            return None

    def _state_of(self, server: McpServer, config: ServerConfig | None) -> ServerState:
        status = self._catalog.status_of(server.name)
        if status is None:
            error = self._why_away(server, config)
            return ServerState(healthy=False, error=error, tools=0, breaker="closed")
        return ServerState(
            healthy=status.healthy,
            error=status.error,
            tools=status.tools,
            breaker=status.breaker,
        )

    def _why_away(self, server: McpServer, config: ServerConfig | None) -> str:
        """Why a server is not held at all."""
        if config is None:
            return _ABSENT if server.source == "file" else _UNUSABLE
        if server.source == "api" and isinstance(config, StdioServer) and not self._allow_stdio:
            return _NOT_ALLOWED
        return _OFF

    def _told(self, server: McpServer) -> dict[str, Any]:
        """What the audit trail is told; nothing that a server is reached with."""
        return {
            "name": server.name,
            "source": server.source,
            "transport": _transport_of(self._config_of(server)),
            "groups": None if server.groups is None else sorted(server.groups),
            "enabled": server.enabled,
        }


def fingerprint_of(held: Sequence[McpToolRow]) -> str:
    """The fingerprint of all that waits."""
    parts = sorted(f"{each.id}:{each.held.fingerprint}" for each in held if each.held is not None)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _changes_of(tool: McpToolRow) -> list[str]:
    return [] if tool.held is None else changed_parts(tool.approved, tool.held)


def _transport_of(config: ServerConfig | None) -> Literal["stdio", "http"] | None:
    if config is None:
        return None
    return "stdio" if isinstance(config, StdioServer) else "http"


async def _find(uow: UnitOfWork, server_id: int, *, lock: bool = False) -> McpServer:
    try:
        if lock:
            return await uow.mcp_servers.lock(server_id)
        return await uow.mcp_servers.get(server_id)
    except NotFound as exc:
        raise McpServerNotFound from exc


def _entry(
    action: str, principal: Principal, origin: Origin, server: McpServer, **details: object
) -> AuditEntry:
    return audit_entry(
        action,
        principal,
        origin,
        resource=("mcp_server", str(server.id)),
        details={"name": server.name, **details},
    )
