"""One proposed call with all that people have said of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from graph.approvals import ApprovalRequest, Decision, ProposedCall, Verdict

_USER = Verdict(decision="ask")
"""Whom an interrupted call is put to when no rule asks anybody."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A call that waits to be made.

    A decision counts for the tool and the arguments that were shown and for the approver who was
    asked. A refusal counts whatever was shown.
    """

    call: ProposedCall
    """With the arguments that stand."""
    begun: int = 0
    """How often an earlier attempt has begun it; nobody knows what it did then."""
    edits: int = 0
    edited_by: str = ""
    """Who set the arguments, when a person did."""
    allowed_by: frozenset[str] = frozenset()
    refused_because: str | None = None
    answers: Mapping[str, Decision] = field(default_factory=dict, repr=False)
    """What was said to its having been interrupted, by the approvers."""

    @classmethod
    def of(cls, call: ProposedCall, decisions: Mapping[str, Decision], *, begun: int = 0) -> "Case":
        """Go through what was decided: an edit leads to arguments that can be decided on anew."""
        case = cls(call=call, begun=begun)
        refusals = _said(decisions, f"{call.call_id}/policy/")
        if refused := next((d for _, d in refusals if d.decision == "refuse"), None):
            return replace(case, refused_because=refused.reason)
        while True:
            said = dict(_said(decisions, case._stage))
            edit = next(((who, d) for who, d in said.items() if d.decision == "edit"), None)
            if edit is None:
                answers = dict(_said(decisions, case._interruption))
                return replace(case, allowed_by=frozenset(said), answers=answers)
            who, decision = edit
            edited = replace(case.call, args=decision.args or {})
            case = replace(case, call=edited, edits=case.edits + 1, edited_by=who)

    def open_request(self, verdict: Verdict) -> ApprovalRequest | None:
        """What is still to be asked, when a policy says this of the call."""
        if verdict.decision == "deny" or self.refused_because is not None:
            return None
        if self.begun:
            return self._ask_about_interruption(verdict)
        approver = _name_approver(verdict)
        if verdict.decision == "allow" or approver in self.allowed_by | {self.edited_by}:
            return None
        return ApprovalRequest(
            id=f"{self._stage}{approver}",
            call_id=self.call.call_id,
            tool=self.call.tool,
            args=self.call.args,
            reason=verdict.reason,
            approver=verdict.approver,
            group_id=verdict.group_id,
        )

    def refusal(self, verdict: Verdict) -> str | None:
        """Why the call is not made, when nothing is to be asked any more."""
        if self.refused_because is not None:
            return with_reason(UNKNOWN_OUTCOME if self.begun else REFUSED, self.refused_because)
        if verdict.decision == "deny":
            return with_reason(UNKNOWN_OUTCOME if self.begun else DENIED, verdict.reason)
        against = next((d for d in self.answers.values() if d.decision != "allow"), None)
        return None if against is None else with_reason(UNKNOWN_OUTCOME, against.reason)

    def _ask_about_interruption(self, verdict: Verdict) -> ApprovalRequest | None:
        """Whom the policy makes decide on the call decides also whether it is made again."""
        rule = verdict if verdict.decision == "ask" else None
        approver = _name_approver(rule or _USER)
        against = any(decision.decision != "allow" for decision in self.answers.values())
        if against or approver in self.answers or (self.answers and rule is None):
            return None
        return ApprovalRequest(
            id=f"{self._interruption}{approver}",
            call_id=self.call.call_id,
            tool=self.call.tool,
            args=self.call.args,
            reason=with_reason(MAY_HAVE_WORKED, rule.reason if rule else ""),
            cause="interrupted",
            approver=(rule or _USER).approver,
            group_id=(rule or _USER).group_id,
        )

    @property
    def _stage(self) -> str:
        """How the ids of all requests begin that show these arguments for this tool."""
        return f"{self.call.call_id}/policy/{self._tool}/{self.edits}/"

    @property
    def _interruption(self) -> str:
        return f"{self.call.call_id}/interrupted/{self._tool}/{self.begun}/"

    @property
    def _tool(self) -> str:
        return quote(self.call.tool, safe="")


def _said(decisions: Mapping[str, Decision], beginning: str) -> Iterator[tuple[str, Decision]]:
    """What answers the requests whose ids begin so, by the rest of the ids."""
    for name, decision in decisions.items():
        if name.startswith(beginning):
            yield name.removeprefix(beginning), decision


def _name_approver(verdict: Verdict) -> str:
    return f"{verdict.approver}/{verdict.group_id or ''}"


def with_reason(text: str, reason: str) -> str:
    """What a model or a person is told, and why."""
    return f"{text} The reason given: {reason}" if reason else text


MAY_HAVE_WORKED = (
    "This call was interrupted. It may have taken effect already; calling again may repeat it."
)
REFUSED = "A person refused this call, and it was not made. Do not try it again."
DENIED = "A policy forbids this call, and it was not made. Do not try it again."
UNKNOWN_OUTCOME = (
    "This call was interrupted. Nobody knows whether it took effect, and it was not made again."
)
