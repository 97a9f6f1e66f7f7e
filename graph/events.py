"""What a run tells while it goes on, and `run_agent`, which tells it."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast
from uuid import uuid4

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph

from graph.context import AgentContext
from graph.errors import AgentError

RESULT_PREVIEW_CHARS = 200


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

    @property
    def result_preview(self) -> str | None:
        """The beginning of the result, for the user."""
        return self.result and self.result[:RESULT_PREVIEW_CHARS]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """All passages that tools have found so far, in the order in which they were found."""

    sources: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """Something about the run that is neither answer nor tool."""

    level: Literal["info", "warning"]
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """What came of the run; always the last event."""

    content: str = field(repr=False)
    """Exactly the tokens of the run, joined."""
    reasoning: str = field(repr=False)
    sources: tuple[Mapping[str, Any], ...]
    model: str
    status: Literal["success", "error"] = "success"
    error_code: str | None = None
    iterations: int
    """How often the model was asked, summaries included."""
    tool_calls: int
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCalled:
    """What one call of the model cost; counted by `run_agent`, not passed on."""

    model: str
    tokens_in: int
    tokens_out: int


AgentEvent = Token | Reasoning | ToolCall | Sources | Log | Finished


async def run_agent(
    agent: CompiledStateGraph[Any, AgentContext, Any, Any],
    text: str | None,
    *,
    thread_id: str,
    run_id: str,
    context: AgentContext,
    tell: Callable[[AgentEvent], None],
) -> Finished:
    """Answer one message of the user and tell everything that happens on the way.

    Events go to `tell` from inside the nodes. LangGraph's own stream would hand each of them
    through a queue and wake two tasks, which costs more than all that is done for a token
    otherwise. Cancelling stops the run at once, and with it the request to the model.

    Args:
        agent: What `build_agent` made.
        text: The message; None goes on with a run that died, from its last checkpoint.
        thread_id: The conversation in the checkpointer.
        run_id: Names the run in checkpoints and traces.
        context: What this run carries.
        tell: Takes the events in their order; must return soon and not raise. The last one is
            `Finished`, also when the run fails.

    Returns:
        The last event.

    Raises:
        AgentError: The model failed; everything said up to then was told before.
    """
    asked = None if text is None else {"messages": [HumanMessage(text, id=str(uuid4()))]}
    config: RunnableConfig = {"configurable": {"thread_id": thread_id, "run_id": run_id}}
    record = _Record(tell)
    steps = agent.astream(
        asked,
        config,
        context=replace(context, emit=record.take),
        stream_mode=[],
        durability="async" if agent.checkpointer else None,
    )
    try:
        async with aclosing(cast("AsyncGenerator[Any, None]", steps)):
            async for _ in steps:
                pass
    except AgentError as failure:
        record.finish(failure)
        raise
    return record.finish()


class _Record:
    """Adds up what a run tells, and passes it on."""

    def __init__(self, tell: Callable[[AgentEvent], None]) -> None:
        self._tell = tell
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._sources: dict[Any, Mapping[str, Any]] = {}
        self._calls: list[ModelCalled] = []
        self._tool_calls = 0

    def take(self, event: Any) -> None:
        match event:
            case Token(text=text):
                self._content.append(text)
            case Reasoning(text=text):
                self._reasoning.append(text)
            case ToolCall(status="start"):
                self._tool_calls += 1
            case Sources():
                self._take_sources(event)
                return
            case ModelCalled():
                self._calls.append(event)
                return
        self._tell(event)

    def finish(self, failure: AgentError | None = None) -> Finished:
        finished = Finished(
            content="".join(self._content),
            reasoning="".join(self._reasoning),
            sources=tuple(self._sources.values()),
            model=self._calls[-1].model if self._calls else "",
            status="error" if failure else "success",
            error_code=failure.code if failure else None,
            iterations=len(self._calls),
            tool_calls=self._tool_calls,
            tokens_in=sum(call.tokens_in for call in self._calls),
            tokens_out=sum(call.tokens_out for call in self._calls),
        )
        self._tell(finished)
        return finished

    def _take_sources(self, found: Sources) -> None:
        known = len(self._sources)
        for source in found.sources:
            self._sources.setdefault(source["id"], source)
        if len(self._sources) > known:
            self._tell(Sources(sources=tuple(self._sources.values())))
