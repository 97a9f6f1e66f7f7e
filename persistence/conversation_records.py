"""What was said in conversations, as the repositories return it: frozen values, never rows."""

from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid5

from persistence.run_records import ModelCall

Role = Literal["user", "assistant"]
TitleOrigin = Literal["first_line", "model", "user"]

_COPIED_TURNS = UUID("6f9c1d0e-6d3c-4f0b-9a57-2f6f7f0a4b11")
"""A name space of our own (RFC 9562, 5.5)."""


@dataclass(frozen=True, kw_only=True)
class ChatSession:
    """A conversation."""

    id: int
    session_id: str
    """The name that the client chose; unique per user."""
    thread_id: UUID
    """The name of the conversation's checkpoints."""
    user_id: int
    title: str | None
    title_by: TitleOrigin
    message_count: int
    """Without those that were superseded."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn of one side of a conversation."""

    id: int
    role: Role
    content: str
    reasoning: str | None
    sources: list[dict[str, Any]]
    tool_events: list[dict[str, Any]]
    model: str | None
    tokens_in: int
    tokens_out: int
    run_id: UUID | None
    status: str | None
    """How the run that wrote it ended; None for what a user wrote."""
    created_at: datetime
    superseded_by: UUID | None = None
    """The run that answers an edited message in place of this one or of one before it."""
    images: list[dict[str, Any]] = field(default_factory=list)
    """Of what a user showed, `mime`, `width` and `height`; what is to be seen is kept apart."""
    audio: dict[str, Any] | None = None
    """Of a recording, whose words are in the content: `format`, `seconds` and `language`."""
    citations: dict[str, list[str]] = field(default_factory=dict)
    """Of an answer that cites something: the labels that are `cited`, and those `unknown`."""

    @property
    def turn_id(self) -> UUID:
        """By what the agent's memory knows the turn that this message of a user began."""
        return turn_id(self.run_id, self.id)


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """An image of a message."""

    facts: Mapping[str, Any]
    """What its message says of it."""
    data: bytes = field(repr=False)

    @property
    def mime(self) -> str:
        """Its type, as its bytes say."""
        return str(self.facts["mime"])

    def as_sent(self) -> dict[str, Any]:
        """The form in which clients send it and models get it; takes a while if it is large."""
        return {**self.facts, "data_b64": b2a_base64(self.data, newline=False).decode("ascii")}


def turn_id(run_id: UUID | None, message_id: int) -> UUID:
    """The name of a turn: its run's, or that of the message when it was copied without its run."""
    return run_id or uuid5(_COPIED_TURNS, str(message_id))


@dataclass(frozen=True, kw_only=True)
class Superseded:
    """What an edit took out of a conversation."""

    question: Message
    """The message that was edited, or whose answer is asked for again."""
    rewind_to: UUID
    """The turn that the agent has to forget, with all that came after it."""


@dataclass(frozen=True, kw_only=True)
class CopiedTurn:
    """A turn that was copied into another conversation."""

    original: UUID
    copy: UUID


@dataclass(frozen=True, kw_only=True)
class StoredModelCall(ModelCall):
    """A call of a model that was counted."""

    id: int
    run_id: UUID | None
    """None when its conversation was deleted."""
    created_at: datetime
