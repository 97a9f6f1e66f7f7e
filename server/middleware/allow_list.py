"""Addresses that may come in, if the installation names any."""

from starlette.types import ASGIApp, Receive, Scope, Send

from server.error_responses import error_answer
from server.errors import IpNotAllowed
from server.security.networks import Networks

OPEN_PATHS = frozenset({"/health"})
"""Says nothing, and is asked by probes whose addresses nobody knows beforehand."""


class AllowListMiddleware:
    """Refuses requests and WebSockets from elsewhere."""

    def __init__(self, app: ASGIApp, *, allowed: Networks) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS or self._lets_in(scope):
            await self._app(scope, receive, send)
        else:
            await error_answer(IpNotAllowed())(scope, receive, send)

    def _lets_in(self, scope: Scope) -> bool:
        client = scope.get("client")
        return client is not None and client[0] in self._allowed
