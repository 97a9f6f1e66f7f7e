"""What a run has brought so far: agent events in, wire events and an outcome out."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from graph.events import (
    AgentEvent,
    Finished,
    Log,
    ModelCalled,
    QuestionClosed,
    QuestionOpened,
    QuestionStatus,
    Reasoning,
    Resumed,
    Sources,
    Token,
    ToolCall,
    ToolProgress,
)
from persistence.run_records import ModelCall
from server.runs.call_events import call_event
from server.runs.past import PAUSES, RunPast
from server.runs.run import OutcomeStatus, RunOutcome, RunRequest, ToolTrace
from server.runs.stream import RunStream

INTERRUPTED = "interrupted"
"""What is kept as the result of a call whose end nobody knows."""


class RunProgress:
    """Follows one run, so that whatever ends it, what there is of the answer is kept.

    What outlives the process stands in the events and in the facts that are stored beside them:
    what model calls cost, when tools began, what they found.
    """

    def __init__(self, request: RunRequest, stream: RunStream) -> None:
        self._request = request
        self._stream = stream
        self._started = time.monotonic()
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._sources: dict[Any, Mapping[str, Any]] = {}
        self._tool_started: dict[str, tuple[dict[str, Any], datetime]] = {}
        self._tools: dict[str, ToolTrace] = {}
        self._open_calls: dict[str, ToolTrace] = {}
        self._shown_tools: set[tuple[str, str]] = set()
        self._calls: list[ModelCall] = []
        self._earlier_calls: tuple[int, int, int] = (0, 0, 0)
        self._open_questions: dict[str, None] = {}
        self._finished: Finished | None = None
        if request.past is not None:
            self._restore(request.past)

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
            case ModelCalled():
                self._take_call(event)
            case Sources(sources=sources):
                self._take_sources(sources)
            case ToolProgress() | Log():
                self._stream.append(*call_event(event))
            case QuestionOpened(question_id=question_id):
                self._open_questions[question_id] = None
                self._stream.append(*call_event(event))
            case QuestionClosed(question_id=question_id, status=status):
                self._close_question(question_id, status)
            case Resumed():
                self._go_on_from(event)
            case Finished():
                self._finished = event

    def outcome(
        self, status: OutcomeStatus, *, code: str | None = None, message: str | None = None
    ) -> RunOutcome:
        """What the run came to; of one cut short, what is known so far."""
        finished = self._finished
        if finished is not None:
            self._take_sources(finished.sources)
        iterations, tokens_in, tokens_out = self._earlier_calls
        return RunOutcome(
            status=status,
            content="".join(self._text) if finished is None else finished.content,
            reasoning="".join(self._reasoning) or None,
            sources=tuple(self._sources.values()),
            model=self._request.model,
            latency_ms=self._latency_ms(),
            tools=tuple(self._tools.values()) + self._cut_off(status),
            error_code=code,
            error_message=message,
            iterations=iterations + len(self._calls),
            tool_calls=len({call_id for call_id, _ in self._shown_tools}),
            tokens_in=tokens_in + sum(call.tokens_in for call in self._calls),
            tokens_out=tokens_out + sum(call.tokens_out for call in self._calls),
            model_calls=tuple(self._calls),
            open_questions=tuple(self._open_questions),
            requests=finished.approvals if finished is not None else (),
        )

    def _take_call(self, event: ModelCalled) -> None:
        call = ModelCall(
            model=event.model,
            purpose=event.purpose,
            tokens_in=event.tokens_in,
            tokens_out=event.tokens_out,
            estimated=event.estimated,
            latency_ms=event.latency_ms,
        )
        self._calls.append(call)
        self._stream.note_usage({"call": vars(call)})

    def _take_sources(self, sources: tuple[Mapping[str, Any], ...]) -> None:
        new = [source for source in sources if source["id"] not in self._sources]
        if new:
            self._sources |= {source["id"]: source for source in new}
            self._stream.note_usage({"sources": new})

    def _take_tool(self, call: ToolCall) -> None:
        shown: dict[str, Any] = {"tool": call.tool, "call_id": call.call_id, "status": call.status}
        if call.status == "start":
            now = datetime.now(UTC)
            self._tool_started[call.call_id] = (dict(call.args), now)
            self._open(call.call_id, call.tool, dict(call.args), now)
            self._stream.note_usage({"call_id": call.call_id, "started_at": now.isoformat()})
            shown["args"] = call.args
        else:
            self._end_tool(call)
            shown |= {"latency_ms": call.latency_ms, "result_preview": call.result_preview}
            if call.contents:
                shown["contents"] = call.contents
        # An attempt that goes on tells again of calls of which an earlier one has told.
        if (call.call_id, call.status) not in self._shown_tools:
            self._shown_tools.add((call.call_id, call.status))
            self._stream.append("tool", shown)

    def _open(self, call_id: str, tool: str, args: dict[str, Any], started_at: datetime) -> None:
        self._open_calls[call_id] = ToolTrace(
            call_id=call_id,
            tool=tool,
            args=args,
            result=INTERRUPTED,
            status="error",
            latency_ms=0,
            started_at=started_at,
        )

    def _cut_off(self, status: OutcomeStatus) -> tuple[ToolTrace, ...]:
        """The calls whose end nobody will know, once the run has ended; what they did is done."""
        if status == "awaiting_approval":
            return ()
        return tuple(
            call for call_id, call in self._open_calls.items() if call_id not in self._tools
        )

    def _end_tool(self, call: ToolCall) -> None:
        if call.recalled and call.call_id in self._tools:
            return
        args, started_at = self._tool_started.pop(
            call.call_id, (dict(call.args), datetime.now(UTC))
        )
        self._tools[call.call_id] = ToolTrace(
            call_id=call.call_id,
            tool=call.tool,
            args=args,
            result=call.result,
            status="error" if call.status == "error" else "end",
            latency_ms=call.latency_ms or 0,
            started_at=started_at,
            contents=call.contents,
            is_recorded=self._is_recorded(call.call_id),
        )

    def _is_recorded(self, call_id: str) -> bool:
        journal = self._request.journal
        return journal is not None and call_id in journal.recorded

    def _go_on_from(self, resumed: Resumed) -> None:
        """Takes back what was told and is part neither of the answer nor of the thoughts now."""
        content, reasoning = resumed.content, resumed.reasoning
        if ("".join(self._text), "".join(self._reasoning)) == (content, reasoning):
            return
        self._text, self._reasoning = [content], [reasoning]
        stands: dict[str, Any] = {
            "run_id": str(self._request.run_id),
            "session_id": self._request.session_id,
            "attempt": self._request.claim.attempt,
            "content": content,
        }
        self._stream.append("run", stands | ({"reasoning": reasoning} if reasoning else {}))

    def _close_question(self, question_id: str, status: QuestionStatus) -> None:
        if question_id in self._open_questions:
            del self._open_questions[question_id]
            closed = QuestionClosed(question_id=question_id, status=status)
            self._stream.append(*call_event(closed))

    def _latency_ms(self) -> int:
        past = self._request.past
        if past is None:
            return round((time.monotonic() - self._started) * 1000)
        return round((datetime.now(UTC) - past.run.started_at).total_seconds() * 1000)

    def _restore(self, past: RunPast) -> None:
        for name, data in past.events():
            match name:
                case "token":
                    self._text.append(data["text"])
                case "reasoning":
                    self._reasoning.append(data["text"])
                case "run" if "content" in data:
                    self._text = [data["content"]]
                    self._reasoning = [data.get("reasoning", "")]
                case "tool" if data["status"] != "progress":
                    self._restore_tool(data, past)
                case "question" if data["status"] == "open":
                    self._open_questions[data["question_id"]] = None
                case "question":
                    self._open_questions.pop(data["question_id"], None)
        for question_id in [*self._open_questions]:  # nobody waits for the answer any more
            self._close_question(question_id, past.question_statuses.get(question_id, "cancelled"))
        for each in past.tool_runs:
            if each.status == "begun":  # it may have died before it could tell
                self._open(each.call_id, each.tool, each.args, each.started_at)
        for fact in past.history.usage:
            self._sources |= {source["id"]: source for source in fact.get("sources", ())}
        figures = past.run
        self._earlier_calls = (figures.iterations, figures.tokens_in, figures.tokens_out)
        self._calls = [ModelCall(**fact["call"]) for fact in past.latest_facts if "call" in fact]
        self._stream.note_usage({PAUSES: past.pauses})

    def _restore_tool(self, data: dict[str, Any], past: RunPast) -> None:
        call_id, status = data["call_id"], data["status"]
        self._shown_tools.add((call_id, status))
        started_at = past.tool_started.get(call_id, past.run.started_at)
        if status == "start":
            self._tool_started[call_id] = (data["args"] or {}, started_at)
            self._open(call_id, data["tool"], data["args"] or {}, started_at)
            return
        args, started_at = self._tool_started.pop(call_id, ({}, started_at))
        recorded = next((each for each in past.tool_runs if each.call_id == call_id), None)
        self._tools[call_id] = ToolTrace(
            call_id=call_id,
            tool=data["tool"],
            args=recorded.args if recorded else args,
            # What is nowhere in full any more is kept as far as it was shown.
            result=recorded.result if recorded else data["result_preview"],
            status=status,
            latency_ms=data["latency_ms"] or 0,
            contents=tuple(data.get("contents", ())),
            started_at=started_at,
            is_recorded=self._is_recorded(call_id),
        )
