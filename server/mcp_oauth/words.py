"""What a model and a person are told when an authorization is missing."""

from collections.abc import Sequence

from tools.errors import AuthorizationNeeded
from tools.registry import RegisteredServer


def needed(server: RegisteredServer) -> AuthorizationNeeded:
    """Nobody has granted anything, or it has ended."""
    return AuthorizationNeeded(
        f"the user has not let YouWorker act for them at {server.name!r}, or not any more; "
        f"{_what_to_do(server)}"
    )


def refused(server: RegisteredServer) -> AuthorizationNeeded:
    """The server does not take even fresh tokens."""
    return AuthorizationNeeded(
        f"{server.name!r} does not accept the user's authorization any more; {_what_to_do(server)}"
    )


def needs_more(
    server: RegisteredServer, scopes: Sequence[str], *, may_ask: bool
) -> AuthorizationNeeded:
    """What was granted is not enough."""
    missing = f" (it asks for: {' '.join(scopes)})" if scopes else ""
    what_to_do = (
        _what_to_do(server)
        if may_ask
        else "an administrator has to add it to the scopes of the server's entry first"
    )
    return AuthorizationNeeded(
        f"what the user has granted at {server.name!r} is not enough for this{missing}; "
        f"{what_to_do}"
    )


def _what_to_do(server: RegisteredServer) -> str:
    return (
        f"tell the user to authorize it: youworker mcp login {server.name}, "
        f"or POST /v1/mcp/servers/{server.id}/authorization"
    )
