"""What comes of an authorization at each of its steps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from server.security.principal import Principal


@dataclass(frozen=True, kw_only=True)
class Departure:
    """A person on the way to an authorization server."""

    url: str
    state: str = field(repr=False)
    """What comes back from there."""
    expires_at: datetime
    browser_secret: str | None = field(default=None, repr=False)
    """What the browser has to keep, if one began it."""


@dataclass(frozen=True, kw_only=True)
class BroughtBack:
    """What a browser brings back from there, or says that it does."""

    server_id: int
    """For which server it says to be, by the address that it comes to."""
    state: str | None
    code: str | None = field(repr=False)
    error: str | None
    issuer: str | None
    """Who the answer says it is from (RFC 9207)."""
    browser_secret: str | None = field(default=None, repr=False)
    principal: Principal | None = None
    """Who is logged in in that browser, if anybody is."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What was granted, and for whom."""

    server: str
    username: str


@dataclass(frozen=True, kw_only=True)
class AuthorizationView:
    """How it stands between a person and a server."""

    server_id: int
    server: str
    status: Literal["missing", "good", "ended"]
    scopes: Sequence[str] = ()
    since: datetime | None = None
    expires_at: datetime | None = None
    renewable: bool = False
