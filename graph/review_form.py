"""Approval requests in the form of LangChain's human-in-the-loop middleware.

Studio, Agent Chat UI and others show an interrupt of this form and answer it. Source: `HITLRequest`
and `HITLResponse` in langchain.agents.middleware.human_in_the_loop.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from graph.approvals import ApprovalRequest, Decision

_ALLOWED = {"policy": ["approve", "edit", "reject"], "interrupted": ["approve", "reject"]}
_MEANINGS = {"approve": "allow", "edit": "edit", "reject": "refuse"}


def write_form(requests: Sequence[ApprovalRequest]) -> dict[str, Any]:
    """The value of an interrupt; what LangChain does not know of stands beside what it does."""
    return {
        "action_requests": [
            {
                "name": request.tool,
                "args": dict(request.args),
                "description": request.reason,
                "id": request.id,
                "call_id": request.call_id,
                "cause": request.cause,
                "approver": request.approver,
                "group_id": request.group_id,
            }
            for request in requests
        ],
        "review_configs": [
            {"action_name": request.tool, "allowed_decisions": _ALLOWED[request.cause]}
            for request in requests
        ],
    }


def read_form(form: Mapping[str, Any]) -> tuple[ApprovalRequest, ...]:
    """The requests that `write_form` wrote."""
    return tuple(
        ApprovalRequest(
            id=action["id"],
            call_id=action["call_id"],
            tool=action["name"],
            args=action["args"],
            reason=action["description"],
            cause=action["cause"],
            approver=action["approver"],
            group_id=action["group_id"],
        )
        for action in form["action_requests"]
    )


def read_answers(answer: object, requests: Sequence[ApprovalRequest]) -> dict[str, Decision]:
    """The decisions in what an interrupt was resumed with, by the requests' ids.

    Args:
        answer: LangChain's `{"decisions": […]}` in the order of the requests, or
            `{id: {decision, args, reason}}` by the ids of requests or calls.
        requests: What was asked.

    Returns:
        What could be understood; a request without a decision is still open.
    """
    if not isinstance(answer, Mapping):
        return {}
    if isinstance(listed := answer.get("decisions"), Sequence):
        pairs = [(r, _from_langchain(item)) for r, item in zip(requests, listed, strict=False)]
    else:
        pairs = [(r, _from_ours(answer.get(r.id, answer.get(r.call_id)))) for r in requests]
    return {request.id: decision for request, decision in pairs if decision is not None}


def _from_langchain(item: object) -> Decision | None:
    if not isinstance(item, Mapping):
        return None
    edited = item.get("edited_action")
    return _decision(
        _MEANINGS.get(str(item.get("type"))),
        edited.get("args") if isinstance(edited, Mapping) else None,
        item.get("message"),
    )


def _from_ours(item: object) -> Decision | None:
    if not isinstance(item, Mapping):
        return None
    return _decision(item.get("decision"), item.get("args"), item.get("reason"))


def _decision(kind: object, args: object, reason: object) -> Decision | None:
    said = reason if isinstance(reason, str) else ""
    if kind == "allow":
        return Decision(decision="allow")
    if kind == "refuse":
        return Decision(decision="refuse", reason=said)
    if kind == "edit" and isinstance(args, Mapping):
        return Decision(decision="edit", args=dict(args), reason=said)
    return None
