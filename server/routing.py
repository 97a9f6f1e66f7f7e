"""Routes that ask their policy before they look at a request."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.requests import HTTPConnection
from fastapi.routing import APIRoute

from server.errors import NotAuthenticated, NotAuthorized, ServerError
from server.policy import POLICIES, Policy
from server.security.principal import Principal


class PolicedRoute(APIRoute):
    """A route with a policy; one that has none in the table cannot be made.

    The policy is asked before the body is read, so that a stranger costs nothing.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wraps FastAPI's handler."""
        handler = super().get_route_handler()
        path = self.path_format
        policies = {method: POLICIES[f"{method} {path}"] for method in self.methods or ()}

        async def handle_admitted(request: Request) -> Response:
            admit(request, policies[request.method])
            return await handler(request)

        return handle_admitted


def admit(connection: HTTPConnection, policy: Policy) -> None:
    """Lets a request or a WebSocket in, or not.

    Raises:
        NotAuthenticated: There is no credential, or it is not valid.
        NotAuthorized: The caller is not root, or the key does not carry all the scopes.
    """
    if policy.access == "public":
        return
    principal = current_principal(connection)
    if policy.access == "root" and not principal.user.is_root:
        raise NotAuthorized
    for scope in policy.scopes:
        if not principal.may(scope):
            raise NotAuthorized(f"This key does not carry the scope '{scope}'.")


def current_principal(connection: HTTPConnection) -> Principal:
    """The caller, as the authentication middleware found them.

    Raises:
        NotAuthenticated: There is no credential, or it is not valid.
    """
    principal: Principal | None = getattr(connection.state, "principal", None)
    if principal is not None:
        return principal
    refusal: ServerError | None = getattr(connection.state, "refusal", None)
    raise refusal or NotAuthenticated
