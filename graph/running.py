"""One attempt at answering a message: everything that happens on the way is told."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph

from graph.approvals import ApprovalRequest, Decision
from graph.context import AgentContext
from graph.errors import AgentError
from graph.events import AgentEvent, ApprovalNeeded, Finished
from graph.record import RunRecord
from graph.review_form import read_form
from graph.toolbox import is_repeatable
from graph.turn import Turn

Agent = CompiledStateGraph[Any, AgentContext, Any, Any]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A message of the user that nobody has begun to answer."""

    content: str | list[dict[str, Any]] = field(repr=False)
    """Text, or LangChain's content blocks."""
    message_id: str
    """The message's id in the conversation; the same question never stands there twice."""


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """A question that an earlier attempt has begun to answer, or was about to.

    Going on is right wherever that attempt stopped: before the question was saved, in the middle
    of a step, at an approval, or after the end.
    """

    question: Question
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    """All that people said to the run's approval requests, by the requests' ids."""


async def run_agent(
    agent: Agent,
    start: Question | Continuation,
    *,
    thread_id: str,
    run_id: str,
    context: AgentContext,
    tell: Callable[[AgentEvent], None],
    fence: Mapping[str, Any] | None = None,
) -> Finished:
    """Answer one message of the user and tell everything that happens on the way.

    Events go to `tell` from inside the nodes. LangGraph's own stream would hand each of them
    through a queue and wake two tasks, which costs more than all that is done for a token
    otherwise. Cancelling stops the run at once, and with it the request to the model.

    Args:
        agent: What `build_agent` made.
        start: What to answer, or to go on with.
        thread_id: The conversation in the checkpointer.
        run_id: Names the run in checkpoints and traces.
        context: What this run carries.
        tell: Takes the events in their order; must return soon and not raise. The last one is
            `Finished`, also when the run fails or stops for an approval.
        fence: By what the checkpointer knows that the run may still be saved; when it may not, the
            checkpointer's own error ends the run.

    Returns:
        The last event.

    Raises:
        AgentError: The model failed or a step took too long; everything said up to then was told
            before.
    """
    record = RunRecord(tell)
    config: RunnableConfig = {
        "configurable": {"thread_id": thread_id, "run_id": run_id, **(fence or {})}
    }
    context = replace(context, emit=record.take)
    if isinstance(start, Question):
        asked: dict[str, Any] | None = _as_input(start)
    else:
        place = await _find_place(agent, start, config)
        left = place.turn.call_ids if place.turn is not None else frozenset()
        context = replace(context, decisions=start.decisions, taken_up=left)
        record.take_up(place.turn)
        if place.is_final:
            record.take(ApprovalNeeded(requests=place.waiting))
            return record.finish()
        asked = place.asked
    try:
        await _step_through(agent, asked, config, context)
    except AgentError as failure:
        record.finish(failure)
        raise
    return record.finish()


async def _step_through(
    agent: Agent, asked: dict[str, Any] | None, config: RunnableConfig, context: AgentContext
) -> None:
    steps = agent.astream(
        asked, config, context=context, stream_mode=[], durability=_durability(agent, context)
    )
    async with aclosing(cast("AsyncGenerator[Any, None]", steps)):
        async for _ in steps:
            pass


def _durability(agent: Agent, context: AgentContext) -> Literal["sync", "async"] | None:
    """How long a step waits for the one before it to be stored.

    A call that must not be made twice has to stand in a stored checkpoint before it is made:
    otherwise an attempt that follows would ask the model again, and not know the call that it
    then gets. Where there is no such tool, steps and stores may overlap.
    """
    if not agent.checkpointer:
        return None
    if context.journal is None or not context.tools_enabled:
        return "async"
    tools = context.tools
    return "async" if tools is not None and all(map(is_repeatable, tools)) else "sync"


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where an earlier attempt has stopped."""

    turn: Turn | None
    """None before the question was saved."""
    asked: dict[str, Any] | None
    """The graph's input; None goes on from the checkpoint."""
    waiting: tuple[ApprovalRequest, ...] = ()
    """What nobody has decided yet."""
    is_over: bool = False

    @property
    def is_final(self) -> bool:
        return self.is_over or bool(self.waiting)


async def _find_place(agent: Agent, start: Continuation, config: RunnableConfig) -> _Place:
    saved = await agent.aget_state(config)
    turn = Turn.newest(saved.values.get("messages", ()))
    if turn.question_id != start.question.message_id:
        return _Place(turn=None, asked=_as_input(start.question))
    requests = (request for interrupt in saved.interrupts for request in read_form(interrupt.value))
    return _Place(
        turn=turn,
        asked=None,
        waiting=tuple(request for request in requests if request.id not in start.decisions),
        is_over=not saved.next,
    )


def _as_input(question: Question) -> dict[str, Any]:
    content = cast("str | list[str | dict[Any, Any]]", question.content)
    return {"messages": [HumanMessage(content, id=question.message_id)]}
