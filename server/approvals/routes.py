"""The routes of approvals."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from graph.approvals import Decision
from server.approvals.schemas import (
    ApprovalAnswer,
    ApprovalList,
    ResumeAnswer,
    ResumeRequest,
    Status,
)
from server.dependencies import Caller, Limit, Offset, RequestOrigin, provided
from server.error_responses import responses
from server.errors import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalNotFound,
    InvalidArguments,
    NotGroupAdmin,
    RunNotFound,
)
from server.pages import place_of, show_each
from server.routing import PolicedRoute
from server.runs.approvals import ApprovalService

router = APIRouter(prefix="/v1", tags=["runs"], route_class=PolicedRoute)
Approvals = Annotated[ApprovalService, Depends(provided(ApprovalService))]


@router.get("/approvals", summary="What one was asked, and what one may answer for a group")
async def list_approvals(
    caller: Caller,
    approvals: Approvals,
    run_id: UUID | None = None,
    status: Status | None = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> ApprovalList:
    """Lists approvals, the newest first."""
    page = await approvals.list_approvals(
        caller, run_id=run_id, status=status, limit=limit, offset=offset
    )
    return ApprovalList(
        approvals=show_each(ApprovalAnswer, page.items),
        **place_of(page),
    )


@router.post(
    "/runs/{run_id}/resume",
    summary="Answer pending approvals of a run",
    status_code=202,
    responses=responses(
        InvalidArguments,
        NotGroupAdmin,
        RunNotFound,
        ApprovalNotFound,
        ApprovalDecided,
        ApprovalExpired,
    ),
)
async def resume_run(
    run_id: UUID,
    body: ResumeRequest,
    caller: Caller,
    origin: RequestOrigin,
    approvals: Approvals,
) -> ResumeAnswer:
    """All answers are taken, or none. The run goes on once nothing of it is pending.

    Its events continue where they were: follow `GET /v1/runs/{run_id}/events`.
    """
    answers = {
        approval_id: Decision(decision=each.decision, args=each.args, reason=each.reason)
        for approval_id, each in body.decisions.items()
    }
    pending = await approvals.answer(caller, origin, run_id, answers)
    return ResumeAnswer(
        run_id=run_id,
        pending=show_each(ApprovalAnswer, pending),
    )
