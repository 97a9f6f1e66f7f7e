"""The MCP servers beside the built-in ones, and which groups have them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    LargeBinary,
    Select,
    Text,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from persistence.access import Guard, ScopedStatement
from persistence.errors import AccessDenied, Conflict, NotFound, ServerNameTaken
from persistence.mcp_records import McpServer, ServerSource
from persistence.models import mcp_server_groups, mcp_servers
from persistence.notifications import Channel
from persistence.repositories.base import Repository
from persistence.statements import Statement
from persistence.transaction import Row

_SERVER = mcp_servers.c.id == bindparam("server", type_=BigInteger)
_OF_SERVER = mcp_server_groups.c.server_id == bindparam("server", type_=BigInteger)


def _select_servers(guard: Guard) -> Select[Any]:
    groups = (
        select(func.array_agg(mcp_server_groups.c.group_id))
        .where(mcp_server_groups.c.server_id == mcp_servers.c.id)
        .scalar_subquery()
    )
    return select(mcp_servers, groups.label("groups")).where(guard.installation())


_ALL = ScopedStatement(lambda guard: _select_servers(guard).order_by(mcp_servers.c.id))
_GET = ScopedStatement(lambda guard: _select_servers(guard).where(_SERVER))
_LOCK = ScopedStatement(
    lambda guard: (
        select(mcp_servers.c.id)
        .where(_SERVER, guard.installation())
        .with_for_update(key_share=True)
    )
)
_PIN = ScopedStatement(
    lambda guard: (
        select(mcp_servers.c.id)
        .where(mcp_servers.c.name == bindparam("name", type_=Text), guard.installation())
        .with_for_update(read=True, key_share=True)
    )
)
_INSERT = Statement(  # only ever run by who may, which `_require_right` made sure of
    insert(mcp_servers)
    .on_conflict_do_nothing(index_elements=["name_key"])
    .returning(mcp_servers.c.id),
    columns=("name", "name_key", "source", "body", "enabled", "for_everybody", "created_by"),
)
_UPDATE = ScopedStatement(
    lambda guard: (
        update(mcp_servers)
        .where(_SERVER, guard.installation())
        .values(
            body=bindparam("new_body", type_=LargeBinary),
            enabled=bindparam("new_enabled", type_=Boolean),
            for_everybody=bindparam("new_for_everybody", type_=Boolean),
            updated_at=func.now(),
        )
    )
)
_DELETE = ScopedStatement(lambda guard: delete(mcp_servers).where(_SERVER, guard.installation()))
_CLEAR_GROUPS = ScopedStatement(
    lambda guard: delete(mcp_server_groups).where(_OF_SERVER, guard.installation())
)
_ADD_GROUPS = Statement(  # as above
    insert(mcp_server_groups).from_select(
        ["server_id", "group_id"],
        select(
            bindparam("server", type_=BigInteger),
            func.unnest(bindparam("group_ids", type_=ARRAY(BigInteger))),
        ),
    )
)


class McpServerRepository(Repository):
    """Servers are the installation's: root and the system see and change them, nobody else."""

    async def all(self) -> Sequence[McpServer]:
        """Return every server, the oldest first."""
        return [self._read(row) for row in await self._all(_ALL.administered_by(self._scope), {})]

    async def get(self, server_id: int) -> McpServer:
        """Return a server.

        Raises:
            NotFound: There is none that the scope sees.
        """
        row = await self._first(_GET.administered_by(self._scope), {"server": server_id})
        if row is None:
            raise NotFound(f"no MCP server {server_id!r}")
        return self._read(row)

    async def lock(self, server_id: int) -> McpServer:
        """Return a server, which nobody else changes until the unit of work ends.

        Raises:
            NotFound: There is none that the scope sees.
        """
        await self._all(_LOCK.administered_by(self._scope), {"server": server_id})
        return await self.get(server_id)

    async def pin(self, name: str) -> int | None:
        """Have nobody remove a server until the unit of work ends; its id, None if it is gone."""
        row = await self._first(_PIN.administered_by(self._scope), {"name": name})
        return None if row is None else int(row["id"])

    async def create(
        self,
        name: str,
        *,
        source: ServerSource,
        config: Mapping[str, Any],
        groups: Collection[int] | None = None,
        enabled: bool = True,
        created_by: int | None = None,
    ) -> McpServer:
        """Add a server.

        Raises:
            AccessDenied: The scope is neither root's nor the system's.
            ServerNameTaken: Another one has the name.
            NotFound: One of the groups does not exist.
        """
        if not self._scope.administers:
            raise AccessDenied("MCP servers are for administrators")
        columns = {
            "name": name,
            "name_key": name.casefold(),
            "source": source,
            "body": self._seal(name, source, config),
            "enabled": enabled,
            "for_everybody": groups is None,
            "created_by": created_by,
        }
        row = await self._first(_INSERT, columns)
        if row is None:
            raise ServerNameTaken(f"there is an MCP server {name!r}")
        await self._add_groups(row["id"], groups)
        await self._notify(Channel.MCP_SERVERS_CHANGED, "")
        return await self.get(row["id"])

    async def change(
        self,
        server: McpServer,
        *,
        config: Mapping[str, Any],
        groups: Collection[int] | None,
        enabled: bool,
    ) -> McpServer:
        """Replace all of a server but its name.

        Raises:
            NotFound: There is no such server that the scope sees, or no such group.
        """
        parameters = {
            "server": server.id,
            "new_body": self._seal(server.name, server.source, config),
            "new_enabled": enabled,
            "new_for_everybody": groups is None,
        }
        if not await self._change(_UPDATE.administered_by(self._scope), parameters):
            raise NotFound(f"no MCP server {server.id!r}")
        await self._change(_CLEAR_GROUPS.administered_by(self._scope), {"server": server.id})
        await self._add_groups(server.id, groups)
        await self._notify(Channel.MCP_SERVERS_CHANGED, "")
        return await self.get(server.id)

    async def delete(self, server_id: int) -> None:
        """Forget a server.

        Raises:
            NotFound: There is none that the scope sees.
        """
        if not await self._change(_DELETE.administered_by(self._scope), {"server": server_id}):
            raise NotFound(f"no MCP server {server_id!r}")
        await self._notify(Channel.MCP_SERVERS_CHANGED, "")

    async def _add_groups(self, server_id: int, groups: Collection[int] | None) -> None:
        if not groups:
            return
        try:
            await self._change(_ADD_GROUPS, {"server": server_id, "group_ids": sorted(set(groups))})
        except Conflict as exc:
            raise NotFound("one of the groups does not exist") from exc

    def _seal(self, name: str, source: str, config: Mapping[str, Any]) -> bytes:
        return self._key_ring.encrypt_json(dict(config), context=_context(name, source))

    def _read(self, row: Row) -> McpServer:
        groups = None if row["for_everybody"] else frozenset(row["groups"] or ())
        return McpServer(
            id=row["id"],
            name=row["name"],
            source=row["source"],
            config=self._key_ring.decrypt_json(
                row["body"], context=_context(row["name"], row["source"])
            ),
            enabled=row["enabled"],
            groups=groups,
            created_at=row["created_at"],
            updated_at=row["updated_at"],
        )


def _context(name: str, source: str) -> str:
    return f"mcp_servers.body/{source}/{name}"
