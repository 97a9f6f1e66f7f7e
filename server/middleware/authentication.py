"""Finds out who is calling, once for each request; whether that is enough, the route decides."""

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from persistence.errors import PersistenceError
from server.error_responses import translate
from server.errors import NotAuthenticated
from server.security.credentials import Authenticator
from server.security.presented import find_credential

UNAUTHENTICATED_PATHS = frozenset({"/health"})


class AuthenticationMiddleware:
    """Leaves `principal`, or the `refusal` of what was sent instead, in the request's state."""

    def __init__(self, app: ASGIApp, *, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] in {"http", "websocket"} and scope["path"] not in UNAUTHENTICATED_PATHS:
            state = scope.setdefault("state", {})
            try:
                credential = find_credential(HTTPConnection(scope))
                if credential is not None:
                    state["principal"] = await self._authenticator.authenticate(credential)
            except (NotAuthenticated, PersistenceError) as exc:
                state["refusal"] = translate(exc)
        await self._app(scope, receive, send)
