"""What the repositories return and take: frozen values, never rows."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

T = TypeVar("T")

Role = Literal["user", "assistant"]
RunStatus = Literal["running", "success", "cancelled", "error"]
DocumentStatus = Literal["pending", "indexed", "failed"]


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list."""

    items: list[T]
    total: int
    """How many there are on all pages."""
    limit: int
    offset: int


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who may call."""

    id: int
    username: str
    is_root: bool
    is_active: bool
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key, without the key: only its hash is stored."""

    id: int
    user_id: int
    name: str
    prefix: str
    """The first characters of the key, by which its owner recognises it."""
    scopes: tuple[str, ...]
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class KeyOwner:
    """A key and whom it stands for; whether either is still good is for the caller to judge."""

    key: ApiKey
    user: User


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
    message_count: int
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


@dataclass(frozen=True, kw_only=True)
class Run:
    """One answer in the making, or made."""

    id: UUID
    session_row_id: int
    user_id: int
    model: str
    status: RunStatus
    error_code: str | None
    iterations: int
    tool_calls: int
    tokens_in: int
    tokens_out: int
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class NewToolRun:
    """A tool call to be kept."""

    run_id: UUID
    call_id: str
    tool: str
    args: dict[str, Any]
    result: str | None
    status: str
    latency_ms: int
    started_at: datetime


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document that a user gave."""

    id: int
    owner_id: int
    title: str
    filename: str
    mime: str
    size_bytes: int
    status: DocumentStatus
    error_code: str | None
    chunks: int
    blob: str
    """The name under which the blob store keeps the original."""
    tags: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    is_private: bool = True
    group_id: int | None = None
    """The group that may read it, when it is not private."""


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """Who did what to which thing, and whether it went well."""

    action: str
    resource_type: str
    resource_id: str | None = None
    success: bool = True
    actor_id: int | None = None
    actor_name: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    correlation_id: str | None = None
    details: dict[str, Any] | None = field(default=None)
    """Stored encrypted, so it may quote content."""
