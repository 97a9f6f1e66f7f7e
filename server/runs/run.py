"""The values of a run: what starts it and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from graph.approvals import ApprovalRequest
from graph.context import AgentContext
from persistence.run_records import ModelCall, RunClaim, RunInput
from server.runs.citations import Citations, unknown_citations_event
from server.runs.journal import RunJournal
from server.runs.past import RunPast
from server.security.principal import Origin, Principal

OutcomeStatus = Literal["success", "cancelled", "error", "awaiting_approval"]
EventName = Literal[
    "run", "token", "reasoning", "tool", "log", "question", "approval", "sources", "error", "done"
]
"""What happens in a run. `done` is the last one, unless the run waited for an approval."""


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A run that was accepted and recorded, ready to be executed."""

    claim: RunClaim
    session_row_id: int
    input: RunInput = field(repr=False)
    model: str
    context: AgentContext = field(repr=False)
    principal: Principal
    origin: Origin
    journal: RunJournal | None = field(default=None, repr=False)
    past: RunPast | None = field(default=None, repr=False)
    """What earlier attempts have left; None at the first one."""

    @property
    def run_id(self) -> UUID:
        """Which run it is."""
        return self.claim.run_id

    @property
    def session_id(self) -> str:
        """The client's name for the session."""
        return self.input.session_id

    @property
    def thread_id(self) -> UUID:
        """The name of the conversation's checkpoints."""
        return self.input.thread_id


@dataclass(frozen=True, kw_only=True)
class ToolTrace:
    """One tool call of a run, as it ended."""

    call_id: str
    tool: str
    args: dict[str, Any] = field(repr=False)
    result: str | None = field(repr=False)
    status: Literal["end", "error"]
    latency_ms: int
    started_at: datetime
    contents: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """What refers to the pictures, sounds and files of its result."""
    is_recorded: bool = False
    """Whether it is written down and in the audit trail already."""


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """What came of a run; also of one that was cut short or waits for a person."""

    status: OutcomeStatus
    content: str = field(repr=False)
    model: str
    latency_ms: int
    reasoning: str | None = field(default=None, repr=False)
    sources: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    citations: Citations = field(default=Citations(), repr=False)
    """What of them the answer names, known once it is written down."""
    tools: tuple[ToolTrace, ...] = ()
    error_code: str | None = None
    error_message: str | None = None
    iterations: int = 0
    tool_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    model_calls: tuple[ModelCall, ...] = ()
    """Those that are not written down yet."""
    open_questions: tuple[str, ...] = ()
    """What tools' servers have asked and nobody is known to have answered."""
    questions: tuple[Mapping[str, Any], ...] = ()
    """How these ended, once it is written down."""
    requests: tuple[ApprovalRequest, ...] = ()
    """What it waits for, as the agent asks."""
    approvals: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """The same as clients see it, once it is written down."""


def tool_events(outcome: RunOutcome) -> list[dict[str, object]]:
    """The tool calls as an answer shows them."""
    return [
        {
            "tool": tool.tool,
            "status": tool.status,
            "latency_ms": tool.latency_ms,
            "ts": tool.started_at.isoformat(),
            **({"contents": list(tool.contents)} if tool.contents else {}),
        }
        for tool in outcome.tools
    ]


def last_events(outcome: RunOutcome) -> list[tuple[str, Any]]:
    """The events with which a run ends, or with which it begins to wait."""
    events: list[tuple[str, Any]] = [("question", question) for question in outcome.questions]
    events += [("approval", approval) for approval in outcome.approvals]
    if outcome.sources and outcome.status != "awaiting_approval":
        events.append(("sources", outcome.sources))
    if outcome.citations.unknown:
        events.append(("log", unknown_citations_event(outcome.citations)))
    if outcome.error_code is not None:
        error = {"code": outcome.error_code, "message": outcome.error_message}
        events.append(("error", error))
    figures: dict[str, Any] = {
        "status": outcome.status,
        "iterations": outcome.iterations,
        "tool_calls": outcome.tool_calls,
        "tokens_in": outcome.tokens_in,
        "tokens_out": outcome.tokens_out,
    }
    if outcome.status != "awaiting_approval":
        figures["citations"] = outcome.citations.as_json()
    return [*events, ("done", {"metadata": figures})]
