"""What chat takes and answers."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from server.chat.media_schemas import MessageMedia
from server.citations import AnswerSource, Citations
from server.dependencies import SESSION_ID_PATTERN

TEXT_MAX_CHARS = 100_000

SessionId = Annotated[str, Field(pattern=SESSION_ID_PATTERN)]


def _require_text(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    text.encode()  # a lone surrogate cannot be stored or sent on: refused, never altered
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_require_text)]


class ChatRequest(MessageMedia):
    """A message to the agent."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"text_input": "What time is it in Tokyo?"}]},
    )

    text_input: Annotated[Text, Field(max_length=TEXT_MAX_CHARS)] | None = None
    """Needed, unless there is a recording or an image."""
    session_id: SessionId | None = None
    """Chosen by the client, or made by the server; the same id goes on with the same session."""
    enable_tools: bool = True
    model: Annotated[str, Field(max_length=200)] | None = None
    """One of the installation's models; its default when left out."""
    message_id: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = None
    """A message of the session whose place this one takes, with all that came after it: an edit.
    Without text, recording or images the same is answered once more."""
    multitask: Literal["reject", "enqueue"] = "reject"
    """What becomes of this message while the session is answering another one: it is refused, or
    it waits for its turn."""
    on_disconnect: Literal["continue", "cancel"] = "continue"
    """What becomes of the run when the client leaves before it has ended."""

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.text_input is None and not self.holds_media and self.message_id is None:
            raise ValueError("one of text_input, audio_b64 and images is needed")
        if self.message_id is not None and self.session_id is None:
            raise ValueError("message_id goes with a session_id")
        return self


class ResultContent(BaseModel):
    """A picture, a sound or a file that a tool has answered with."""

    id: UUID
    kind: Literal["image", "audio", "resource"]
    mime: str
    bytes: int
    name: str | None = None
    url: str
    """Where it can be had."""


class ToolEvent(BaseModel):
    """One tool call of the answer."""

    tool: str
    status: str
    latency_ms: int
    ts: datetime
    contents: list[ResultContent] = []
    """What of its result is not text."""


class AnswerMetadata(BaseModel):
    """How the answer came about."""

    model: str
    tokens_in: int
    tokens_out: int
    iterations: int
    tool_calls: int
    latency_ms: int
    citations: Citations = Citations()


class PendingApproval(BaseModel):
    """A tool call that waits for a person: POST /v1/runs/{run_id}/resume answers."""

    approval_id: UUID
    call_id: str
    tool: str
    args: dict[str, Any]
    reason: str
    cause: Literal["policy", "interrupted"]
    """`interrupted`: it had begun when its process died, and nobody knows what it did."""
    approver: Literal["user", "group_admin", "either"]
    expires_at: datetime


class ChatAnswer(BaseModel):
    """The whole answer."""

    content: str
    reasoning: str | None = None
    session_id: str
    run_id: UUID
    status: Literal["success", "cancelled", "error", "awaiting_approval"]
    sources: list[AnswerSource]
    """What tools found for it, in their order, and then what else it cites of the session."""
    metadata: AnswerMetadata
    tool_events: list[ToolEvent]
    approvals: list[PendingApproval] = []
    """What the run waits for, when it does."""
