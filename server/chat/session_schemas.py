"""What the routes of sessions take and answer."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from loaders.speech.audio_format import AudioFormat
from server.chat.schemas import SessionId, Text
from server.citations import Citations

TITLE_MAX_CHARS = 200
MESSAGE_ID_MAX = 2**63 - 1
QUERY_MAX_CHARS = 200
CURSOR_MAX_CHARS = 64


class SessionSummary(BaseModel):
    """A session in a list."""

    session_id: str
    title: str | None
    title_by: Literal["first_line", "model", "user"]
    """Who gave it its title; a model only replaces the first line of the first message."""
    message_count: int
    created_at: datetime
    updated_at: datetime


class SessionList(BaseModel):
    """A page of sessions."""

    sessions: list[SessionSummary]
    total: int
    limit: int
    offset: int


class SessionSearchRequest(BaseModel):
    """Words that are looked for."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[str, Field(min_length=1, max_length=QUERY_MAX_CHARS, repr=False)]
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    cursor: Annotated[str, Field(max_length=CURSOR_MAX_CHARS)] | None = None
    """Where the last answer ended, to go on from there."""


class SessionHit(SessionSummary):
    """A session in which the words were found."""

    snippet: str
    """The text around the words: of the message, or else the title."""
    message_id: int | None
    """The latest message that has all of the words; None when they are in the title."""
    role: Literal["user", "assistant"] | None


class SessionHits(BaseModel):
    """What a search found so far, the latest first."""

    sessions: list[SessionHit]
    next_cursor: str | None
    """Goes on from here; None at the end. A page may be empty and not be the last one: a request
    looks only so long."""


class SessionImage(BaseModel):
    """An image of a message."""

    mime: str
    width: int
    height: int


class SessionAudio(BaseModel):
    """A recording whose words are the content of a message; its sound is not kept."""

    format: AudioFormat
    seconds: float
    language: str
    """As it was recognised (ISO 639-1)."""


class SessionMessage(BaseModel):
    """One message of a session."""

    id: int
    role: Literal["user", "assistant"]
    content: str
    reasoning: str | None
    status: str | None
    """How the run ended that wrote it; None for a user's message."""
    sources: list[dict[str, Any]]
    """As in the answer; those of older versions have neither `label` nor `cited`."""
    citations: Citations
    tool_events: list[dict[str, Any]]
    model: str | None
    tokens_in: int
    tokens_out: int
    run_id: UUID | None
    """The run that it asked for or that wrote it; None in a fork."""
    superseded_by: UUID | None
    """The run that took its place when it, or a message before it, was edited."""
    created_at: datetime
    images: list[SessionImage]
    """In the order in which they were sent, by which the route of an image counts them."""
    audio: SessionAudio | None


class SessionDetail(SessionSummary):
    """A session with a page of its messages."""

    messages: list[SessionMessage]
    total: int
    limit: int
    offset: int


class SessionUpdate(BaseModel):
    """What of a session can be changed."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[Text, Field(max_length=TITLE_MAX_CHARS)]


class ForkRequest(BaseModel):
    """Where a fork leaves the session."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"message_id": 17}]})

    message_id: Annotated[int, Field(ge=1, le=MESSAGE_ID_MAX, strict=True)]
    """The last message of the fork."""
    session_id: SessionId | None = None
    """The fork's own; made by the server when left out."""
