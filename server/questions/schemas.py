"""What questions take and answer."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

ANSWERS_MAX = 100

Status = Literal["open", "accepted", "declined", "cancelled", "expired"]


class GivenAnswer(BaseModel):
    """What somebody says to one question."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["accept", "decline", "cancel"]
    """`decline` says no, `cancel` that there is no answer. Of a `url`, `accept` says that it was
    opened and that all there is done."""
    content: dict[str, Any] | None = None
    """What was filled in, by the fields of the form; with `accept` only."""

    @model_validator(mode="after")
    def _require_plain_content(self) -> Self:
        if self.content is not None and self.action != "accept":
            raise ValueError("'content' goes with the action 'accept'")
        # What JSON cannot carry cannot be told to a server.
        json.dumps(self.content, allow_nan=False, ensure_ascii=False).encode()
        return self


class AnswerRequest(BaseModel):
    """Answers to open questions of a run: all of them are taken, or none."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "answers": {
                        "0b7f6c52-6c1f-5f0e-9d0a-0c9a3a3c1c11": {
                            "action": "accept",
                            "content": {"quantity": 2},
                        }
                    }
                }
            ]
        },
    )

    answers: Annotated[dict[UUID, GivenAnswer], Field(min_length=1, max_length=ANSWERS_MAX)]


class QuestionView(BaseModel):
    """What a tool's server asked while it was being called, and what became of that."""

    question_id: Annotated[UUID, Field(validation_alias="id")]
    run_id: UUID
    call_id: str
    tool: str
    server: str
    kind: Literal["form", "url", "sampling"]
    """`form` is to be filled in, `url` to be opened; `sampling` asks whether the run's model may
    answer the server what `message` says."""
    message: str
    """The server's words, or for `sampling` what it would ask the model."""
    form: Annotated[dict[str, Any] | None, Field(validation_alias="schema", alias="schema")]
    """The JSON schema of the answer; flat."""
    url: str | None
    status: Status
    content: dict[str, Any] | None
    """What was filled in."""
    created_at: datetime
    expires_at: datetime
    answered_at: datetime | None
    """When it was over, however that came."""


class QuestionList(BaseModel):
    """A page of questions."""

    questions: list[QuestionView]
    total: int
    limit: int
    offset: int


class AnswerResult(BaseModel):
    """What became of the answers."""

    run_id: UUID
    open: list[QuestionView]
    """What of the run is still open."""
