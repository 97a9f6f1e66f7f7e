"""Who is calling, and from where."""

from dataclasses import dataclass

from persistence.access import AccessScope
from persistence.records import User


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The caller of one request."""

    user: User
    scope: AccessScope
    api_key_id: int | None = None
    """The key that proved it; None for the installation's root key."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a request came from, for the audit trail."""

    ip: str | None
    user_agent: str | None
    correlation_id: str
