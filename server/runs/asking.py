"""What a run asks people, written down in the unit of work in which it begins to wait."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from graph.approvals import ApprovalRequest, Decision
from persistence.approval_records import Approval, NewApproval
from persistence.records import AuditEntry
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry
from server.security.principal import Origin, Principal


async def ask_people(
    uow: UnitOfWork,
    principal: Principal,
    origin: Origin,
    run_id: UUID,
    requests: Sequence[ApprovalRequest],
    *,
    expires_at: datetime,
) -> list[Approval]:
    """Writes the requests of a run, and that they were made, in the order of the requests.

    Raises:
        NotFound: The principal has no such run.
    """
    asked = await uow.approvals.ask(
        run_id, [_written(request) for request in requests], expires_at=expires_at
    )
    for approval in asked:
        await uow.audit.record(
            audit_entry(
                "approval.ask",
                principal,
                origin,
                resource=("approval", str(approval.id)),
                group_id=group_told(approval),
                details=describe_approval(approval),
            )
        )
    return asked


async def asked_before(
    uow: UnitOfWork, run_id: UUID, requests: Sequence[ApprovalRequest]
) -> list[Approval]:
    """The approvals that `ask_people` has written for these requests, in the same order."""
    written = {approval.request_id: approval for approval in await uow.approvals.of_run(run_id)}
    return [written[request.id] for request in requests]


async def decided(uow: UnitOfWork, run_id: UUID) -> dict[str, Decision]:
    """What people have said to a run's requests so far, by the requests' ids."""
    answers = await uow.approvals.decisions(run_id)
    return {
        request_id: Decision(decision=answer.decision, args=answer.args, reason=answer.reason)
        for request_id, answer in answers.items()
    }


async def expire_approvals(uow: UnitOfWork, now: datetime) -> set[UUID]:
    """Closes the approvals whose time is over; returns the runs that waited for them.

    The unit of work is the system's.
    """
    expired = await uow.approvals.expire(now)
    for approval in expired:
        await uow.audit.record(
            AuditEntry(
                action="approval.expire",
                resource_type="approval",
                resource_id=str(approval.id),
                group_id=group_told(approval),
                details=describe_approval(approval),
            )
        )
    return {approval.run_id for approval in expired}


def approval_event(approval: Approval) -> dict[str, Any]:
    """The data of a run's `approval` event."""
    return {
        "approval_id": str(approval.id),
        "call_id": approval.call_id,
        "tool": approval.tool,
        "args": approval.args,
        "reason": approval.reason,
        "cause": approval.cause,
        "approver": approval.approver,
        "expires_at": approval.expires_at.isoformat(),
    }


def describe_approval(approval: Approval, **more: Any) -> dict[str, Any]:
    """What the audit trail keeps of an approval; no arguments, for it outlives conversations."""
    return {
        "run_id": str(approval.run_id),
        "call_id": approval.call_id,
        "tool": approval.tool,
        "cause": approval.cause,
        "approver": approval.approver,
        **more,
    }


def group_told(approval: Approval) -> int | None:
    """The group whose admins may read of an approval: those who may answer it."""
    return approval.group_id if approval.approver != "user" else None


def _written(request: ApprovalRequest) -> NewApproval:
    return NewApproval(
        request_id=request.id,
        call_id=request.call_id,
        tool=request.tool,
        args=request.args,
        reason=request.reason,
        cause=request.cause,
        approver=request.approver,
        group_id=request.group_id,
    )
