"""Tools: what the caller may use, and what root and groups' admins say about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from persistence.database import Database
from persistence.errors import NotFound
from persistence.mcp_records import McpToolRow, SeenTool
from persistence.records import Page
from persistence.rule_records import PolicyVerdict
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry
from server.errors import DefinitionChanged, NotAuthorized, ToolNotFound
from server.mcp.guard import changed_parts
from server.rule_service import Also
from server.security.principal import Origin, Principal
from server.security.tool_policies import ToolPolicies
from tools.catalog import ToolCatalog
from tools.definitions import parts_of
from tools.names import qualify
from tools.server_tools import Availability, ToolListing

_USABLE = {"available", "away"}
_NOTHING: Mapping[str, Any] = {
    "title": None,
    "description": None,
    "inputSchema": {},
    "annotations": None,
}


class RuleMaker(Protocol):
    """Makes rules about tool calls."""

    async def decree(
        self,
        principal: Principal,
        origin: Origin,
        *,
        tool: str,
        group_id: int | None,
        verdict: PolicyVerdict,
        also: Also,
    ) -> object:
        """Has one rule speak of all calls of one tool, and something else done, or neither."""
        ...


@dataclass(frozen=True, kw_only=True)
class ToolChanges:
    """What of a tool is to change."""

    enabled: bool | None = None
    fingerprint: str | None = None
    """Of the held definition that is approved."""
    policy: PolicyVerdict | None = None
    group_id: int | None = None

    @property
    def is_decision(self) -> bool:
        """Whether it is said whether the tool may be used at all."""
        return self.enabled is not None or self.fingerprint is not None


@dataclass(frozen=True, kw_only=True)
class HeldView:
    """A definition that waits."""

    seen: SeenTool
    changed: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ToolView:
    """A tool as somebody sees it."""

    id: int | None
    name: str
    server: str
    definition: Mapping[str, Any] = field(repr=False)
    policy: PolicyVerdict
    read_only: bool
    open_world: bool
    enabled: bool
    status: Availability
    reason: str | None
    held: HeldView | None


class ToolService:
    """Users see what they may use; root sees all, also what waits and what is refused."""

    def __init__(
        self, database: Database, catalog: ToolCatalog, policies: ToolPolicies, rules: RuleMaker
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._policies = policies
        self._rules = rules

    async def list_tools(self, principal: Principal, *, limit: int, offset: int) -> Page[ToolView]:
        """The tools that the principal may use, and to root all."""
        views = await self._views(principal)
        return Page(
            items=views[offset : offset + limit], total=len(views), limit=limit, offset=offset
        )

    async def change(
        self, principal: Principal, origin: Origin, tool_id: int, changes: ToolChanges
    ) -> ToolView:
        """Changes what is given: all of it, or nothing where one thing cannot be.

        Raises:
            NotAuthorized: It is for root.
            ToolNotFound: There is none that the principal sees.
            DefinitionChanged: Another definition than the one that was shown waits, or none.
            GroupNotFound, NotGroupAdmin: The policy is not for the principal to set.
        """
        if changes.is_decision and not principal.user.is_root:
            raise NotAuthorized("Whether a tool may be used at all is for root to say.")
        seen = await self._find(principal, tool_id)
        decide = partial(self._decide, principal, origin, tool_id, changes)
        if changes.policy is not None:
            await self._rules.decree(
                principal,
                origin,
                tool=seen.name,
                group_id=changes.group_id,
                verdict=changes.policy,
                also=decide,
            )
        else:
            async with self._database.unit_of_work(principal.scope) as uow:
                await decide(uow)
                await uow.commit()
        if changes.is_decision:
            await self._catalog.judge()
        after = replace(seen, policy=changes.policy or seen.policy)
        return await self._find(principal, tool_id, default=after)

    async def _decide(
        self,
        principal: Principal,
        origin: Origin,
        tool_id: int,
        changes: ToolChanges,
        uow: UnitOfWork,
    ) -> None:
        if not changes.is_decision:
            return
        by = principal.user.id
        try:
            row = await uow.mcp_tools.get(tool_id)
        except NotFound as exc:
            raise ToolNotFound from exc
        details: dict[str, Any] = {"tool": qualify(row.server, row.name)}
        if changes.fingerprint is not None:
            if row.held is None or row.held.fingerprint != changes.fingerprint:
                raise DefinitionChanged
            if not await uow.mcp_tools.approve(row, decided_by=by):
                raise DefinitionChanged
            details["approved"] = changed_parts(row.approved, row.held)
            details["fingerprint"] = changes.fingerprint
        if changes.enabled is not None:
            await uow.mcp_tools.enable(tool_id, enabled=changes.enabled, decided_by=by)
            details["before"] = {"enabled": row.enabled}
            details["after"] = {"enabled": changes.enabled}
        await uow.audit.record(
            audit_entry(
                "tool.change",
                principal,
                origin,
                resource=("tool", str(tool_id)),
                details=details,
            )
        )

    async def _find(
        self, principal: Principal, tool_id: int, *, default: ToolView | None = None
    ) -> ToolView:
        """Returns the tool; the default if the principal has just lost sight of it."""
        found = next((each for each in await self._views(principal) if each.id == tool_id), default)
        if found is None:
            raise ToolNotFound
        return found

    async def _views(self, principal: Principal) -> list[ToolView]:
        is_root = principal.user.is_root
        async with self._database.unit_of_work(principal.scope) as uow:
            groups = await uow.groups.ids()
            held = {row.id: row for row in await uow.mcp_tools.held()} if is_root else {}
        book = await self._policies.rules()
        documents = principal.may("documents:read")
        views = []
        for listed in self._catalog.listing(with_documents=documents):
            name = qualify(listed.server.name, listed.definition.tool.name)
            policy = self._policies.standing(book, name, groups, listed).decision
            if is_root or (listed.status in _USABLE and policy != "deny"):
                row = None if listed.tool_id is None else held.get(listed.tool_id)
                views.append(_view(listed, name, policy, row))
        return views


def _view(
    listed: ToolListing, name: str, policy: PolicyVerdict, row: McpToolRow | None
) -> ToolView:
    definition: Mapping[str, Any] = parts_of(listed.definition.tool)
    held = None
    if row is not None and row.held is not None:
        definition = row.approved.definition if row.approved is not None else _NOTHING
        held = HeldView(seen=row.held, changed=changed_parts(row.approved, row.held))
    return ToolView(
        id=listed.tool_id,
        name=name,
        server=listed.server.name,
        definition=definition,
        policy=policy,
        read_only=listed.read_only,
        open_world=listed.open_world,
        enabled=listed.is_enabled,
        status=listed.status,
        reason=listed.reason,
        held=held,
    )
