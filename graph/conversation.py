"""What the agent remembers of a conversation: read, cut, carried to another thread, made anew.

A turn begins with the user's message, whose id in the memory is the id of the turn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import uuid4

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Overwrite

from graph.context import AgentContext

_LAST_NODE = "conclude"
"""After it a turn is over, so that what is written in its name leaves no step to be taken."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the agent knows when it is asked next."""

    messages: Sequence[AnyMessage] = ()
    summary: str = ""
    """What was said before the first of the messages."""

    @property
    def turns(self) -> list[str]:
        """The ids of the turns that are there in full."""
        return [str(message.id) for message in self.messages if isinstance(message, HumanMessage)]

    def before(self, turn_id: str) -> "Memory":
        """What was known when that turn began, which must be one of `turns`."""
        return replace(self, messages=self.messages[: self._place(turn_id)])

    def through(self, turn_id: str, *, with_answer: bool = True) -> "Memory":
        """What was known at the end of that turn, or when it was asked; it is one of `turns`."""
        place = self._place(turn_id) + 1
        while (
            with_answer
            and place < len(self.messages)
            and not isinstance(self.messages[place], HumanMessage)
        ):
            place += 1
        return replace(self, messages=self.messages[:place])

    def followed_by(self, turns: Sequence["ToldTurn"]) -> "Memory":
        """The same with turns added that are known from elsewhere."""
        added = [message for turn in turns for message in turn.as_messages()]
        return replace(self, messages=[*self.messages, *added])

    def renamed(self, names: Mapping[str, str]) -> "Memory":
        """The same with other ids for its turns; one that is not named keeps its id."""
        messages = [
            message.model_copy(update={"id": names.get(str(message.id), message.id)})
            if isinstance(message, HumanMessage)
            else message
            for message in self.messages
        ]
        return replace(self, messages=messages)

    def _place(self, turn_id: str) -> int:
        return next(
            place
            for place, message in enumerate(self.messages)
            if isinstance(message, HumanMessage) and message.id == turn_id
        )


@dataclass(frozen=True, kw_only=True)
class ToldCall:
    """A tool call, as it was written down outside of the agent's memory."""

    call_id: str
    tool: str
    """The qualified name."""
    args: Mapping[str, Any]
    result: str
    is_error: bool


@dataclass(frozen=True, kw_only=True)
class ToldTurn:
    """A turn, as it was written down outside of the agent's memory."""

    id: str
    question: str | list[dict[str, Any]]
    calls: Sequence[ToldCall] = ()
    answer: str = ""

    def as_messages(self) -> list[AnyMessage]:
        """The turn as the agent would remember it; which calls were made at once is not known."""
        messages: list[AnyMessage] = [
            HumanMessage(cast("str | list[str | dict[str, Any]]", self.question), id=self.id)
        ]
        for call in self.calls:
            asked = {"id": call.call_id, "name": _name(call), "args": dict(call.args)}
            messages += [
                AIMessage("", id=str(uuid4()), tool_calls=[asked]),
                ToolMessage(
                    call.result,
                    id=str(uuid4()),
                    tool_call_id=call.call_id,
                    name=_name(call),
                    status="error" if call.is_error else "success",
                ),
            ]
        if self.answer:
            messages.append(AIMessage(self.answer, id=str(uuid4())))
        return messages


async def read_memory(
    agent: CompiledStateGraph[Any, AgentContext, Any, Any], thread_id: str
) -> Memory:
    """What the agent remembers in a thread; nothing if there is none of that name."""
    state = (await agent.aget_state(_config(thread_id))).values
    return Memory(messages=state.get("messages", ()), summary=state.get("summary", ""))


async def write_memory(
    agent: CompiledStateGraph[Any, AgentContext, Any, Any],
    thread_id: str,
    memory: Memory,
    *,
    fence: Mapping[str, Any] | None = None,
) -> None:
    """Make this all that the agent remembers in a thread, whatever was there before.

    Args:
        agent: Whose memory it is.
        thread_id: The thread.
        memory: What is to be remembered.
        fence: By what the checkpointer knows that whoever writes may do so.
    """
    await agent.aupdate_state(
        _config(thread_id, fence),
        {"messages": Overwrite(list(memory.messages)), "summary": memory.summary},
        as_node=_LAST_NODE,
    )


def _config(thread_id: str, fence: Mapping[str, Any] | None = None) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, **(fence or {})}}


def _name(call: ToldCall) -> str:
    """As models know the tool."""
    return call.tool.replace(".", "__")
