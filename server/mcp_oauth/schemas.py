"""What the routes of authorizations at MCP servers answer."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel


class DepartureAnswer(BaseModel):
    """Where the person's browser goes now."""

    authorization_url: str
    """Of the server's own authorization server. Give it to nobody: whoever grants it there does so
    for the caller of this."""
    expires_at: datetime
    """Until when it has to come back."""


class AuthorizationAnswer(BaseModel):
    """How it stands between the caller and a server."""

    server_id: int
    server: str
    status: Literal["missing", "good", "ended"]
    """Missing and ended mean that the caller has to authorize before its tools can be used."""
    scopes: list[str]
    since: datetime | None
    expires_at: datetime | None
    """When the present token ends; null if the server has not said so."""
    renewable: bool
    """Whether it is renewed then without asking anybody."""


class AuthorizationList(BaseModel):
    """What the caller has granted, and what there is to grant."""

    authorizations: list[AuthorizationAnswer]


class WithdrawalAnswer(BaseModel):
    """It is forgotten here."""

    revoked: bool
    """Whether the authorization server has ended the tokens as well; if not, they end in time."""


class KeySet(BaseModel):
    """The public keys of identity tokens (RFC 7517)."""

    keys: list[dict[str, Any]]
