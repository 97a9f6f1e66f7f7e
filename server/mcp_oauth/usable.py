"""Which MCP servers somebody may let the product in at."""

from collections.abc import Mapping
from dataclasses import dataclass

from persistence.database import Database
from server.errors import AuthorizationNotUsed, McpServerNotFound
from server.security.principal import Principal
from tools.catalog import ToolCatalog
from tools.config import HttpServer, OAuthEntry
from tools.registry import RegisteredServer


@dataclass(frozen=True, kw_only=True)
class UsableServer:
    """A server that people authorize."""

    id: int
    name: str
    config: HttpServer
    auth: OAuthEntry


class UsableServers:
    """Those that are held here, by the groups that the database knows at this moment."""

    def __init__(self, database: Database, catalog: ToolCatalog) -> None:
        self._database = database
        self._catalog = catalog

    async def all(self, principal: Principal) -> Mapping[int, UsableServer]:
        """All of them, by their ids."""
        groups = await self._groups_of(principal)
        found = [_read(each) for each in self._catalog.registered() if _is_for(each, groups)]
        return {server.id: server for server in found if server is not None}

    async def require(self, principal: Principal, server_id: int) -> UsableServer:
        """One of them.

        Raises:
            McpServerNotFound: There is none that the principal may use.
            AuthorizationNotUsed: It wants no authorization.
        """
        groups = await self._groups_of(principal)
        for server in self._catalog.registered():
            if server.id == server_id and _is_for(server, groups):
                if (usable := _read(server)) is None:
                    raise AuthorizationNotUsed
                return usable
        raise McpServerNotFound

    async def _groups_of(self, principal: Principal) -> frozenset[int]:
        async with self._database.unit_of_work(principal.scope) as uow:
            return await uow.groups.ids()


def _read(server: RegisteredServer) -> UsableServer | None:
    config = server.config
    if server.id is None or not isinstance(config, HttpServer) or config.auth is None:
        return None
    return UsableServer(id=server.id, name=server.name, config=config, auth=config.auth)


def _is_for(server: RegisteredServer, groups: frozenset[int]) -> bool:
    return server.groups is None or bool(server.groups & groups)
