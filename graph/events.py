"""What a run tells while it goes on, and `stream_agent`, which tells it."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
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
    """What one call of the model cost; counted by `stream_agent`, not passed on."""

    model: str
    tokens_in: int
    tokens_out: int


AgentEvent = Token | Reasoning | ToolCall | Sources | Log | Finished


async def stream_agent(
    agent: CompiledStateGraph[Any, AgentContext, Any, Any],
    text: str | None,
    *,
    thread_id: str,
    run_id: str,
    context: AgentContext,
) -> AsyncIterator[AgentEvent]:
    """Answer one message of the user and tell everything that happens on the way.

    Closing the iterator, or cancelling the task that reads it, stops the run at once, and with it
    the request to the model.

    Args:
        agent: What `build_agent` made.
        text: The message; None goes on with a run that died, from its last checkpoint.
        thread_id: The conversation in the checkpointer.
        run_id: Names the run in checkpoints and traces.
        context: What this run carries.

    Yields:
        Events in their order, the last one `Finished`, also when the run fails.

    Raises:
        AgentError: The model failed; everything said up to then was told before.
    """
    asked = None if text is None else {"messages": [HumanMessage(text, id=str(uuid4()))]}
    config: RunnableConfig = {"configurable": {"thread_id": thread_id, "run_id": run_id}}
    stream = agent.astream(
        asked,
        config,
        context=context,
        stream_mode="custom",
        durability="async" if agent.checkpointer else None,
    )
    record = _Record()
    try:
        async with aclosing(cast("AsyncGenerator[Any, None]", stream)):
            async for event in stream:
                for told in record.take(event):
                    yield told
    except AgentError as failure:
        yield record.finished(failure)
        raise
    yield record.finished()


class _Record:
    """Adds up what a run told."""

    def __init__(self) -> None:
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._sources: dict[Any, Mapping[str, Any]] = {}
        self._calls: list[ModelCalled] = []
        self._tool_calls = 0

    def take(self, event: Any) -> Iterable[AgentEvent]:
        match event:
            case Token(text=text):
                self._content.append(text)
            case Reasoning(text=text):
                self._reasoning.append(text)
            case ToolCall(status="start"):
                self._tool_calls += 1
            case Sources():
                return self._with_known_sources(event)
            case ModelCalled():
                self._calls.append(event)
                return ()
        return (event,)

    def finished(self, failure: AgentError | None = None) -> Finished:
        return Finished(
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

    def _with_known_sources(self, found: Sources) -> Iterable[AgentEvent]:
        known = len(self._sources)
        for source in found.sources:
            self._sources.setdefault(source["id"], source)
        if len(self._sources) == known:
            return ()
        return (Sources(sources=tuple(self._sources.values())),)
