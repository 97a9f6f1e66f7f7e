"""Every request has a correlation id, one log line, and an answer even when the code fails."""

import re
import time
from contextvars import ContextVar
from uuid import uuid4

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.error_responses import error_answer
from server.errors import InternalError
from server.middleware.answer_headers import ANSWER_STARTS, leave_headers, put_headers_on
from server.middleware.request_headers import find_header
from server.observability import describe

HEADER = b"x-correlation-id"
WEBSOCKET_ACCEPTED = 101
correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
_SANE = re.compile(r"[A-Za-z0-9._-]{8,64}")
log = structlog.get_logger(__name__)


class CorrelationMiddleware:
    """Takes the caller's id if it is sane, else makes one; logs the route, never the raw path.

    A raw path may hold a session id, which the client chose and may mean something. Being the
    outermost, it also puts the headers on that others left for the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request under its id."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        sent = find_header(scope, HEADER)
        identifier = sent if _SANE.fullmatch(sent) else uuid4().hex
        leave_headers(scope, ((HEADER, identifier.encode()),))
        token = correlation_id.set(identifier)
        structlog.contextvars.bind_contextvars(correlation_id=identifier)
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] in ANSWER_STARTS:
                status = message.get("status", WEBSOCKET_ACCEPTED)
                put_headers_on(message, scope)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as exc:  # noqa: BLE001 - an entry point: nothing may leave unanswered
            log.error("request_crashed", **describe(exc))
            if status == 0:
                await error_answer(InternalError())(scope, receive, send_with_headers)
        finally:
            route = scope.get("route")
            log.info(
                "request",
                method=scope.get("method", "WS"),
                route=getattr(route, "path", "-"),
                status=status,
                duration_ms=round((time.perf_counter() - started) * 1000, 1),
            )
            structlog.contextvars.unbind_contextvars("correlation_id")
            correlation_id.reset(token)
