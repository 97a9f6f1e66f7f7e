"""What a request presents as proof of who makes it."""

from dataclasses import dataclass, field
from typing import Literal

from starlette.requests import HTTPConnection

from server.security.cookies import TOKEN_COOKIE

KEY_HEADER = "x-api-key"
SUBPROTOCOL = "youworker"
"""What a WebSocket speaks here."""
TOKEN_SUBPROTOCOL = "youworker.token."  # noqa: S105 - what comes before the secret
"""A browser can set no header on a WebSocket, so it may offer a token behind this as a subprotocol;
keys and tokens hold none but characters that RFC 6455, 4.1 allows there."""


@dataclass(frozen=True, kw_only=True)
class Credential:
    """An API key or a login's token, not judged yet."""

    text: str = field(repr=False)
    source: Literal["header", "cookie"]
    """A browser sends a cookie along whoever makes it, a header never."""


def find_credential(connection: HTTPConnection) -> Credential | None:
    """The one credential that counts, of a request or of a WebSocket's.

    `Authorization: Bearer` comes before `X-API-Key`, that before a WebSocket's subprotocol, and
    each before the cookie: whoever sends a header means it, so a header that is not good is refused
    and nothing else is tried. An address is never looked at: it ends up in logs and histories.
    """
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    header = bearer or connection.headers.get(KEY_HEADER, "").strip() or _offered_token(connection)
    if header:
        return Credential(text=header, source="header")
    cookie = connection.cookies.get(TOKEN_COOKIE)
    return Credential(text=cookie, source="cookie") if cookie else None


def _offered_token(connection: HTTPConnection) -> str:
    offered: list[str] = connection.scope.get("subprotocols", [])
    tokens = (each for each in offered if each.startswith(TOKEN_SUBPROTOCOL))
    return next(tokens, "").removeprefix(TOKEN_SUBPROTOCOL)
