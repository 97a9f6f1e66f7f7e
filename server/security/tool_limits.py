"""What the rules of the installation and of its groups let calls take, and how many a run makes."""

from collections.abc import Iterator, Sequence

from typing_extensions import override

from graph.call_budget import CallBudget, Limiter, RunLimits
from persistence.access import AccessScope
from persistence.database import Database
from persistence.notifications import Channel
from persistence.rule_records import ToolLimit
from persistence.unit_of_work import UnitOfWork
from server.security.followed_rules import FollowedRules
from server.security.group_memberships import GroupMemberships
from server.security.rule_books import RuleBook
from server.security.tool_patterns import Glob
from tools.calls import CallLimits

_INSTALLATION = 0
"""Stands for the setting where budgets are told apart by their rules' ids."""


class LimitRule:
    """One rule."""

    def __init__(self, limit: ToolLimit) -> None:
        self.group_id = limit.group_id
        self.limit = limit
        self._tool = Glob.parse(limit.tool)

    def is_about(self, tool: str) -> bool:
        """Whether it limits calls of a tool."""
        return self._tool.fits(tool)


class ToolLimits(FollowedRules[RuleBook[LimitRule]]):
    """Limits the calls of one replica's runs.

    Of all the rules that fit a call, those for everybody and those of the groups that the caller is
    in, the strictest counts, for each of the limits by itself. None of them allows more than the
    settings do.
    """

    _channel = Channel.TOOL_LIMIT_CHANGED

    def __init__(
        self, database: Database, memberships: GroupMemberships, *, calls_per_run: int
    ) -> None:
        """Prepare to limit.

        Args:
            database: Holds the rules.
            memberships: Says which groups' rules bind whom.
            calls_per_run: How many calls a run may make of whatever tools.
        """
        super().__init__(database)
        self._memberships = memberships
        self._of_installation = CallBudget(id=_INSTALLATION, tools="*", most=calls_per_run)

    def for_caller(self, scope: AccessScope) -> Limiter:
        """The limits for the runs of a user, as they are whenever it is asked.

        Raises, when it is asked:
            DatabaseUnavailable: The rules could not be read; no call may be made then.
            DecryptionError: A stored rule was tampered with.
        """

        async def look() -> RunLimits:
            book = await self.rules()
            groups = await self._memberships.of(scope) if book.binds_groups else frozenset()
            return _LimitsOf(book, groups, self._of_installation)

        return look

    @override
    async def _read(self, uow: UnitOfWork) -> RuleBook[LimitRule]:
        return RuleBook(map(LimitRule, await uow.tool_limits.all()))


class _LimitsOf:
    """The limits that bind somebody who is in certain groups."""

    def __init__(
        self, book: RuleBook[LimitRule], groups: frozenset[int], of_installation: CallBudget
    ) -> None:
        self._book = book
        self._groups = groups
        self._of_installation = of_installation

    def for_call(self, tool: str) -> CallLimits:
        limits = list(self._binding(tool))
        return CallLimits(
            seconds=min((s for each in limits if (s := each.max_seconds)), default=None),
            result_chars=min((n for each in limits if (n := each.max_result_chars)), default=None),
        )

    def budgets(self, tool: str) -> Sequence[CallBudget]:
        budgets = [
            CallBudget(id=each.id, tools=each.tool, most=most)
            for each in self._binding(tool)
            if (most := each.max_calls_per_run)
        ]
        return sorted([*budgets, self._of_installation], key=lambda budget: budget.most)

    def _binding(self, tool: str) -> Iterator[ToolLimit]:
        return (rule.limit for rule in self._book.about(tool).binding(self._groups))
