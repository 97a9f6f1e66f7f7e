"""What the repositories return and take: frozen values, never rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

T = TypeVar("T")

Role = Literal["user", "assistant"]
RunStatus = Literal["queued", "running", "awaiting_approval", "success", "cancelled", "error"]
TitleOrigin = Literal["first_line", "model", "user"]
CallPurpose = Literal["answer", "summary", "title", "sampling"]
DocumentStatus = Literal["pending", "indexed", "failed"]
GroupRole = Literal["member", "admin"]


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
    """What decides about a key that somebody sent, and whom it stands for."""

    key_id: int
    user: User
    scopes: tuple[str, ...]
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def is_good_at(self, now: datetime) -> bool:
        """Whether the key lets its user in."""
        return self.user.is_active and _lasts(self.expires_at, self.revoked_at, now)


@dataclass(frozen=True, kw_only=True)
class Login:
    """A login session."""

    id: UUID
    user_id: int
    api_key_id: int | None
    """The key that it was opened with, and ends with."""
    root_key_hash: str | None
    """A keyed hash of the root key, if it was that."""
    method: str
    scopes: tuple[str, ...]
    """What it is restricted to, as the key was; empty means that it is not."""
    generation: int
    """How often it was refreshed."""
    expires_at: datetime
    revoked_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class LoginOwner:
    """A login that somebody claims, and whose it is."""

    login: Login
    """Its key's revocation counts as its own."""
    user: User
    key_expires_at: datetime | None
    """When the key that it was opened with ends, and the login with it."""

    def is_good_at(self, now: datetime) -> bool:
        """Whether the login lets its user in."""
        return (
            self.user.is_active
            and _lasts(self.login.expires_at, self.login.revoked_at, now)
            and _lasts(self.key_expires_at, None, now)
        )


def _lasts(expires_at: datetime | None, revoked_at: datetime | None, now: datetime) -> bool:
    return revoked_at is None and (expires_at is None or now < expires_at)


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
class ModelCall:
    """What one call of a model cost."""

    model: str
    purpose: CallPurpose
    tokens_in: int
    tokens_out: int
    estimated: bool
    """Whether it was cut off before the model said what it had cost."""
    latency_ms: int


@dataclass(frozen=True, kw_only=True)
class RunInput:
    """All that any process needs to begin a run or to go on with it; stored encrypted."""

    session_id: str
    thread_id: UUID
    text: str = field(repr=False)
    """Nothing, until the run begins, when a message is answered once more."""
    images: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    enable_tools: bool = True
    rewind_to: UUID | None = None
    """The turn that the agent has to forget, with all that came after it."""
    message_id: int | None = None
    """The message that this one takes the place of."""
    audio: dict[str, Any] | None = None
    scopes: tuple[str, ...] = ()
    """What the caller's key is restricted to; empty means that it is not."""
    api_key_id: int | None = None
    ip: str | None = None
    user_agent: str | None = None
    correlation_id: str = ""


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
    """When it was accepted, until it begins."""
    finished_at: datetime | None
    attempt: int = 1
    """Goes up whenever a process takes the run."""
    worked_seconds: float = 0.0
    """How long the attempts before this one were at work, up to their last sign of life."""
    worked_until: datetime | None = None
    """Of a run that was just claimed: the last of these signs."""
    events_expired_at: datetime | None = None

    @property
    def is_live(self) -> bool:
        """Whether there is more to come of it."""
        return self.status in {"queued", "running", "awaiting_approval"}


@dataclass(frozen=True, kw_only=True)
class ClaimedRun:
    """A run that a process has taken, to begin it or to go on with it."""

    run: Run
    owner: str
    input: RunInput | None
    """None if it cannot be read: it was not written by this installation."""
    crashes: int
    """With how many processes it has died."""
    vain_crashes: int
    """After how many of these there was nothing new of it."""
    cancel_asked: bool


@dataclass(frozen=True, kw_only=True)
class RunClaim:
    """By what a process proves that a run is still its own; whatever it writes is held to it."""

    run_id: UUID
    attempt: int
    owner: str


@dataclass(frozen=True, kw_only=True)
class HeldRun:
    """A run that a process has."""

    run_id: UUID
    attempt: int
    cancel_asked: bool
    renewed: bool
    """Whether its lease was prolonged; if not, its row was locked at that moment."""


@dataclass(frozen=True, kw_only=True)
class NewToolRun:
    """A tool call to be kept."""

    run_id: UUID
    call_id: str
    tool: str
    args: dict[str, Any]
    result: str | None
    status: Literal["begun", "end", "error"]
    """`begun` until it is known how it ended."""
    latency_ms: int
    started_at: datetime
    sources: tuple[Mapping[str, Any], ...] = ()
    contents: tuple[Mapping[str, Any], ...] = ()
    """What refers to the pictures, sounds and files of its answer."""
    begun: int = 1
    """How often it was begun, over all attempts at the run."""


@dataclass(frozen=True, kw_only=True)
class ToolRun(NewToolRun):
    """A tool call that was kept."""


@dataclass(frozen=True, kw_only=True)
class AccountCounts:
    """How much a user has; nothing that others share with them."""

    sessions: int
    messages: int
    documents: int
    bytes: int
    """The size of the documents' originals."""
    api_keys: int
    """The revoked ones too."""
    groups: int


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
    group_id: int | None = None
    """The group that may read it."""
    source: str | None = None
    """The path or address that it was read from last."""
    has_own_title: bool = False
    """Whether somebody gave it its title, which then outlives its content."""

    @property
    def is_private(self) -> bool:
        """Whether its owner alone may read it."""
        return self.group_id is None


@dataclass(frozen=True, kw_only=True)
class Group:
    """People who share documents."""

    id: int
    name: str
    description: str
    member_count: int
    role: GroupRole | None
    """The caller's own; None for the system, which sees groups that it is not in."""
    from_provider: bool
    """Whether an identity provider made it and says who is in it."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Member:
    """Somebody in a group."""

    user_id: int
    username: str
    role: GroupRole
    joined_at: datetime


@dataclass(frozen=True, kw_only=True)
class Share:
    """That a group may read a document."""

    document_id: int
    group_id: int


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """Who did what to which thing, and whether it went well."""

    action: str
    resource_type: str
    resource_id: str | None = None
    success: bool = True
    actor_id: int | None = None
    actor_name: str | None = None
    group_id: int | None = None
    """The group that it concerns; its admins may read the entry."""
    ip: str | None = None
    user_agent: str | None = None
    correlation_id: str | None = None
    details: dict[str, Any] | None = field(default=None)
    """Stored encrypted, so it may quote content."""


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """An entry as it stands in the trail."""

    id: int
    created_at: datetime
    action: str
    resource_type: str
    resource_id: str | None
    success: bool
    actor_id: int | None
    actor_name: str | None
    group_id: int | None
    ip: str | None
    user_agent: str | None
    correlation_id: str | None
    details: dict[str, Any] | None
    system_reason: str | None
    """Why the system itself acted, if it did."""
    readable: bool
    """False for an entry whose encrypted part was not written for it; that part is None then."""


@dataclass(frozen=True, kw_only=True)
class AuditFilters:
    """What of the trail to look at; None is no condition."""

    actor_id: int | None = None
    action: str | None = None
    """`noun.verb`, or a noun alone for everything that was done to such things."""
    resource_type: str | None = None
    resource_id: str | None = None
    """Goes with `resource_type`."""
    success: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Not included."""
    correlation_id: str | None = None
    group_id: int | None = None
