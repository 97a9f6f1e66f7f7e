"""Notices when a server makes something else of a tool than what was approved."""

from collections.abc import Mapping, Sequence

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.mcp_records import McpToolRow, SeenTool
from persistence.records import AuditEntry
from persistence.unit_of_work import UnitOfWork
from tools.definitions import DefinitionVerdict, ToolDefinition, parts_of
from tools.errors import DefinitionsUnjudged
from tools.names import qualify

KNOWN_TOOLS_MAX = 1_000
"""A server that brings more over the years, or makes names up, is not believed any more."""

_SYSTEM = AccessScope.system("definitions of tools")

log = structlog.get_logger(__name__)


class StoredDefinitions:
    """The database's memory of what every tool said of itself when it was approved.

    The tools of a server that is seen for the first time are approved: root has chosen the server.
    """

    def __init__(self, database: Database, *, hold_new_tools: bool) -> None:
        """Args: hold_new_tools: whether those that join a known server later wait, too."""
        self._database = database
        self._hold_new_tools = hold_new_tools

    async def judge(
        self, server: str, definitions: Sequence[ToolDefinition], *, trusted: bool
    ) -> Mapping[str, DefinitionVerdict]:
        """Does what `DefinitionGuard` says."""
        seen = [_seen(each) for each in definitions]
        try:
            async with self._database.unit_of_work(_SYSTEM) as uow:
                rows = await uow.mcp_tools.of_server(server)
                if await self._keep(uow, server, seen, rows, trusted=trusted):
                    await uow.commit()
                    rows = await uow.mcp_tools.of_server(server)
        except PersistenceError as exc:
            raise DefinitionsUnjudged("what was approved of its tools is not known now") from exc
        return {each.name: _verdict(rows[each.name], each) for each in seen if each.name in rows}

    async def _keep(
        self,
        uow: UnitOfWork,
        server: str,
        seen: Sequence[SeenTool],
        rows: Mapping[str, McpToolRow],
        *,
        trusted: bool,
    ) -> bool:
        """Writes down what is new; returns whether anything was."""
        is_changed = False
        for tool in sorted(seen, key=lambda each: each.name):  # so that nobody waits in a circle
            row = rows.get(tool.name)
            if row is None:
                if len(rows) + len(seen) <= KNOWN_TOOLS_MAX:
                    hold = self._hold_new_tools and bool(rows) and not trusted
                    await uow.mcp_tools.add(server, tool, held=hold)
                    is_changed = True  # by us or by another process that saw it at once
            elif row.approved is None or row.approved.fingerprint != tool.fingerprint:
                is_changed |= await _take_change(uow, row, tool, trusted=trusted)
            elif row.held is not None:
                # The server has taken its change back, so nobody needs to decide on it.
                is_changed |= await uow.mcp_tools.release(row)
        return is_changed


async def _take_change(uow: UnitOfWork, row: McpToolRow, tool: SeenTool, *, trusted: bool) -> bool:
    is_news = await uow.mcp_tools.hold(row, tool)
    if trusted:
        return await uow.mcp_tools.approve(await uow.mcp_tools.get(row.id), decided_by=None)
    if is_news and row.held is None:  # what changes over and over is told of once
        log.warning("mcp_tool_held", server=row.server, tool_id=row.id)
        await uow.audit.record(_entry(row, tool))
    return is_news


def _entry(row: McpToolRow, tool: SeenTool) -> AuditEntry:
    return AuditEntry(
        action="tool.hold",
        resource_type="tool",
        resource_id=str(row.id),
        details={
            "tool": qualify(row.server, row.name),
            "changed": changed_parts(row.approved, tool),
            "fingerprint": tool.fingerprint,
        },
    )


def changed_parts(before: SeenTool | None, after: SeenTool) -> list[str]:
    """The names of what is not the same in two definitions."""
    if before is None:
        return sorted(name for name, value in after.definition.items() if value is not None)
    return sorted(
        name
        for name in {*before.definition, *after.definition}
        if before.definition.get(name) != after.definition.get(name)
    )


def _seen(definition: ToolDefinition) -> SeenTool:
    return SeenTool(
        name=definition.tool.name,
        fingerprint=definition.fingerprint,
        definition=parts_of(definition.tool),
    )


def _verdict(row: McpToolRow, tool: SeenTool) -> DefinitionVerdict:
    return DefinitionVerdict(
        tool_id=row.id,
        fingerprint=tool.fingerprint,
        is_approved=row.approved is not None and row.approved.fingerprint == tool.fingerprint,
        is_enabled=row.enabled,
    )
