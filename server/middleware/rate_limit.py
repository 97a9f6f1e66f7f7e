"""How often each user and each address may ask, counted by all replicas together."""

import math
from functools import partial

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from persistence.errors import PersistenceError
from persistence.rate_limits import PERIOD_SECONDS, BucketLevel, Quota, RateLimiter
from server.error_responses import error_answer
from server.errors import RateLimited, Unavailable
from server.middleware.answer_headers import Header, leave_headers
from server.observability import describe
from server.security.principal import Principal

UNLIMITED_PATHS = frozenset({"/health"})

log = structlog.get_logger(__name__)


class RateLimitMiddleware:
    """Takes a token for each request and message of a WebSocket; says in headers how many are left.

    Of the user's bucket and the address's, that which is nearer to empty speaks. A caller who is
    nobody has the address's alone.
    """

    def __init__(
        self, app: ASGIApp, *, limiter: RateLimiter, user_quota: Quota, address_quota: Quota
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._user_quota = user_quota
        self._address_quota = address_quota

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; without the database none, for nobody would count it."""
        if scope["type"] == "lifespan" or scope["path"] in UNLIMITED_PATHS:
            await self._app(scope, receive, send)
            return
        try:
            level = await self._take(scope)
        except PersistenceError as exc:
            log.warning("rate_limit_unknown", **describe(exc))
            unavailable = Unavailable("The database is not reachable just now.")
            await error_answer(unavailable)(scope, receive, send)
            return
        leave_headers(scope, _headers(level))
        if scope["type"] == "websocket":
            scope["state"]["count_message"] = partial(self._count_message, scope)
        if level.allowed:
            await self._app(scope, receive, send)
        else:
            await error_answer(_refusal(level))(scope, receive, send)

    async def _count_message(self, scope: Scope) -> None:
        """Takes a token for a message, which asks for as much as a request does.

        Raises:
            RateLimited: There is none left.
            DatabaseUnavailable: The database cannot be reached.
        """
        level = await self._take(scope)
        if not level.allowed:
            raise _refusal(level)

    async def _take(self, scope: Scope) -> BucketLevel:
        state = scope["state"]
        principal: Principal | None = state.get("principal")
        # A client that the proxies could not name shares the bucket of the proxy.
        client = scope.get("client") or state.get("peer")
        return await self._limiter.take(
            address=client[0] if client else "",
            address_quota=self._address_quota,
            user_id=principal.user.id if principal else None,
            user_quota=self._user_quota,
        )


def _headers(level: BucketLevel) -> tuple[Header, ...]:
    """`Reset` is in seconds from now: when the bucket is full again."""
    return (
        (b"x-ratelimit-limit", b"%d" % level.quota.per_minute),
        (b"x-ratelimit-remaining", b"%d" % level.remaining),
        (b"x-ratelimit-reset", b"%d" % math.ceil(level.seconds_to_full)),
    )


def _refusal(level: BucketLevel) -> RateLimited:
    wait = level.retry_after_seconds
    details = {"retry_after": wait, "limit": level.quota.per_minute, "period": PERIOD_SECONDS}
    return RateLimited(details=details, headers={"Retry-After": str(wait)})
