"""What a run tells while it goes on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from graph.approvals import ApprovalRequest

RESULT_PREVIEW_CHARS = 200

Purpose = Literal["answer", "summary", "title", "sampling"]
"""What a model was asked for; `sampling` is what a tool's server asks it."""
QuestionKind = Literal["form", "url", "sampling"]
QuestionStatus = Literal["accepted", "declined", "cancelled", "expired"]
Status = Literal["success", "error", "awaiting_approval"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """The next piece of the answer."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reasoning:
    """The next piece of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """A tool is being called, has answered or has failed."""

    tool: str
    call_id: str
    status: Literal["start", "end", "error"]
    args: Mapping[str, Any]
    latency_ms: int | None = None
    """None at the start."""
    result: str | None = field(default=None, repr=False)
    """All that the tool said, for the record."""
    contents: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """What refers to the pictures, sounds and files of the result."""
    recalled: bool = False
    """Whether the call was made by an earlier attempt, which may have told of it as well."""

    @property
    def result_preview(self) -> str | None:
        """The beginning of the result, for the user."""
        return self.result and self.result[:RESULT_PREVIEW_CHARS]


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolProgress:
    """How far a tool is that is being called, as its server says."""

    tool: str
    call_id: str
    progress: float
    total: float | None = None
    message: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionOpened:
    """A tool's server waits for an answer of the person."""

    question_id: str
    call_id: str
    tool: str
    kind: QuestionKind
    """`sampling`: whether the server may have the model answer it."""
    message: str = field(repr=False)
    schema: Mapping[str, Any] | None = field(default=None, repr=False)
    """What the answer has to be; None where it is given at `url`, or is a yes or no."""
    url: str | None = field(default=None, repr=False)
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionClosed:
    """The person has answered, or nobody waits for the answer any more."""

    question_id: str
    status: QuestionStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCalled:
    """What one call of the model cost, also one that was cut off."""

    model: str
    purpose: Purpose
    tokens_in: int
    tokens_out: int
    estimated: bool = False
    """Whether the tokens were counted here, roughly, because the model's server did not say."""
    latency_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumed:
    """An attempt begins that goes on with a run; always its first event."""

    content: str = field(repr=False)
    """The answer so far: what else was told as tokens is void."""
    reasoning: str = field(default="", repr=False)
    """The thoughts so far: what else was told of them is void."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalNeeded:
    """The run stops until people have decided; told when all of it is stored."""

    requests: tuple[ApprovalRequest, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """All passages that tools have found so far, in the order in which they were found."""

    sources: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """Something about the run that is neither answer nor tool."""

    level: Literal["info", "warning"]
    message: str
    tool: str | None = None
    """Whose server says it, while it is being called; None when it is the agent."""
    call_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """What came of the run, or of this attempt at it; always the last event.

    Content, reasoning and sources are those of the whole run, the figures those of this attempt.
    """

    content: str = field(repr=False)
    """Exactly the tokens of the run, joined."""
    reasoning: str = field(repr=False)
    sources: tuple[Mapping[str, Any], ...]
    model: str
    status: Status = "success"
    error_code: str | None = None
    approvals: tuple[ApprovalRequest, ...] = ()
    """What the run waits for."""
    iterations: int
    """How often the model was asked, summaries included."""
    tool_calls: int
    tokens_in: int
    tokens_out: int


CallEvent = ToolProgress | Log | QuestionOpened | QuestionClosed | ModelCalled
"""What can happen while a tool is being called."""
AgentEvent = (
    Token | Reasoning | ToolCall | CallEvent | Resumed | ApprovalNeeded | Sources | Finished
)
