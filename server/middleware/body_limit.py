"""No request body is larger than its route takes, whatever its headers say."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.error_responses import error_answer
from server.errors import TooLarge


class BodyLimitMiddleware:
    """Refuses by Content-Length at once and by counting while the body is read."""

    def __init__(self, app: ASGIApp, *, limit_for: Callable[[str], int]) -> None:
        """Args: limit_for: gives the limit in bytes for a path."""
        self._app = app
        self._limit_for = limit_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on with a counted body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_for(scope["path"])
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            answer = error_answer(TooLarge(details={"limit_bytes": limit}))
            await answer(scope, receive, send)
            return
        taken = 0

        async def receive_counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise TooLarge(details={"limit_bytes": limit})
            return message

        await self._app(scope, receive_counted, send)
