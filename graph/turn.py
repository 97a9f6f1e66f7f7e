"""What the newest turn of a conversation has brought so far."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from graph.state import current_turn

PARAGRAPH = "\n\n"
"""Sets what one step says apart from what an earlier one said."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """The newest message of the user and everything after it."""

    messages: Sequence[AnyMessage]

    @classmethod
    def newest(cls, messages: Sequence[AnyMessage]) -> "Turn":
        """The last turn of a conversation."""
        return cls(messages=current_turn(messages))

    @property
    def question_id(self) -> str | None:
        """The id of the message that is being answered."""
        first = self.messages[0] if self.messages else None
        return first.id if isinstance(first, HumanMessage) else None

    @property
    def lead(self) -> str:
        """What has to be told before the next words."""
        return PARAGRAPH if any(answer.text.strip() for answer in self.answers()) else ""

    @property
    def content(self) -> str:
        """Exactly what was told as tokens, joined."""
        told, lead = [], ""
        for answer in self.answers():
            if text := str(answer.text):
                told += [lead, text]
                lead = PARAGRAPH if lead or text.strip() else ""
        return "".join(told)

    @property
    def reasoning(self) -> str:
        """All that the model thought."""
        kept = (answer.additional_kwargs.get("reasoning_content") for answer in self.answers())
        return "".join(text for text in kept if isinstance(text, str))

    @property
    def sources(self) -> list[Mapping[str, Any]]:
        """What the tools found, in the order of their calls."""
        results = [message for message in self.messages if isinstance(message, ToolMessage)]
        return [source for result in results for source in sources_in(result.artifact)]

    @property
    def model(self) -> str:
        """Who spoke last; empty when nobody has."""
        names = [answer.response_metadata.get("model_name", "") for answer in self.answers()]
        return names[-1] if names else ""

    @property
    def call_ids(self) -> frozenset[str | None]:
        """The ids of all calls that were asked for."""
        return frozenset(
            call["id"]
            for answer in self.answers()
            for call in (*answer.tool_calls, *answer.invalid_tool_calls)
        )

    def answers(self) -> Iterator[AIMessage]:
        """What the model said, step by step."""
        return (message for message in self.messages if isinstance(message, AIMessage))


def sources_in(artifact: object) -> list[Mapping[str, Any]]:
    """The passages that a tool's artifact names; what is malformed is passed over."""
    found = artifact.get("sources") if isinstance(artifact, dict) else None
    if not isinstance(found, list | tuple):
        return []
    return [source for source in found if isinstance(source, dict) and "id" in source]
