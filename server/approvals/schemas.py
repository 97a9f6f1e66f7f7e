"""What approvals take and answer."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from server.runs.schemas import ANSWERS_MAX, Answer

Status = Literal["pending", "allowed", "edited", "refused", "expired", "withdrawn"]
Approver = Literal["user", "group_admin", "either"]


class ResumeRequest(BaseModel):
    """Answers to pending approvals of a run: all of them are taken, or none."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "decisions": {
                        "0b7f6c52-6c1f-5f0e-9d0a-0c9a3a3c1c11": {
                            "decision": "refuse",
                            "reason": "Not on a Friday.",
                        }
                    }
                }
            ]
        },
    )

    decisions: Annotated[dict[UUID, Answer], Field(min_length=1, max_length=ANSWERS_MAX)]


class ApprovalAnswer(BaseModel):
    """A tool call that waits for somebody's word, or has waited for it."""

    approval_id: Annotated[UUID, Field(validation_alias="id")]
    run_id: UUID
    user_id: int
    """Whose run it is."""
    username: str | None
    call_id: str
    tool: str
    args: dict[str, Any]
    reason: str
    cause: Literal["policy", "interrupted"]
    """`interrupted`: the call had begun when its process died, and may have taken effect."""
    approver: Approver
    group_id: int | None
    may_answer: bool
    """Whether the caller may answer it now."""
    status: Status
    edited_args: dict[str, Any] | None
    refusal: str
    """The reason that was given with the decision."""
    decided_by: int | None
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None


class ApprovalList(BaseModel):
    """A page of approvals."""

    approvals: list[ApprovalAnswer]
    total: int
    limit: int
    offset: int


class ResumeAnswer(BaseModel):
    """What became of the answers."""

    run_id: UUID
    pending: list[ApprovalAnswer]
    """What of the run is still pending for the caller to answer."""
