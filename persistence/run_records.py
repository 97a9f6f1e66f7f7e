"""Runs and what they did, as the repositories return and take it: frozen values, never rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

RunStatus = Literal["queued", "running", "awaiting_approval", "success", "cancelled", "error"]
CallPurpose = Literal["answer", "summary", "title", "sampling"]


@dataclass(frozen=True, kw_only=True)
class ModelCall:
    """What one call of a model cost."""

    model: str
    purpose: CallPurpose
    tokens_in: int
    tokens_out: int
    estimated: bool
    """Whether it was cut off before the model said what it had cost."""
    latency_ms: int


@dataclass(frozen=True, kw_only=True)
class RunInput:
    """All that any process needs to begin a run or to go on with it; stored encrypted."""

    session_id: str
    thread_id: UUID
    text: str = field(repr=False)
    """Nothing, until the run begins, when a message is answered once more."""
    images: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    enable_tools: bool = True
    rewind_to: UUID | None = None
    """The turn that the agent has to forget, with all that came after it."""
    message_id: int | None = None
    """The message that this one takes the place of."""
    audio: dict[str, Any] | None = None
    scopes: tuple[str, ...] = ()
    """What the caller's key is restricted to; empty means that it is not."""
    api_key_id: int | None = None
    ip: str | None = None
    user_agent: str | None = None
    correlation_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One answer in the making, or made."""

    id: UUID
    session_row_id: int
    user_id: int
    model: str
    status: RunStatus
    error_code: str | None
    iterations: int
    tool_calls: int
    tokens_in: int
    tokens_out: int
    started_at: datetime
    """When it was accepted, until it begins."""
    finished_at: datetime | None
    attempt: int = 1
    """Goes up whenever a process takes the run."""
    worked_seconds: float = 0.0
    """How long the attempts before this one were at work, up to their last sign of life."""
    worked_until: datetime | None = None
    """Of a run that was just claimed: the last of these signs."""
    events_expired_at: datetime | None = None

    @property
    def is_live(self) -> bool:
        """Whether there is more to come of it."""
        return self.status in {"queued", "running", "awaiting_approval"}


@dataclass(frozen=True, kw_only=True)
class ClaimedRun:
    """A run that a process has taken, to begin it or to go on with it."""

    run: Run
    owner: str
    input: RunInput | None
    """None if it cannot be read: it was not written by this installation."""
    crashes: int
    """With how many processes it has died."""
    vain_crashes: int
    """After how many of these there was nothing new of it."""
    cancel_asked: bool


@dataclass(frozen=True, kw_only=True)
class RunClaim:
    """By what a process proves that a run is still its own; whatever it writes is held to it."""

    run_id: UUID
    attempt: int
    owner: str


@dataclass(frozen=True, kw_only=True)
class HeldRun:
    """A run that a process has."""

    run_id: UUID
    attempt: int
    cancel_asked: bool
    renewed: bool
    """Whether its lease was prolonged; if not, its row was locked at that moment."""


@dataclass(frozen=True, kw_only=True)
class NewToolRun:
    """A tool call to be kept."""

    run_id: UUID
    call_id: str
    tool: str
    args: dict[str, Any]
    result: str | None
    status: Literal["begun", "end", "error"]
    """`begun` until it is known how it ended."""
    latency_ms: int
    started_at: datetime
    sources: tuple[Mapping[str, Any], ...] = ()
    contents: tuple[Mapping[str, Any], ...] = ()
    """What refers to the pictures, sounds and files of its answer."""
    begun: int = 1
    """How often it was begun, over all attempts at the run."""


@dataclass(frozen=True, kw_only=True)
class ToolRun(NewToolRun):
    """A tool call that was kept."""
