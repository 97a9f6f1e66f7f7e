"""The values of a run: what starts it and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from graph.context import AgentContext
from server.security.principal import Origin, Principal

RunStatus = Literal["success", "cancelled", "error"]
EventName = Literal["run", "token", "reasoning", "tool", "log", "sources", "error", "done"]
"""What happens in a run, in the order in which it may happen; `done` is the last one."""


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A run that was accepted and recorded, ready to be executed."""

    run_id: UUID
    session_row_id: int
    session_id: str
    thread_id: UUID
    text: str
    model: str
    context: AgentContext
    principal: Principal
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class ToolTrace:
    """One tool call of a run, as it ended."""

    call_id: str
    tool: str
    args: dict[str, Any]
    result: str | None
    status: Literal["end", "error"]
    latency_ms: int
    started_at: datetime


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """What came of a run; also of one that was cut short."""

    status: RunStatus
    content: str
    model: str
    latency_ms: int
    reasoning: str | None = None
    sources: tuple[Mapping[str, Any], ...] = ()
    tools: tuple[ToolTrace, ...] = field(default=())
    error_code: str | None = None
    error_message: str | None = None
    iterations: int = 0
    tool_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


def tool_events(outcome: RunOutcome) -> list[dict[str, object]]:
    """The tool calls as an answer shows them."""
    return [
        {
            "tool": tool.tool,
            "status": tool.status,
            "latency_ms": tool.latency_ms,
            "ts": tool.started_at.isoformat(),
        }
        for tool in outcome.tools
    ]
