"""What a chat request is about: what was said before, what is asked, what tools found so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graph.llm.embedded.wire import MessageBody


@dataclass(frozen=True, kw_only=True)
class Call:
    """A tool with its arguments."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a tool answered."""

    tool: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """A request, with its last turn taken apart."""

    before: tuple[MessageBody, ...]
    """All messages before the last one of the user."""
    request: str
    """The last message of the user."""
    calls: tuple[Call, ...]
    """The tools that were called for it."""
    results: tuple[Result, ...]
    after: tuple[MessageBody, ...]
    """Other messages after the request, such as a late instruction."""

    @property
    def last_request(self) -> str:
        """What the user said before this request, if anything."""
        said = [message.content for message in self.before if message.role == "user"]
        return said[-1] if said else ""

    @property
    def last_tool(self) -> str | None:
        """The tool that answered the request before this one, if a tool did."""
        for message in reversed(self.before):
            if message.role == "user":
                return None
            if message.tool_calls:
                return message.tool_calls[-1].function.name
        return None


def read_conversation(messages: Sequence[MessageBody]) -> Conversation:
    """Take the messages apart at the last one of the user."""
    asked = max((i for i, message in enumerate(messages) if message.role == "user"), default=-1)
    turn = messages[asked + 1 :] if asked >= 0 else []
    calls = [
        Call(tool=call.function.name, arguments=call.function.arguments)
        for message in turn
        for call in message.tool_calls or ()
    ]
    answered = [message for message in turn if message.role == "tool"]
    return Conversation(
        before=tuple(messages[:asked] if asked >= 0 else messages),
        request=messages[asked].content if asked >= 0 else "",
        calls=tuple(calls),
        results=tuple(
            Result(tool=_tool_of(message, calls, index), text=message.content)
            for index, message in enumerate(answered)
        ),
        after=tuple(m for m in turn if m.role != "tool" and not m.tool_calls),
    )


def _tool_of(message: MessageBody, calls: Sequence[Call], index: int) -> str:
    """Clients that do not name the tool send the results in the order of the calls."""
    if message.tool_name:
        return message.tool_name
    return calls[index].tool if index < len(calls) else "tool"
