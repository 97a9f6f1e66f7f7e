"""A conversation with the agent, as a test holds it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from graph.agent import build_agent
from graph.approvals import Decision
from graph.context import AgentContext
from graph.events import AgentEvent, Finished, Reasoning, Token
from graph.running import Continuation, Question, run_agent
from graph.settings import AgentSettings

Event = TypeVar("Event")


@dataclass
class Told:
    """All events of one run."""

    events: list[AgentEvent] = field(default_factory=list)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.of(Token))

    @property
    def reasoning(self) -> str:
        return "".join(event.text for event in self.of(Reasoning))

    @property
    def finished(self) -> Finished:
        last = self.events[-1]
        assert isinstance(last, Finished)
        return last


class Conversation:
    """One thread of one agent."""

    def __init__(
        self,
        model: BaseChatModel,
        tools: Sequence[BaseTool] = (),
        *,
        checkpointer: BaseCheckpointSaver[str] | None = None,
        **settings: Any,
    ) -> None:
        self.saver = checkpointer or InMemorySaver()
        self._built_with = (model, tools, settings)
        self.agent = build_agent(
            model, tools, checkpointer=self.saver, settings=AgentSettings(**settings)
        )
        self.thread_id = str(uuid4())
        self.question: Question | None = None

    def taken_over(self) -> "Conversation":
        """The same conversation as another process sees it."""
        model, tools, settings = self._built_with
        other = Conversation(model, tools, checkpointer=self.saver, **settings)
        other.thread_id, other.question = self.thread_id, self.question
        return other

    async def stream(
        self,
        text: str | list[dict[str, Any]] | None,
        *,
        decisions: Mapping[str, Decision] | None = None,
        **context: Any,
    ) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer event by event; closing it stops the run.

        None goes on with what was said last.
        """
        heard: asyncio.Queue[AgentEvent | None] = asyncio.Queue()
        start: Question | Continuation
        if text is None:
            assert self.question is not None
            start = Continuation(question=self.question, decisions=decisions or {})
        else:
            start = self.question = Question(content=text, message_id=str(uuid4()))
        running = asyncio.create_task(
            run_agent(
                self.agent,
                start,
                thread_id=self.thread_id,
                run_id=str(uuid4()),
                context=AgentContext(**context),
                tell=heard.put_nowait,
            )
        )
        running.add_done_callback(lambda _: heard.put_nowait(None))
        try:
            while (event := await heard.get()) is not None:
                yield event
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def say(
        self, text: str | list[dict[str, Any]] | None, *, told: Told | None = None, **context: Any
    ) -> Told:
        """Say something and hear all of the answer; `told` keeps the events of a failed run."""
        told = told or Told()
        async for event in self.stream(text, **context):
            told.events.append(event)
        return told

    async def state(self) -> dict[str, Any]:
        snapshot = await self.agent.aget_state({"configurable": {"thread_id": self.thread_id}})
        return dict(snapshot.values)

    async def messages(self) -> list[Any]:
        return list((await self.state())["messages"])
