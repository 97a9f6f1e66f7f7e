"""What browsers are told about every answer."""

from starlette.types import ASGIApp, Receive, Scope, Send

from server.middleware.answer_headers import Header, leave_headers

HSTS_SECONDS = 365 * 24 * 3600
NOTHING_AT_ALL = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""For what is no page; pages bring a policy of their own."""

_ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", NOTHING_AT_ALL.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_NOT_KEPT: Header = (b"cache-control", b"no-store")
_OVER_TLS: Header = (b"strict-transport-security", b"max-age=%d" % HSTS_SECONDS)
_SECURE_SCHEMES = frozenset({"https", "wss"})


class SecurityHeadersMiddleware:
    """Leaves headers that an answer may replace by its own; they come in four fixed sets."""

    def __init__(self, app: ASGIApp, *, cacheable_prefix: str) -> None:
        """Args: cacheable_prefix: below this path are files that are the same for everybody."""
        self._app = app
        self._cacheable_prefix = cacheable_prefix
        self._sets = {
            (secure, cacheable): (
                *_ALWAYS,
                *(() if cacheable else (_NOT_KEPT,)),
                *((_OVER_TLS,) if secure else ()),
            )
            for secure in (False, True)
            for cacheable in (False, True)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "lifespan":
            secure = scope["scheme"] in _SECURE_SCHEMES
            cacheable = scope["path"].startswith(self._cacheable_prefix)
            leave_headers(scope, self._sets[secure, cacheable])
        await self._app(scope, receive, send)
