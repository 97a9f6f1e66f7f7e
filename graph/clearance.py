"""Clears proposed calls: by policy, and by what people decided where the policy asks them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.errors import GraphInterrupt
from langgraph.types import interrupt

from graph.approvals import ApprovalRequest, Decision, Policy, ProposedCall, Verdict
from graph.cases import Case
from graph.events import ApprovalNeeded
from graph.review_form import read_answers, write_form

Emit = Callable[[ApprovalNeeded], None]

_ALLOWED = Verdict(decision="allow")


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
    policy: Policy | None,
    decisions: Mapping[str, Decision],
    emit: Emit,
    begun: Mapping[str, int] | None = None,
) -> Clearance:
    """Judge calls, and interrupt the run for those that a person has to decide.

    The policy has the last word: it judges arguments that were edited, and what it denies by now
    is not called, whoever allowed it. What it wants from another approver is asked again.

    Args:
        calls: What the model wants to call.
        policy: Judges; without one all is allowed.
        decisions: What people said so far, by the ids of the requests.
        emit: Is told of what is asked.
        begun: How often calls had begun when their process died, by their ids. They may have
            worked, so a person decides also on those that the policy would allow.
    """
    known = dict(decisions)
    while True:
        cases = [Case.of(c, known, begun=(begun or {}).get(c.call_id, 0)) for c in calls]
        verdicts = await _judge(policy, [case.call for case in cases])
        pairs = list(zip(cases, verdicts, strict=True))
        if not (waiting := [r for case, verdict in pairs if (r := case.open_request(verdict))]):
            break
        known |= ask_people(waiting, emit)
    edited = {case.call.call_id: case.call.args for case in cases if case.edited_by}
    refusals = {case.call.call_id: case.refusal(verdict) for case, verdict in pairs}
    return Clearance(
        edited=edited, refused={call_id: text for call_id, text in refusals.items() if text}
    )


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


async def _judge(policy: Policy | None, calls: Sequence[ProposedCall]) -> Sequence[Verdict]:
    if policy is None or not calls:
        return [_ALLOWED] * len(calls)
    return await policy(calls)
