"""The tools of MCP servers: as they may be used, and as their servers have changed them since."""

from collections.abc import Mapping, Sequence
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
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from persistence.access import Guard, ScopedStatement
from persistence.errors import AccessDenied, NotFound
from persistence.mcp_records import McpToolRow, SeenTool
from persistence.models import mcp_tools
from persistence.notifications import Channel
from persistence.repositories.base import Repository
from persistence.statements import Statement
from persistence.transaction import Row

_TOOL = mcp_tools.c.id == bindparam("tool", type_=BigInteger)
_HELD = mcp_tools.c.held_fingerprint == bindparam("seen", type_=Text)
_OF_SERVER = mcp_tools.c.server_name == bindparam("server", type_=Text)


def _select_tools(guard: Guard) -> Select[Any]:
    return select(mcp_tools).where(guard.installation())


_GET = ScopedStatement(lambda guard: _select_tools(guard).where(_TOOL))
_OF = ScopedStatement(lambda guard: _select_tools(guard).where(_OF_SERVER).order_by(mcp_tools.c.id))
_ALL_HELD = ScopedStatement(
    lambda guard: (
        _select_tools(guard)
        .where(mcp_tools.c.held_fingerprint.is_not(None))
        .order_by(mcp_tools.c.id)
    )
)
_INSERT = Statement(  # only ever run by who may, which `add` made sure of
    insert(mcp_tools).on_conflict_do_nothing(),
    columns=("server_name", "tool_hash", "fingerprint", "body", "held_fingerprint", "held_body"),
)
_HOLD = ScopedStatement(
    lambda guard: (
        update(mcp_tools)
        .where(
            _TOOL,
            guard.installation(),
            mcp_tools.c.held_fingerprint.is_distinct_from(bindparam("new_held", type_=Text)),
            mcp_tools.c.fingerprint.is_distinct_from(bindparam("new_held", type_=Text)),
        )
        .values(
            held_fingerprint=bindparam("new_held", type_=Text),
            held_body=bindparam("new_held_body", type_=LargeBinary),
            changed_at=func.now(),
        )
    )
)
_APPROVE = ScopedStatement(
    lambda guard: (
        update(mcp_tools)
        .where(_TOOL, _HELD, guard.installation())
        .values(
            fingerprint=bindparam("new_fingerprint", type_=Text),
            body=bindparam("new_body", type_=LargeBinary),
            held_fingerprint=null(),
            held_body=null(),
            decided_by=bindparam("decider", type_=BigInteger),
            changed_at=func.now(),
        )
    )
)
_RELEASE = ScopedStatement(
    lambda guard: (
        update(mcp_tools)
        .where(_TOOL, _HELD, guard.installation(), mcp_tools.c.fingerprint.is_not(None))
        .values(held_fingerprint=null(), held_body=null(), changed_at=func.now())
    )
)
_ENABLE = ScopedStatement(
    lambda guard: (
        update(mcp_tools)
        .where(_TOOL, guard.installation())
        .values(
            enabled=bindparam("new_enabled", type_=Boolean),
            decided_by=bindparam("decider", type_=BigInteger),
            changed_at=func.now(),
        )
    )
)
_FORGET = ScopedStatement(lambda guard: delete(mcp_tools).where(_OF_SERVER, guard.installation()))


class McpToolRepository(Repository):
    """Root and the system see and change them, nobody else.

    A definition belongs to the server, the tool and its own fingerprint: one that was moved to
    another row, or that another fingerprint was put beside, is refused.
    """

    async def of_server(self, server: str) -> Mapping[str, McpToolRow]:
        """Return what is known of a server's tools, by their names."""
        rows = await self._all(_OF.administered_by(self._scope), {"server": server})
        return {tool.name: tool for tool in map(self._read, rows)}

    async def held(self) -> Sequence[McpToolRow]:
        """Return the tools that wait to be approved."""
        rows = await self._all(_ALL_HELD.administered_by(self._scope), {})
        return [self._read(row) for row in rows]

    async def get(self, tool_id: int) -> McpToolRow:
        """Return a tool.

        Raises:
            NotFound: There is none that the scope sees.
        """
        row = await self._first(_GET.administered_by(self._scope), {"tool": tool_id})
        if row is None:
            raise NotFound(f"no tool {tool_id!r}")
        return self._read(row)

    async def add(self, server: str, seen: SeenTool, *, held: bool) -> bool:
        """Keep a tool that was not there before; False if another process has kept it at once.

        Raises:
            AccessDenied: The scope is neither root's nor the system's.
        """
        if not self._scope.administers:
            raise AccessDenied("tools are for administrators")
        tool_hash = self._hash(server, seen.name)
        columns: dict[str, Any] = {
            "server_name": server,
            "tool_hash": tool_hash,
            "fingerprint": None,
            "body": None,
            "held_fingerprint": None,
            "held_body": None,
        }
        if held:
            columns["held_fingerprint"] = seen.fingerprint
            columns["held_body"] = self._seal("held_body", server, tool_hash, seen)
        else:
            columns["fingerprint"] = seen.fingerprint
            columns["body"] = self._seal("body", server, tool_hash, seen)
        return await self._change(_INSERT, columns) > 0

    async def hold(self, tool: McpToolRow, seen: SeenTool) -> bool:
        """Keep what a server has made of a tool; False if it was kept or approved already."""
        tool_hash = self._hash(tool.server, tool.name)
        parameters = {
            "tool": tool.id,
            "new_held": seen.fingerprint,
            "new_held_body": self._seal("held_body", tool.server, tool_hash, seen),
        }
        return await self._change(_HOLD.administered_by(self._scope), parameters) > 0

    async def approve(self, tool: McpToolRow, *, decided_by: int | None) -> bool:
        """Let the definition be used that is held; False if that is another one by now."""
        assert tool.held is not None  # noqa: S101 - whoever approves has seen it
        tool_hash = self._hash(tool.server, tool.name)
        parameters = {
            "tool": tool.id,
            "seen": tool.held.fingerprint,
            "new_fingerprint": tool.held.fingerprint,
            "new_body": self._seal("body", tool.server, tool_hash, tool.held),
            "decider": decided_by,
        }
        if not await self._change(_APPROVE.administered_by(self._scope), parameters):
            return False
        await self._notify(Channel.MCP_SERVERS_CHANGED, "")
        return True

    async def release(self, tool: McpToolRow) -> bool:
        """Forget what is held of a tool, if it is what was seen and something else is approved."""
        assert tool.held is not None  # noqa: S101 - whoever releases has seen it
        parameters = {"tool": tool.id, "seen": tool.held.fingerprint}
        return await self._change(_RELEASE.administered_by(self._scope), parameters) > 0

    async def enable(self, tool_id: int, *, enabled: bool, decided_by: int | None) -> None:
        """Let a tool be used, or not.

        Raises:
            NotFound: There is none that the scope sees.
        """
        parameters = {"tool": tool_id, "new_enabled": enabled, "decider": decided_by}
        if not await self._change(_ENABLE.administered_by(self._scope), parameters):
            raise NotFound(f"no tool {tool_id!r}")
        await self._notify(Channel.MCP_SERVERS_CHANGED, "")

    async def forget(self, server: str) -> None:
        """Know nothing of a server's tools any more."""
        await self._change(_FORGET.administered_by(self._scope), {"server": server})

    def _hash(self, server: str, name: str) -> str:
        return self._key_ring.keyed_hash(f"mcp_tools/{server}\0{name}")

    def _seal(self, column: str, server: str, tool_hash: str, seen: SeenTool) -> bytes:
        body = {"name": seen.name, "definition": dict(seen.definition)}
        context = _context(column, server, tool_hash, seen.fingerprint)
        return self._key_ring.encrypt_json(body, context=context)

    def _read(self, row: Row) -> McpToolRow:
        approved = self._open(row, "body", row["fingerprint"])
        held = self._open(row, "held_body", row["held_fingerprint"])
        known = approved or held
        assert known is not None  # noqa: S101 - no row is without both
        return McpToolRow(
            id=row["id"],
            server=row["server_name"],
            name=known.name,
            enabled=row["enabled"],
            approved=approved,
            held=held,
        )

    def _open(self, row: Row, column: str, fingerprint: str | None) -> SeenTool | None:
        if fingerprint is None:
            return None
        context = _context(column, row["server_name"], row["tool_hash"], fingerprint)
        body = self._key_ring.decrypt_json(row[column], context=context)
        return SeenTool(fingerprint=fingerprint, **body)


def _context(column: str, server: str, tool_hash: str, fingerprint: str) -> str:
    return f"mcp_tools.{column}/{server}/{tool_hash}/{fingerprint}"
