"""What the rules of the installation and of its groups say of the calls that a model proposes."""

import asyncio
from collections.abc import Sequence
from typing import Literal

from graph.approvals import Policy, ProposedCall, Verdict
from persistence.access import AccessScope
from persistence.database import Database
from persistence.notifications import Channel, Notifications
from server.security.tool_defaults import with_defaults
from server.security.tool_rules import RuleBook, ToolRules, strictest_of

UNMARKED = "The tool is not marked as one that only reads."
"""The reason where no rule, but the installation's setting, asks or denies."""

_SYSTEM = AccessScope.system("rules about tool calls")
_ALLOWED = Verdict(decision="allow")


class ToolPolicies:
    """Judges the calls of one replica's runs.

    Of all the rules that fit a call, those for everybody and those of the groups that the caller is
    in, the strictest counts: deny before ask before allow. There is no order among them to get
    wrong, and adding a rule never takes away what another one forbids. Of several that ask, one
    that wants a group's admin counts before one that wants the user, and that one before one that
    is content with either; then the oldest does. Where no rule fits, a tool that is marked as only
    reading is allowed, and of any other tool the setting `MCP__UNMARKED_TOOLS` decides.
    """

    def __init__(self, database: Database, *, unmarked: Literal["allow", "ask", "deny"]) -> None:
        """Args: unmarked: the verdict on tools that are not read-only where no rule fits."""
        self._database = database
        self._unmarked = Verdict(decision=unmarked, reason="" if unmarked == "allow" else UNMARKED)
        self._book: RuleBook | None = None
        self._changes = 0
        self._loading = asyncio.Lock()

    def follow(self, notifications: Notifications) -> None:
        """Reads the rules again after any replica has changed one, or may have."""
        notifications.subscribe(Channel.TOOL_POLICY_CHANGED, lambda _: self.forget())
        notifications.on_gap(self.forget)

    def forget(self) -> None:
        """Has the rules read again before the next call is judged."""
        self._book = None
        self._changes += 1

    def for_caller(self, scope: AccessScope) -> Policy:
        """The policy for the runs of a user.

        Raises, when it is asked:
            DatabaseUnavailable: The rules could not be read; no call may be made then.
            DecryptionError: A stored rule was tampered with.
        """

        async def judge(calls: Sequence[ProposedCall]) -> Sequence[Verdict]:
            return await self._judge(scope, calls)

        return judge

    async def _judge(self, scope: AccessScope, calls: Sequence[ProposedCall]) -> list[Verdict]:
        book = await self._rules()
        found = [(with_defaults(call), book.about(call.tool)) for call in calls]
        groups: frozenset[int] = frozenset()
        if any(rules.of_groups and not rules.denies(call) for call, rules in found):
            async with self._database.unit_of_work(scope) as uow:
                groups = await uow.groups.ids()
        return [self._verdict(call, rules, groups) for call, rules in found]

    def _verdict(self, call: ProposedCall, rules: ToolRules, groups: frozenset[int]) -> Verdict:
        rule = strictest_of(rules.binding(groups), call)
        if rule is not None:
            return rule.says()
        return _ALLOWED if call.read_only else self._unmarked

    async def _rules(self) -> RuleBook:
        book = self._book
        if book is None:
            async with self._loading:
                book = self._book or await self._load()
        return book

    async def _load(self) -> RuleBook:
        changes = self._changes
        async with self._database.unit_of_work(_SYSTEM) as uow:
            book = RuleBook(await uow.tool_policies.all())
        if changes == self._changes:  # else it may be of the past already
            self._book = book
        return book
