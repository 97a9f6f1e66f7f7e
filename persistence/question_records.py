"""What the repository of questions returns and takes: frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

QuestionKind = Literal["form", "url", "sampling"]
QuestionStatus = Literal["open", "accepted", "declined", "cancelled", "expired"]


@dataclass(frozen=True, kw_only=True)
class NewQuestion:
    """What a server wants to know of a person while it is at work on a call."""

    call_id: str
    tool: str
    """The qualified name."""
    server: str
    kind: QuestionKind
    """`sampling`: whether the server may have the run's model answer it."""
    message: str = field(repr=False)
    schema: Mapping[str, Any] | None = field(default=None, repr=False)
    """What the answer has to be; None where it is given at `url`, or is a yes or no."""
    url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Question(NewQuestion):
    """A question that was asked, and what became of it."""

    id: UUID
    run_id: UUID
    user_id: int
    status: QuestionStatus
    content: dict[str, Any] | None = field(default=None, repr=False)
    """What was filled in."""
    created_at: datetime
    expires_at: datetime
    answered_at: datetime | None
    """When it was over, however that came."""


@dataclass(frozen=True, kw_only=True)
class QuestionAnswer:
    """What somebody says to a question."""

    action: Literal["accept", "decline", "cancel"]
    content: Mapping[str, Any] | None = field(default=None, repr=False)
