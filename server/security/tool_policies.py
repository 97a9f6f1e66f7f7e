"""What the rules of the installation and of its groups say of the calls that a model proposes."""

import asyncio
from collections.abc import Callable, Collection, Sequence

from graph.approvals import Policy, ProposedCall, Verdict
from persistence.access import AccessScope
from persistence.approval_records import PolicyVerdict
from persistence.database import Database
from persistence.notifications import Channel, Notifications
from server.security.tool_defaults import with_defaults
from server.security.tool_rules import RuleBook, ToolRules, strictest_of
from tools.names import server_of

UNMARKED = "The tool is not marked as one that only reads."
"""The reason where no rule, but the installation's setting, asks or denies."""

_SYSTEM = AccessScope.system("rules about tool calls")
_ALLOWED = Verdict(decision="allow")
_NOT_YOURS = Verdict(decision="deny", reason="The tool is for other groups of this installation.")


class ToolPolicies:
    """Judges the calls of one replica's runs.

    Of all the rules that fit a call, those for everybody and those of the groups that the caller is
    in, the strictest counts: deny before ask before allow. There is no order among them to get
    wrong, and adding a rule never takes away what another one forbids. Of several that ask, one
    that wants a group's admin counts before one that wants the user, and that one before one that
    is content with either; then the oldest does. Where no rule fits, a tool that is marked as only
    reading is allowed, and of any other tool the setting `MCP__UNMARKED_TOOLS` decides.
    """

    def __init__(
        self,
        database: Database,
        *,
        unmarked: PolicyVerdict,
        groups_of_server: Callable[[str], frozenset[int] | None] = lambda _: None,
    ) -> None:
        """Prepare to judge.

        Args:
            database: Holds the rules.
            unmarked: The verdict on tools that are not read-only where no rule fits.
            groups_of_server: Whose members may use a server; None if everybody may.
        """
        self._database = database
        self._groups_of_server = groups_of_server
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
        book = await self.rules()
        found = [(with_defaults(call), book.about(call.tool)) for call in calls]
        groups: frozenset[int] = frozenset()
        if any(
            not rules.denies(call) and (rules.of_groups or not self.is_for_everybody(call.tool))
            for call, rules in found
        ):
            async with self._database.unit_of_work(scope) as uow:
                groups = await uow.groups.ids()
        return [self._verdict(call, rules, groups) for call, rules in found]

    def standing(
        self, book: RuleBook, tool: str, groups: Collection[int], *, read_only: bool
    ) -> PolicyVerdict:
        """What holds for all calls of a tool, as far as their arguments decide nothing."""
        if not self.is_for(tool, groups):
            return "deny"
        rules = book.about(tool)
        rule = rules.standing(groups)
        if rule is not None:
            return rule.verdict
        default = "allow" if read_only else self._unmarked.decision
        # Some calls may be allowed by what is in them.
        return "ask" if default == "deny" and any(rules.binding(groups)) else default

    def is_for(self, tool: str, groups: Collection[int]) -> bool:
        """Whether the tool's server is for somebody in these groups."""
        wanted = self._groups_of_server(server_of(tool))
        return wanted is None or not wanted.isdisjoint(groups)

    def is_for_everybody(self, tool: str) -> bool:
        """Whether the tool's server is."""
        return self._groups_of_server(server_of(tool)) is None

    @property
    def denies_unmarked(self) -> bool:
        """Whether tools that no rule is about may not be called, unless they only read."""
        return self._unmarked.decision == "deny"

    async def rules(self) -> RuleBook:
        """All rules, as they are now.

        Raises:
            DatabaseUnavailable: They could not be read.
            DecryptionError: A stored rule was tampered with.
        """
        book = self._book
        if book is None:
            async with self._loading:
                book = self._book or await self._load()
        return book

    def _verdict(self, call: ProposedCall, rules: ToolRules, groups: frozenset[int]) -> Verdict:
        if not self.is_for(call.tool, groups):
            return _NOT_YOURS
        rule = strictest_of(rules.binding(groups), call)
        if rule is not None:
            return rule.says()
        return _ALLOWED if call.read_only else self._unmarked

    async def _load(self) -> RuleBook:
        changes = self._changes
        async with self._database.unit_of_work(_SYSTEM) as uow:
            book = RuleBook(await uow.tool_policies.all())
        if changes == self._changes:  # else it may be of the past already
            self._book = book
        return book
