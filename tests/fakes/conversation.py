"""A conversation with the agent, as a test holds it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from graph.agent import build_agent
from graph.context import AgentContext
from graph.events import AgentEvent, Finished, Reasoning, Token, run_agent
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
        self.agent = build_agent(
            model,
            tools,
            checkpointer=checkpointer or InMemorySaver(),
            settings=AgentSettings(**settings),
        )
        self.thread_id = str(uuid4())

    async def stream(self, text: str | None, **context: Any) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer event by event; closing it stops the run."""
        heard: asyncio.Queue[AgentEvent | None] = asyncio.Queue()
        running = asyncio.create_task(
            run_agent(
                self.agent,
                text,
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

    async def say(self, text: str | None, *, told: Told | None = None, **context: Any) -> Told:
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
