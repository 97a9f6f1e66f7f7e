"""The rules about tool calls, in the form in which calls are held against them."""

from collections.abc import Iterable, Mapping
from typing import Any

from graph.approvals import ProposedCall, Verdict
from persistence.rule_records import ToolPolicy
from server.security.rule_books import RuleBook
from server.security.tool_patterns import Glob, as_text, texts_at

FORBIDDEN = "A rule of this installation forbids this call."

_STRICTNESS = {"deny": 0, "ask": 1, "allow": 2}
_APPROVER_STRICTNESS = {"group_admin": 0, "user": 1, "either": 2}


class Rule:
    """One rule."""

    def __init__(self, policy: ToolPolicy) -> None:
        self.group_id = policy.group_id
        self.verdict = policy.verdict
        self.rank = (
            _STRICTNESS[policy.verdict],
            _APPROVER_STRICTNESS[policy.approver],
            policy.id,
        )
        """The lower, the more it counts."""
        self._policy = policy
        self._tool = Glob.parse(policy.tool)
        self._arguments = [
            (path, Glob.parse(as_text(pattern))) for path, pattern in policy.arguments.items()
        ]

    def is_about(self, tool: str) -> bool:
        """Whether it speaks of a tool at all."""
        return self._holds(self._tool, tool)

    @property
    def is_unconditional(self) -> bool:
        """Whether it speaks of every call of its tools."""
        return not self._arguments

    def fits(self, args: Mapping[str, Any]) -> bool:
        """Whether it speaks of a call with these arguments; all that it names must fit.

        An argument that is not there fits nothing. Of several values at one path one is enough to
        ask or to deny, but a rule that allows must fit them all: a list of recipients is not
        harmless because one of them is. It must fit them as they are written, too: what only looks
        like a harmless value is another one to the tool.
        """
        enough = all if self.verdict == "allow" else any
        for path, glob in self._arguments:
            texts = list(texts_at(args, path))
            if not texts or not enough(self._holds(glob, text) for text in texts):
                return False
        return True

    def _holds(self, glob: Glob, text: str) -> bool:
        if self.verdict == "allow":
            return glob.fits(text) and glob.fits_as_written(text)
        return glob.fits(text)

    def says(self) -> Verdict:
        """The verdict."""
        policy = self._policy
        if policy.verdict == "deny":
            return Verdict(decision="deny", reason=policy.reason or FORBIDDEN)
        return Verdict(
            decision=policy.verdict,
            reason=policy.reason,
            approver=policy.approver,
            group_id=None if policy.approver == "user" else policy.group_id,
        )


class PolicyBook(RuleBook[Rule]):
    """All the rules of an installation about who may call what."""

    def __init__(self, policies: Iterable[ToolPolicy]) -> None:
        super().__init__(map(Rule, policies))
        self.denies_tools = any(
            rule.verdict == "deny" and rule.is_unconditional for rule in self.rules
        )
        """Whether there are tools that somebody may not call at all."""


def denies(rules: Iterable[Rule], call: ProposedCall) -> bool:
    """Whether one of the rules forbids the call."""
    strictest = strictest_of(rules, call)
    return strictest is not None and strictest.verdict == "deny"


def standing_of(rules: Iterable[Rule]) -> Rule | None:
    """What counts among the rules whatever the arguments are; None if nothing does."""
    return min(
        (rule for rule in rules if rule.is_unconditional), key=lambda rule: rule.rank, default=None
    )


def strictest_of(rules: Iterable[Rule], call: ProposedCall) -> Rule | None:
    """The rule that counts among those that fit a call; None if none does."""
    return min(
        (rule for rule in rules if rule.fits(call.args)), key=lambda rule: rule.rank, default=None
    )
