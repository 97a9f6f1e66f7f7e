"""What a checkpoint keeps of a conversation."""

from collections.abc import Sequence
from typing import Annotated, Any, NotRequired

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    convert_to_messages,
)
from langgraph.channels.delta import DeltaChannel
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

SNAPSHOT_EVERY_UPDATES = 50
"""How many saved steps are replayed at most when a conversation is loaded."""


def merge_messages(messages: Sequence[AnyMessage], writes: Sequence[Any]) -> list[AnyMessage]:
    """Apply written messages in their order: a known id replaces, `RemoveMessage` removes.

    Unlike `add_messages` it takes a batch of writes and keeps no trace of how they were batched,
    as `DeltaChannel` requires, and it costs next to nothing for the usual append.
    """
    merged: dict[object, AnyMessage] = {_key(message): message for message in messages}
    for write in writes:
        for message in _as_messages(write):
            if isinstance(message, RemoveMessage):
                merged.pop(message.id, None)
            else:
                merged[_key(message)] = message
    return list(merged.values())


class AgentState(TypedDict):
    """A conversation as the steps of the agent see it."""

    messages: list[AnyMessage]
    summary: NotRequired[str]
    """What the messages that were taken out of the conversation said."""


class DeltaState(TypedDict):
    """A conversation of which every step saves only the messages that it adds."""

    messages: Annotated[
        list[AnyMessage], DeltaChannel(merge_messages, snapshot_frequency=SNAPSHOT_EVERY_UPDATES)
    ]
    summary: NotRequired[str]


class WholeState(TypedDict):
    """A conversation saved whole at every step, for checkpointers that cannot store deltas."""

    messages: Annotated[list[AnyMessage], add_messages]
    summary: NotRequired[str]


def current_turn(messages: Sequence[AnyMessage]) -> Sequence[AnyMessage]:
    """The newest message of the user and everything after it."""
    for place in range(len(messages) - 1, -1, -1):
        if isinstance(messages[place], HumanMessage):
            return messages[place:]
    return messages


def last_answer(messages: Sequence[AnyMessage]) -> AIMessage:
    """The newest message of the model; there must be one."""
    return next(message for message in reversed(messages) if isinstance(message, AIMessage))


def _key(message: BaseMessage) -> object:
    return message.id or object()


def _as_messages(write: Any) -> Sequence[Any]:
    items = write if isinstance(write, list) else [write]
    if all(isinstance(item, BaseMessage) for item in items):
        return items
    return convert_to_messages(items)
