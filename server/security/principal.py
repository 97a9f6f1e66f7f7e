"""Who is calling, and from where."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from persistence.access import AccessScope
from persistence.account_records import User

Via = Literal["key", "token", "cookie"]


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The caller of one request."""

    user: User
    scope: AccessScope
    via: Via = "key"
    """An API key, a login's token in a header, or the same in a cookie, which a browser sends
    along whoever makes it."""
    api_key_id: int | None = None
    """The key that proved it, or that the login was opened with; None for the root key."""
    login_id: UUID | None = None
    """The login session, if there is one."""
    scopes: frozenset[str] = frozenset()
    """What the key is restricted to; empty means that it is not."""
    key_expires_at: datetime | None = None
    """When the key ends; None if it does not, or there is none."""

    def may(self, scope: str) -> bool:
        """Whether the credential carries a scope."""
        return not self.scopes or scope in self.scopes


def scope_of(user: User) -> AccessScope:
    """The scope that a user's own acts have."""
    return AccessScope(user_id=user.id, is_root=user.is_root)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a request came from, for the audit trail."""

    ip: str | None
    user_agent: str | None
    correlation_id: str
