"""Documents, groups and the audit trail, as the repositories return and take them: frozen values.

With them the page of a list, of whatever it is.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")

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
