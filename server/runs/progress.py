"""What a run has brought so far: agent events in, wire events and an outcome out."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from graph.events import AgentEvent, Finished, Log, Reasoning, Sources, Token, ToolCall
from server.runs.run import RunOutcome, RunStatus, ToolTrace
from server.runs.stream import RunStream


class RunProgress:
    """Follows one run, so that whatever ends it, what there is of the answer is kept."""

    def __init__(self, stream: RunStream, *, model: str) -> None:
        self._stream = stream
        self._model = model
        self._started = time.monotonic()
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._sources: tuple[Mapping[str, Any], ...] = ()
        self._started_tools: dict[str, tuple[dict[str, Any], datetime]] = {}
        self._tools: list[ToolTrace] = []
        self._finished: Finished | None = None

    def take(self, event: AgentEvent) -> None:
        """Keeps an event and shows it to whoever watches the run."""
        match event:
            case Token(text=text):
                self._text.append(text)
                self._stream.append("token", {"text": text})
            case Reasoning(text=text):
                self._reasoning.append(text)
                self._stream.append("reasoning", {"text": text})
            case ToolCall():
                self._take_tool(event)
            case Sources(sources=sources):
                self._sources = sources
            case Log(level=level, message=message):
                self._stream.append("log", {"level": level, "message": message})
            case Finished():
                self._finished = event

    def outcome(
        self, status: RunStatus, *, code: str | None = None, message: str | None = None
    ) -> RunOutcome:
        """What the run came to; the figures of a run cut short are those known so far."""
        known = RunOutcome(
            status=status,
            content="".join(self._text),
            reasoning="".join(self._reasoning) or None,
            sources=self._sources,
            model=self._model,
            latency_ms=round((time.monotonic() - self._started) * 1000),
            tools=tuple(self._tools),
            error_code=code,
            error_message=message,
            tool_calls=len(self._tools),
        )
        finished = self._finished
        if finished is None:
            return known
        return replace(
            known,
            content=finished.content,
            sources=finished.sources,
            iterations=finished.iterations,
            tool_calls=finished.tool_calls,
            tokens_in=finished.tokens_in,
            tokens_out=finished.tokens_out,
        )

    def _take_tool(self, call: ToolCall) -> None:
        shown: dict[str, Any] = {"tool": call.tool, "call_id": call.call_id, "status": call.status}
        if call.status == "start":
            self._started_tools[call.call_id] = (dict(call.args or {}), datetime.now(UTC))
            shown["args"] = call.args
        else:
            args, started_at = self._started_tools.pop(
                call.call_id, (dict(call.args or {}), datetime.now(UTC))
            )
            self._tools.append(
                ToolTrace(
                    call_id=call.call_id,
                    tool=call.tool,
                    args=args,
                    result=call.result,
                    status=call.status,
                    latency_ms=call.latency_ms or 0,
                    started_at=started_at,
                )
            )
            shown |= {"latency_ms": call.latency_ms, "result_preview": call.result_preview}
        self._stream.append("tool", shown)
