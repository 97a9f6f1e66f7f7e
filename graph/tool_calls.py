"""Carries out the tool calls of one step; whatever happens becomes a result for the model."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from langchain_core import messages as lc
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException
from pydantic import ValidationError

from graph.events import Sources, ToolCall
from graph.toolbox import Toolbox

UNKNOWN_TOOL = "unknown"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ToolRunner:
    """Runs the calls of one step with the tools of one run."""

    toolbox: Toolbox
    config: RunnableConfig
    """What tools are invoked with; it carries the caller."""
    timeout_seconds: float
    emit: Callable[[ToolCall | Sources], None]

    async def run(
        self, asked: lc.AIMessage, *, refused: Collection[str | None] = ()
    ) -> list[lc.ToolMessage]:
        """Run all calls at the same time; the results come in the order of the calls.

        Args:
            asked: The message with the calls.
            refused: The ids of calls that were made too often and are not made again.
        """
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(self._run(call, is_refused=call["id"] in refused))
                for call in asked.tool_calls
            ]
        outcomes = [task.result() for task in running]
        if sources := tuple(source for outcome in outcomes for source in outcome.sources):
            self.emit(Sources(sources=sources))
        return [
            *(outcome.as_message() for outcome in outcomes),
            *(_report_invalid(call) for call in asked.invalid_tool_calls),
        ]

    async def _run(self, call: lc.ToolCall, *, is_refused: bool) -> "_Outcome":
        tool = self.toolbox.find(call["name"])
        # What a model calls a tool that does not exist may be anything, also what a user said.
        name = UNKNOWN_TOOL if tool is None else getattr(tool, "qualified_name", tool.name)
        call_id = call["id"] or ""
        self.emit(ToolCall(tool=name, call_id=call_id, status="start", args=call["args"]))
        started = time.perf_counter()
        if is_refused:
            outcome = _failed(call, _REFUSED.format(name=name))
        elif tool is None:
            offered = ", ".join(self.toolbox.names) or "none"
            outcome = _failed(call, _UNKNOWN.format(name=call["name"], offered=offered))
        else:
            outcome = await self._invoke(tool, call)
        self.emit(
            ToolCall(
                tool=name,
                call_id=call_id,
                status="error" if outcome.is_error else "end",
                args=call["args"],
                latency_ms=round((time.perf_counter() - started) * 1000),
                result=outcome.text,
            )
        )
        return outcome

    async def _invoke(self, tool: BaseTool, call: lc.ToolCall) -> "_Outcome":
        try:
            async with asyncio.timeout(self.timeout_seconds):
                message = await tool.ainvoke({**call, "type": "tool_call"}, self.config)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # The tool cancelled itself; nobody stopped the run.
            return _failed(call, _BROKEN.format(kind="CancelledError"))
        except TimeoutError:
            return _failed(call, _TIMED_OUT.format(seconds=self.timeout_seconds))
        except ToolException as exc:
            return _failed(call, str(exc))
        except ValidationError as exc:
            return _failed(call, _MISFIT.format(reasons=_reasons_of(exc)))
        except Exception as exc:  # noqa: BLE001 - a tool is foreign code; its faults end no run
            _log.warning("tool_failed", tool=tool.name, error=type(exc).__name__)
            return _failed(call, _BROKEN.format(kind=type(exc).__name__))
        return _succeeded(call, message)


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What came of one call."""

    call: lc.ToolCall
    text: str
    is_error: bool = False
    sources: Sequence[Mapping[str, Any]] = ()

    def as_message(self) -> lc.ToolMessage:
        return lc.ToolMessage(
            self.text,
            tool_call_id=self.call["id"] or "",
            name=self.call["name"],
            status="error" if self.is_error else "success",
        )


def _succeeded(call: lc.ToolCall, returned: Any) -> _Outcome:
    if not isinstance(returned, lc.ToolMessage):
        return _Outcome(call=call, text=str(returned))
    return _Outcome(
        call=call,
        text=str(returned.text),
        is_error=returned.status == "error",
        sources=_sources_in(returned.artifact),
    )


def _sources_in(artifact: object) -> list[Mapping[str, Any]]:
    found = artifact.get("sources") if isinstance(artifact, dict) else None
    if not isinstance(found, list | tuple):
        return []
    return [source for source in found if isinstance(source, dict) and "id" in source]


def _failed(call: lc.ToolCall, text: str) -> _Outcome:
    return _Outcome(call=call, text=text, is_error=True)


def _report_invalid(call: lc.InvalidToolCall) -> lc.ToolMessage:
    name = call["name"] or ""
    return lc.ToolMessage(
        _NOT_JSON.format(name=name), tool_call_id=call["id"] or "", name=name, status="error"
    )


def _reasons_of(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, reason['loc'])) or 'arguments'}: {reason['msg']}"
        for reason in error.errors(include_url=False, include_input=False)
    )


_REFUSED = "{name} was called with these arguments several times already. Use what it answered."
_UNKNOWN = "There is no tool named {name}. The tools are: {offered}."
_TIMED_OUT = "The tool gave no answer within {seconds:g} seconds."
_MISFIT = "The arguments do not fit the tool: {reasons}."
_BROKEN = "The tool failed ({kind}). Go on without it or try other arguments."
_NOT_JSON = "The arguments of {name} were not valid JSON. Call it again with one JSON object."
