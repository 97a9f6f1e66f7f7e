"""What the repository of approvals returns and takes: frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Approver = Literal["user", "group_admin", "either"]
ApprovalStatus = Literal["pending", "allowed", "edited", "refused", "expired", "withdrawn"]


@dataclass(frozen=True, kw_only=True)
class NewApproval:
    """A tool call that a person is to decide about."""

    request_id: str
    """Unique within the run; the same when the same question is put again."""
    call_id: str
    tool: str
    """The qualified name."""
    args: Mapping[str, Any] = field(repr=False)
    reason: str = field(default="", repr=False)
    cause: str = "policy"
    approver: Approver = "user"
    group_id: int | None = None
    """Whose admins may answer; None where the user alone may."""


@dataclass(frozen=True, kw_only=True)
class Approval(NewApproval):
    """A question to a person, and what was answered."""

    id: UUID
    run_id: UUID
    user_id: int
    """Whose run it is."""
    username: str | None
    may_answer: bool
    """Whether the scope's user may answer it as things stand, were it still open."""
    status: ApprovalStatus
    edited_args: dict[str, Any] | None = field(default=None, repr=False)
    refusal: str = field(default="", repr=False)
    """Why it was refused."""
    decided_by: int | None
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ApprovalAnswer:
    """What somebody says to an approval."""

    decision: Literal["allow", "edit", "refuse"]
    args: dict[str, Any] | None = field(default=None, repr=False)
    """The arguments to call with instead; only of an edit."""
    reason: str = field(default="", repr=False)
