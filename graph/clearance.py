"""Clears proposed calls: by policy, and by what people decided where the policy asks them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import AIMessage, ToolCall
from langgraph.errors import GraphInterrupt
from langgraph.types import interrupt

from graph.approvals import ApprovalRequest, Decision, Policy, ProposedCall, Verdict
from graph.events import ApprovalNeeded
from graph.journal import ToolJournal
from graph.review_form import read_answers, write_form
from graph.toolbox import Toolbox

Emit = Callable[[ApprovalNeeded], None]


@dataclass(frozen=True, kw_only=True)
class Clearance:
    """What became of the calls of one step."""

    edited: Mapping[str, Mapping[str, Any]]
    """Other arguments to call with, by the ids of the calls."""
    refused: Mapping[str, str]
    """What to tell the model instead of calling, by the ids of the calls."""


async def clear_calls(
    calls: Sequence[ProposedCall],
    *,
    policy: Policy,
    decisions: Mapping[str, Decision],
    emit: Emit,
) -> Clearance:
    """Judge calls, and interrupt the run for those that a person has to decide.

    The policy has the last word: it judges arguments that were edited, and what it denies by now
    is not called, whoever allowed it. A decision counts for the arguments that were shown and for
    the approver who was asked; what the policy wants from another one is asked again.
    """
    known = dict(decisions)
    while True:
        cases = [_follow(call, known) for call in calls]
        verdicts = await policy([case.call for case in cases])
        pairs = list(zip(cases, verdicts, strict=True))
        if not (waiting := [r for case, verdict in pairs if (r := case.open_request(verdict))]):
            break
        known |= ask_people(waiting, emit)
    edited = {case.call.call_id: case.call.args for case in cases if case.edited_by}
    refusals = {case.call.call_id: case.refusal(verdict) for case, verdict in pairs}
    return Clearance(
        edited=edited, refused={call_id: text for call_id, text in refusals.items() if text}
    )


def clear_interrupted(
    calls: Sequence[ToolCall],
    *,
    toolbox: Toolbox,
    journal: ToolJournal,
    decisions: Mapping[str, Decision],
    emit: Emit,
) -> dict[str, str]:
    """Interrupt the run for calls that had begun when their process died, and may have worked.

    Returns:
        What to tell the model of those that are not made again, by the ids of the calls.
    """
    lost: dict[str, str] = {}
    requests: dict[str, ApprovalRequest] = {}
    for call in calls:
        call_id = call["id"] or ""
        earlier = journal.earlier.get(call_id)
        if earlier is None or earlier.status != "begun":
            continue
        proposed = toolbox.propose(call)
        if proposed is None:
            lost[call_id] = UNKNOWN_OUTCOME
        elif not proposed.repeatable:
            requests[call_id] = _interrupted_request(proposed, times=earlier.begun)
    known = dict(decisions)
    while waiting := [request for request in requests.values() if request.id not in known]:
        known |= ask_people(waiting, emit)
    for call_id, request in requests.items():
        if known[request.id].decision != "allow":
            lost[call_id] = _with_reason(UNKNOWN_OUTCOME, known[request.id].reason)
    return lost


def edit_calls(message: AIMessage, edited: Mapping[str, Mapping[str, Any]]) -> AIMessage:
    """The message with other arguments in its calls."""
    calls = [
        {**call, "args": dict(edited.get(call["id"] or "", call["args"]))}
        for call in message.tool_calls
    ]
    return message.model_copy(update={"tool_calls": calls})


def ask_people(requests: Sequence[ApprovalRequest], emit: Emit) -> dict[str, Decision]:
    """Interrupt the run, or return what it was resumed with.

    Raises:
        GraphInterrupt: Nobody has answered; LangGraph stores the requests with the checkpoint.
    """
    try:
        answer = interrupt(write_form(requests))
    except GraphInterrupt:
        emit(ApprovalNeeded(requests=tuple(requests)))
        raise
    return read_answers(answer, requests)


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One call with all that people have said of it."""

    call: ProposedCall
    """With the arguments that stand."""
    edits: int = 0
    edited_by: str = ""
    """Who set the arguments, when a person did."""
    allowed_by: frozenset[str] = frozenset()
    refused_because: str | None = None

    def open_request(self, verdict: Verdict) -> ApprovalRequest | None:
        """What is still to be asked."""
        approver = _name_approver(verdict)
        if verdict.decision != "ask" or self.refused_because is not None:
            return None
        if approver in self.allowed_by or approver == self.edited_by:
            return None
        return ApprovalRequest(
            id=f"{_stage_of(self.call, self.edits)}{approver}",
            call_id=self.call.call_id,
            tool=self.call.tool,
            args=self.call.args,
            reason=verdict.reason,
            approver=verdict.approver,
            group_id=verdict.group_id,
        )

    def refusal(self, verdict: Verdict) -> str | None:
        """Why the call is not made."""
        if self.refused_because is not None:
            return _with_reason(REFUSED, self.refused_because)
        return _with_reason(DENIED, verdict.reason) if verdict.decision == "deny" else None


def _follow(call: ProposedCall, decisions: Mapping[str, Decision]) -> _Case:
    """Go through what was decided: each edit leads to arguments that can be decided on anew."""
    case = _Case(call=call)
    while True:
        stage = _stage_of(call, case.edits)
        said = {
            name.removeprefix(stage): decision
            for name, decision in decisions.items()
            if name.startswith(stage)
        }
        if refused := next((d for d in said.values() if d.decision == "refuse"), None):
            return replace(case, refused_because=refused.reason)
        edit = next(((who, d) for who, d in said.items() if d.decision == "edit"), None)
        if edit is None:
            return replace(case, allowed_by=frozenset(said))
        who, decision = edit
        case = _Case(
            call=replace(case.call, args=decision.args or {}), edits=case.edits + 1, edited_by=who
        )


def _stage_of(call: ProposedCall, edits: int) -> str:
    """How the ids of all requests begin that show a call's arguments after so many edits."""
    return f"{call.call_id}/policy/{edits}/"


def _name_approver(verdict: Verdict) -> str:
    return f"{verdict.approver}/{verdict.group_id or ''}"


def _interrupted_request(call: ProposedCall, *, times: int) -> ApprovalRequest:
    return ApprovalRequest(
        id=f"{call.call_id}/interrupted/{times}",
        call_id=call.call_id,
        tool=call.tool,
        args=call.args,
        reason=MAY_HAVE_WORKED,
        cause="interrupted",
    )


def _with_reason(text: str, reason: str) -> str:
    return f"{text} The reason given: {reason}" if reason else text


MAY_HAVE_WORKED = (
    "This call was interrupted. It may have taken effect already; calling again may repeat it."
)
REFUSED = "A person refused this call, and it was not made. Do not try it again."
DENIED = "A policy forbids this call, and it was not made. Do not try it again."
UNKNOWN_OUTCOME = (
    "This call was interrupted. Nobody knows whether it took effect, and it was not made again."
)
