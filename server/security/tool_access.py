"""Which tools a run is offered: what the caller could not use anyway, the model is not told of."""

from collections import OrderedDict
from typing import TypeAlias

import structlog

from persistence.errors import DecryptionError
from server.observability import describe
from server.security.group_memberships import GroupMemberships
from server.security.principal import Principal
from server.security.tool_policies import ToolPolicies
from server.security.tool_rules import RuleBook
from tools.catalog import ToolCatalog
from tools.client import McpTool

KEPT_SELECTIONS = 64

log = structlog.get_logger(__name__)

_Tools: TypeAlias = tuple[McpTool, ...]
_Kept: TypeAlias = tuple[_Tools, RuleBook, _Tools]


class ToolAccess:
    """Selects tools by the groups of their servers, by rules and by what the caller's key may.

    It is about what is offered. Each call is judged by itself, by `ToolPolicies`, when it is made.
    """

    def __init__(
        self, catalog: ToolCatalog, policies: ToolPolicies, memberships: GroupMemberships
    ) -> None:
        self._catalog = catalog
        self._policies = policies
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
        except DecryptionError as exc:
            log.error("tool_rules_unreadable", **describe(exc))
            return ()
        # No more than the caller's key could do without the model.
        tools = self._catalog.tools(with_documents=principal.may("documents:read"))
        if self._catalog.is_for_everybody and not (
            book.denies_tools or self._policies.denies_unmarked
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

    def _select(self, tools: _Tools, book: RuleBook, groups: frozenset[int]) -> _Tools:
        standing = self._policies.standing
        return tuple(
            tool
            for tool in tools
            if standing(book, tool.qualified_name, groups, read_only=tool.read_only) != "deny"
        )
