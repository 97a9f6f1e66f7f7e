"""No other site acts with the cookies of our users."""

import hmac
from collections.abc import Collection

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from server.error_responses import error_answer
from server.errors import CsrfRefused
from server.middleware.request_headers import find_header
from server.security.cookies import CSRF_COOKIE
from server.security.csrf import CsrfTokens
from server.security.principal import Principal
from server.security.web_origins import origin_of

HEADER = b"x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOGIN_PATHS = frozenset({"/v1/auth/login", "/v1/auth/auto-login"})
"""These act for whom the request itself names, not for the cookie that happens to come along."""
_UNKNOWN_ORIGIN = (
    "With a login's cookie, only pages of this server's own origin and of those in "
    "API__CORS_ORIGINS may ask this."
)
OWN_SITE = frozenset({"", "same-origin", "none"})
"""Values of Sec-Fetch-Site: an old browser's, our own page's, and the user's own typing."""


class CsrfMiddleware:
    """Asks callers with a cookie for a proof that a page of ours, or one we know, sent them.

    The proof is the login's token, sent twice: as a cookie and as a header, which only a page that
    may read our answers can set. A WebSocket's handshake can carry no header, so its origin counts.
    """

    def __init__(
        self, app: ASGIApp, *, tokens: CsrfTokens, allowed_origins: Collection[str]
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._allowed_origins = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        principal: Principal | None = scope.get("state", {}).get("principal")
        if principal is None or principal.via != "cookie":
            await self._app(scope, receive, send)
            return
        try:
            self._require_proof(scope, principal)
        except CsrfRefused as refusal:
            await error_answer(refusal)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _require_proof(self, scope: Scope, principal: Principal) -> None:
        if scope["type"] == "websocket":
            if not self._knows(scope, find_header(scope, b"origin")):
                raise CsrfRefused(_UNKNOWN_ORIGIN)
            return
        if scope["method"] in SAFE_METHODS:
            return
        if not self._comes_from_known_page(scope):
            raise CsrfRefused(_UNKNOWN_ORIGIN)
        if scope["path"] not in LOGIN_PATHS and not self._has_token(scope, principal):
            raise CsrfRefused

    def _comes_from_known_page(self, scope: Scope) -> bool:
        """The second line; browsers say where a request comes from, other programs need not."""
        origin = find_header(scope, b"origin")
        if origin:
            return self._knows(scope, origin)
        return find_header(scope, b"sec-fetch-site") in OWN_SITE

    def _knows(self, scope: Scope, origin: str) -> bool:
        if origin in self._allowed_origins:
            return True
        host = find_header(scope, b"host")
        return bool(host) and origin == origin_of(scope["scheme"], host)

    def _has_token(self, scope: Scope, principal: Principal) -> bool:
        sent = find_header(scope, HEADER)
        cookie = HTTPConnection(scope).cookies.get(CSRF_COOKIE, "")
        return (
            principal.login_id is not None
            and bool(sent)
            and hmac.compare_digest(sent.encode(), cookie.encode())
            and self._tokens.verify(sent, principal.login_id)
        )
