"""What runs take from clients, and give back to them."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

ANSWERS_MAX = 100
REASON_MAX_CHARS = 2_000
EVENT_ID_MAX = 2**31 - 2

EventId = Annotated[int, Field(ge=0, le=EVENT_ID_MAX)]


class RunState(BaseModel):
    """Where a run stands."""

    run_id: UUID
    status: Literal["queued", "running", "awaiting_approval", "success", "cancelled", "error"]
    model: str
    error_code: str | None
    iterations: int
    tool_calls: int
    tokens_in: int
    tokens_out: int
    started_at: datetime
    finished_at: datetime | None


class Answer(BaseModel):
    """What somebody says to one approval."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["allow", "edit", "refuse"]
    args: dict[str, Any] | None = None
    """The arguments to call with instead; with `edit`, and only with it."""
    reason: Annotated[str, Field(max_length=REASON_MAX_CHARS)] = ""
    """Told to the model when the call is refused."""

    @model_validator(mode="after")
    def _require_args_for_an_edit(self) -> Self:
        if (self.args is None) is (self.decision == "edit"):
            raise ValueError("'args' goes with the decision 'edit'")
        self.reason.encode()  # a lone surrogate cannot be told to a model
        return self
