"""Carries out the tool calls of one step; whatever happens becomes a result for the model."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import structlog
from langchain_core import messages as lc
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException
from pydantic import ValidationError

from graph import tool_outcome
from graph.approvals import ProposedCall
from graph.events import Sources, ToolCall
from graph.journal import EarlierCall, ToolJournal
from graph.tool_outcome import Outcome
from graph.toolbox import Toolbox, qualified_name
from tools.calls import CALL_KEY, CallContext
from tools.timeouts import PausableTimeout

UNKNOWN_TOOL = "unknown"
JOURNAL_SECONDS = 10.0
"""How long a run that is cancelled waits for the result of its last call to be stored."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ToolRunner:
    """Runs the calls of one step with the tools of one run."""

    toolbox: Toolbox
    describe: Callable[[ProposedCall], AbstractAsyncContextManager[CallContext]]
    """Says what a call carries beside its arguments, while it is made."""
    timeout_seconds: float
    max_parallel: int
    emit: Callable[[ToolCall | Sources], None]
    journal: ToolJournal | None = None
    repeated: Collection[str | None] = ()
    """The ids of calls that were made too often and are not made again."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """What to say of calls that began in an earlier attempt and are not made again."""

    async def run(self, calls: Sequence[lc.ToolCall]) -> list[lc.ToolMessage]:
        """Run some calls at a time; the results come in the order of the calls."""
        places = asyncio.Semaphore(self.max_parallel)
        try:
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(self._run_in(places, call)) for call in calls]
        except BaseExceptionGroup as failures:
            # Only the journal's; what goes wrong in a tool is a result.
            raise failures.exceptions[0] from None
        outcomes = [task.result() for task in running]
        if sources := tuple(source for outcome in outcomes for source in outcome.sources):
            self.emit(Sources(sources=sources))
        return [outcome.as_message() for outcome in outcomes]

    async def _run_in(self, places: asyncio.Semaphore, call: lc.ToolCall) -> Outcome:
        async with places:
            return await self._run(call)

    async def _run(self, call: lc.ToolCall) -> Outcome:
        call_id = call["id"] or ""
        proposed = self.toolbox.propose(call)
        # What a model calls a tool that does not exist may be anything, also what a user said.
        name = UNKNOWN_TOOL if proposed is None else proposed.tool
        if call_id in self.lost:
            outcome = Outcome.failed(call, self.lost[call_id])
            self._tell_end(name, outcome, None, recalled=True)
            return outcome
        if (earlier := self._ended(call_id)) is not None:
            outcome = Outcome.recalled(call, earlier)
            self._tell_end(name, outcome, earlier.latency_ms, recalled=True)
            return outcome
        self.emit(ToolCall(tool=name, call_id=call_id, status="start", args=call["args"]))
        started = time.perf_counter()
        outcome = await self._make(call, proposed)
        self._tell_end(name, outcome, _milliseconds_since(started))
        return outcome

    def _ended(self, call_id: str) -> EarlierCall | None:
        """What an earlier attempt heard of a call, if it heard anything."""
        earlier = self.journal.earlier.get(call_id) if self.journal is not None else None
        return None if earlier is None or earlier.status == "begun" else earlier

    async def _make(self, call: lc.ToolCall, proposed: ProposedCall | None) -> Outcome:
        tool = self.toolbox.find(call["name"])
        if tool is None or proposed is None:
            offered = ", ".join(self.toolbox.names) or "none"
            text = tool_outcome.UNKNOWN.format(name=call["name"], offered=offered)
            return Outcome.failed(call, text)
        if call["id"] in self.repeated:
            text = tool_outcome.REPEATED.format(name=qualified_name(tool))
            return Outcome.failed(call, text)
        if self.journal is None or proposed.repeatable:
            return await self._invoke(tool, call, proposed)
        await self.journal.begin(proposed)
        started = time.perf_counter()
        outcome = await self._invoke(tool, call, proposed)
        await _store_end(self.journal, outcome, _milliseconds_since(started))
        return outcome

    async def _invoke(self, tool: BaseTool, call: lc.ToolCall, proposed: ProposedCall) -> Outcome:
        try:
            async with (
                self.describe(proposed) as context,
                PausableTimeout(self.timeout_seconds),
            ):
                config: RunnableConfig = {"configurable": {CALL_KEY: context}}
                message = await tool.ainvoke({**call, "type": "tool_call"}, config)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # The tool cancelled itself; nobody stopped the run.
            return Outcome.failed(call, tool_outcome.BROKEN.format(kind="CancelledError"))
        except TimeoutError:
            text = tool_outcome.TIMED_OUT.format(seconds=self.timeout_seconds)
            return Outcome.failed(call, text)
        except ToolException as exc:
            return Outcome.failed(call, str(exc))
        except ValidationError as exc:
            reasons = tool_outcome.reasons_of(exc)
            return Outcome.failed(call, tool_outcome.MISFIT.format(reasons=reasons))
        except Exception as exc:  # noqa: BLE001 - a tool is foreign code; its faults end no run
            _log.warning("tool_failed", tool=tool.name, error=type(exc).__name__)
            return Outcome.failed(call, tool_outcome.BROKEN.format(kind=type(exc).__name__))
        return Outcome.returned(call, message)

    def _tell_end(
        self, name: str, outcome: Outcome, latency_ms: int | None, *, recalled: bool = False
    ) -> None:
        self.emit(
            ToolCall(
                tool=name,
                call_id=outcome.call["id"] or "",
                status="error" if outcome.is_error else "end",
                args=outcome.call["args"],
                latency_ms=latency_ms,
                result=outcome.text,
                contents=tuple(outcome.contents),
                recalled=recalled,
            )
        )


async def _store_end(journal: ToolJournal, outcome: Outcome, latency_ms: int) -> None:
    """Store a result, which cannot be had again, even when the run is cancelled meanwhile."""
    storing = asyncio.ensure_future(
        journal.end(
            outcome.call["id"] or "",
            text=outcome.text,
            is_error=outcome.is_error,
            sources=outcome.sources,
            contents=outcome.contents,
            latency_ms=latency_ms,
        )
    )
    try:
        await asyncio.shield(storing)
    except asyncio.CancelledError:
        storing.add_done_callback(_tell_left)
        await asyncio.wait({storing}, timeout=JOURNAL_SECONDS)
        raise


def _tell_left(storing: asyncio.Future[None]) -> None:
    """Say that a result was not stored, since nobody waits for that any more."""
    if not storing.cancelled() and (error := storing.exception()) is not None:
        _log.info("tool_result_left", error=type(error).__name__)


def _milliseconds_since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
