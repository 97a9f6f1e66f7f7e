"""What the repositories of authorizations at MCP servers return and take: frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

AuthorizationStatus = Literal["good", "ended"]


@dataclass(frozen=True, kw_only=True)
class McpAuthorization:
    """What one person has granted at one server."""

    user_id: int
    server_id: int
    status: AuthorizationStatus
    """Ended means that the person has to authorize again."""
    body: Mapping[str, Any] = field(repr=False)
    """The tokens, and how they are renewed."""
    expires_at: datetime | None
    """When the access token ends; None if that was not said."""
    granted_at: datetime


@dataclass(frozen=True, kw_only=True)
class McpAuthorizationAttempt:
    """An authorization that somebody has begun."""

    user_id: int
    server_id: int
    login_id: UUID | None
    """The login of the browser that began it; None if it was no browser."""
    body: Mapping[str, Any] = field(repr=False)
    """What the code is exchanged with."""
    expires_at: datetime
