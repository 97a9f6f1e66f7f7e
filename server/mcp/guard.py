"""Notices when a server makes something else of a tool than what was approved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
                news = [each for each in seen if _is_news(each, rows.get(each.name), trusted)]
                server_id = None if trusted or not news else await uow.mcp_servers.pin(server)
                if news and not trusted and server_id is None:
                    return {}  # it was removed while it told of its tools
                if news:
                    await self._keep(uow, _Teller(name=server, id=server_id), news, rows)
                    await uow.commit()
                    rows = await uow.mcp_tools.of_server(server)
        except PersistenceError as exc:
            raise DefinitionsUnjudged("what was approved of its tools is not known now") from exc
        return {
            each.name: _verdict(rows[each.name], each, trusted=trusted)
            for each in seen
            if each.name in rows
        }

    async def _keep(
        self,
        uow: UnitOfWork,
        server: "_Teller",
        news: Sequence[SeenTool],
        rows: Mapping[str, McpToolRow],
    ) -> None:
        """Writes down what is new."""
        in_order = sorted(news, key=lambda each: each.name)  # so that nobody waits in a circle
        joining = [each for each in in_order if each.name not in rows]
        if joining and len(rows) + len(joining) <= KNOWN_TOOLS_MAX:
            await self._take_in(uow, server, joining, is_known=bool(rows))
        for tool in in_order:
            row = rows.get(tool.name)
            if row is None:
                continue
            if row.approved is None or row.approved.fingerprint != tool.fingerprint:
                await _take_change(uow, row, tool)
            elif await uow.mcp_tools.release(row):
                # The server has taken its change back, so nobody needs to decide on it.
                await uow.audit.record(_entry("tool.release", row, tool))

    async def _take_in(
        self, uow: UnitOfWork, server: "_Teller", joining: Sequence[SeenTool], *, is_known: bool
    ) -> None:
        hold = self._hold_new_tools and is_known and server.id is not None
        # Those that another process has seen at once, it has told of.
        added = [each for each in joining if await uow.mcp_tools.add(server.name, each, held=hold)]
        if server.id is not None and added:
            await uow.audit.record(
                AuditEntry(
                    action="tool.join",
                    resource_type="mcp_server",
                    resource_id=str(server.id),
                    details={
                        "name": server.name,
                        "held": hold,
                        "tools": {each.name: each.fingerprint for each in added},
                    },
                )
            )


@dataclass(frozen=True, kw_only=True)
class _Teller:
    """The server that tells of its tools."""

    name: str
    id: int | None
    """None of one of the product's own."""


def _is_news(tool: SeenTool, row: McpToolRow | None, trusted: bool) -> bool:
    """Whether there is something to write down.

    Of the product's own tools only that they are there: they change with the product, and while it
    is upgraded two versions of it bring different ones, neither of which waits for the other.
    """
    if row is None or trusted:
        return row is None
    is_approved = row.approved is not None and row.approved.fingerprint == tool.fingerprint
    return not is_approved or row.held is not None


async def _take_change(uow: UnitOfWork, row: McpToolRow, tool: SeenTool) -> None:
    if await uow.mcp_tools.hold(row, tool) and row.held is None:
        # What changes over and over is told of once.
        log.warning("mcp_tool_held", server=row.server, tool_id=row.id)
        await uow.audit.record(_entry("tool.hold", row, tool))


def _entry(action: str, row: McpToolRow, tool: SeenTool) -> AuditEntry:
    before = row.approved if action == "tool.hold" else row.held
    return AuditEntry(
        action=action,
        resource_type="tool",
        resource_id=str(row.id),
        details={
            "tool": qualify(row.server, row.name),
            "changed": changed_parts(before, tool),
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


def _verdict(row: McpToolRow, tool: SeenTool, *, trusted: bool) -> DefinitionVerdict:
    is_approved = row.approved is not None and row.approved.fingerprint == tool.fingerprint
    return DefinitionVerdict(
        tool_id=row.id,
        fingerprint=tool.fingerprint,
        is_approved=trusted or is_approved,
        is_enabled=row.enabled,
    )
