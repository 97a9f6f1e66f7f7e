"""What the rules of the installation and of its groups say of the calls that a model proposes."""

from collections.abc import Callable, Collection, Sequence

from typing_extensions import override

from graph.approvals import Policy, ProposedCall, Verdict
from persistence.access import AccessScope
from persistence.database import Database
from persistence.notifications import Channel
from persistence.unit_of_work import UnitOfWork
from server.security.followed_rules import FollowedRules
from server.security.rule_books import ToolRules
from server.security.tool_defaults import ToolHints, UnruledCalls, with_defaults
from server.security.tool_rules import PolicyBook, Rule, denies, standing_of, strictest_of
from tools.names import server_of

_NOT_YOURS = Verdict(decision="deny", reason="The tool is for other groups of this installation.")
_ASK = Verdict(decision="ask")


class ToolPolicies(FollowedRules[PolicyBook]):
    """Judges the calls of one replica's runs.

    Of all the rules that fit a call, those for everybody and those of the groups that the caller is
    in, the strictest counts: deny before ask before allow. There is no order among them to get
    wrong, and adding a rule never takes away what another one forbids. Of several that ask, one
    that wants a group's admin counts before one that wants the user, and that one before one that
    is content with either; then the oldest does. Where no rule fits, the settings decide by what
    the tool says of itself.
    """

    _channel = Channel.TOOL_POLICY_CHANGED

    def __init__(
        self,
        database: Database,
        *,
        unruled: UnruledCalls,
        groups_of_server: Callable[[str], frozenset[int] | None] = lambda _: None,
    ) -> None:
        """Prepare to judge.

        Args:
            database: Holds the rules.
            unruled: Judges calls that no rule fits.
            groups_of_server: Whose members may use a server; None if everybody may.
        """
        super().__init__(database)
        self._groups_of_server = groups_of_server
        self._unruled = unruled

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
            not denies(rules.everybodys, call)
            and (rules.of_groups or not self.is_for_everybody(call.tool))
            for call, rules in found
        ):
            async with self._database.unit_of_work(scope) as uow:
                groups = await uow.groups.ids()
        return [self._verdict(call, rules, groups) for call, rules in found]

    def standing(
        self, book: PolicyBook, tool: str, groups: Collection[int], hints: ToolHints
    ) -> Verdict:
        """What holds for all calls of a tool, as far as their arguments decide nothing."""
        if not self.is_for(tool, groups):
            return _NOT_YOURS
        rules = list(book.about(tool).binding(groups))
        rule = standing_of(rules)
        if rule is not None:
            return rule.says()
        default = self._unruled.judge(hints)
        # Some calls may be allowed by what is in them.
        return _ASK if default.decision == "deny" and rules else default

    def is_for(self, tool: str, groups: Collection[int]) -> bool:
        """Whether the tool's server is for somebody in these groups."""
        wanted = self._groups_of_server(server_of(tool))
        return wanted is None or not wanted.isdisjoint(groups)

    def is_for_everybody(self, tool: str) -> bool:
        """Whether the tool's server is."""
        return self._groups_of_server(server_of(tool)) is None

    @property
    def denies_unruled(self) -> bool:
        """Whether there may be tools that no rule is about and nobody may call."""
        return self._unruled.denies_some

    def _verdict(
        self, call: ProposedCall, rules: ToolRules[Rule], groups: frozenset[int]
    ) -> Verdict:
        if not self.is_for(call.tool, groups):
            return _NOT_YOURS
        rule = strictest_of(rules.binding(groups), call)
        return self._unruled.judge(call) if rule is None else rule.says()

    @override
    async def _read(self, uow: UnitOfWork) -> PolicyBook:
        return PolicyBook(await uow.tool_policies.all())
