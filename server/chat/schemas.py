"""What chat takes and answers."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from server.citations import Source

TEXT_MAX_CHARS = 100_000
TITLE_MAX_CHARS = 200
SESSION_ID_PATTERN = r"^[A-Za-z0-9_.:-]{1,128}$"

SessionId = Annotated[str, Field(pattern=SESSION_ID_PATTERN)]


def _require_text(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    text.encode()  # a lone surrogate cannot be stored or sent on: refused, never altered
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_require_text)]


class ChatRequest(BaseModel):
    """A message to the agent."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"text_input": "What time is it in Tokyo?"}]},
    )

    text_input: Annotated[Text, Field(max_length=TEXT_MAX_CHARS)]
    session_id: SessionId | None = None
    """Chosen by the client, or made by the server; the same id goes on with the same session."""
    enable_tools: bool = True
    model: Annotated[str, Field(max_length=200)] | None = None
    """One of the installation's models; its default when left out."""
    on_disconnect: Literal["continue", "cancel"] = "continue"
    """What becomes of the run when the reader of the stream leaves; without a stream the run
    always goes on."""


class TextMessage(BaseModel):
    """A message to the agent, over a WebSocket."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    content: Annotated[Text, Field(max_length=TEXT_MAX_CHARS)]
    enable_tools: bool = True
    model: Annotated[str, Field(max_length=200)] | None = None


class StopMessage(BaseModel):
    """Stops the answer that is being sent over this WebSocket."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["stop"]


SocketMessage = Annotated[TextMessage | StopMessage, Field(discriminator="type")]


class ToolEvent(BaseModel):
    """One tool call of the answer."""

    tool: str
    status: str
    latency_ms: int
    ts: datetime


class AnswerMetadata(BaseModel):
    """How the answer came about."""

    model: str
    tokens_in: int
    tokens_out: int
    iterations: int
    tool_calls: int
    latency_ms: int


class ChatAnswer(BaseModel):
    """The whole answer."""

    content: str
    reasoning: str | None = None
    session_id: str
    run_id: UUID
    status: Literal["success", "cancelled", "error"]
    sources: list[Source]
    metadata: AnswerMetadata
    tool_events: list[ToolEvent]


class SessionSummary(BaseModel):
    """A session in a list."""

    session_id: str
    title: str | None
    message_count: int
    created_at: datetime
    updated_at: datetime


class SessionList(BaseModel):
    """A page of sessions."""

    sessions: list[SessionSummary]
    total: int
    limit: int
    offset: int


class SessionMessage(BaseModel):
    """One message of a session."""

    id: int
    role: Literal["user", "assistant"]
    content: str
    reasoning: str | None
    status: str | None
    """How the run ended that wrote it; None for a user's message."""
    sources: list[dict[str, Any]]
    tool_events: list[dict[str, Any]]
    model: str | None
    tokens_in: int
    tokens_out: int
    run_id: UUID | None
    created_at: datetime


class SessionDetail(SessionSummary):
    """A session with a page of its messages, the oldest first."""

    messages: list[SessionMessage]
    total: int
    limit: int
    offset: int


class SessionUpdate(BaseModel):
    """What of a session can be changed."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[Text, Field(max_length=TITLE_MAX_CHARS)]


class RunState(BaseModel):
    """Where a run stands."""

    run_id: UUID
    status: Literal["running", "success", "cancelled", "error"]
    model: str
    error_code: str | None
    iterations: int
    tool_calls: int
    tokens_in: int
    tokens_out: int
    started_at: datetime
    finished_at: datetime | None
