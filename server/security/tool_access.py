"""Which tools a run is offered: what the caller could not use anyway, the model is not told of."""

from collections import OrderedDict
from typing import TypeAlias

import structlog

from graph.toolbox import as_safe_name
from persistence.errors import DecryptionError
from server.observability import describe
from server.security.group_memberships import GroupMemberships
from server.security.principal import Principal
from server.security.tool_limits import ToolLimits
from server.security.tool_policies import ToolPolicies
from server.security.tool_rules import PolicyBook
from tools.catalog import ToolCatalog
from tools.client import McpTool

KEPT_SELECTIONS = 64

log = structlog.get_logger(__name__)

_Tools: TypeAlias = tuple[McpTool, ...]
_Kept: TypeAlias = tuple[_Tools, PolicyBook, _Tools]


class ToolAccess:
    """Selects tools by the groups of their servers, by rules and by what the caller's key may.

    It is about what is offered. Each call is judged by itself, by `ToolPolicies`, when it is made.
    """

    def __init__(
        self,
        catalog: ToolCatalog,
        policies: ToolPolicies,
        limits: ToolLimits,
        memberships: GroupMemberships,
    ) -> None:
        self._catalog = catalog
        self._policies = policies
        self._limits = limits
        self._memberships = memberships
        self._kept: OrderedDict[tuple[int, int, int, frozenset[int]], _Kept] = OrderedDict()

    async def offer(self, principal: Principal) -> _Tools:
        """The tools for a run of the principal's; the same objects as long as nothing changes.

        Without rules that can be trusted there are none: people can talk all the same.

        Raises:
            DatabaseUnavailable: Rules or groups had changed and could not be read.
        """
        try:
            book = await self._policies.rules()
            await self._limits.rules()
        except DecryptionError as exc:
            log.error("tool_rules_unreadable", **describe(exc))
            return ()
        tools = self._within_reach(principal)
        if self._catalog.is_for_everybody and not (
            book.denies_tools or self._policies.denies_unruled
        ):
            return tools
        groups = await self._memberships.of(principal.scope)
        key = (id(tools), id(book), self._catalog.revision, groups)
        kept = self._kept.get(key)
        if kept is None:
            # What is kept keeps both alive, so an id in a key is never another one's.
            kept = self._kept[key] = (tools, book, self._select(tools, book, groups))
            if len(self._kept) > KEPT_SELECTIONS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept[2]

    async def why_denied(self, principal: Principal, name: str) -> str | None:
        """Why a tool is not offered that there is for the principal; None if there is none.

        Of a server that is for other groups nothing is said.

        Args:
            principal: Whose run it is.
            name: The tool's, as models know it.

        Raises:
            DatabaseUnavailable: Rules or groups had changed and could not be read.
            DecryptionError: A stored rule was tampered with.
        """
        names = {name, as_safe_name(name)}
        tool = next((each for each in self._within_reach(principal) if each.name in names), None)
        if tool is None:
            return None
        groups = await self._memberships.of(principal.scope)
        if not self._policies.is_for(tool.qualified_name, groups):
            return None
        book = await self._policies.rules()
        verdict = self._policies.standing(book, tool.qualified_name, groups, tool)
        return verdict.reason if verdict.decision == "deny" else None

    def _within_reach(self, principal: Principal) -> _Tools:
        """All tools that there are, but no more than the caller's key could do without a model."""
        return self._catalog.tools(with_documents=principal.may("documents:read"))

    def _select(self, tools: _Tools, book: PolicyBook, groups: frozenset[int]) -> _Tools:
        standing = self._policies.standing
        return tuple(
            tool
            for tool in tools
            if standing(book, tool.qualified_name, groups, tool).decision != "deny"
        )
