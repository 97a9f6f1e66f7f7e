"""Headers for whatever answer comes: middleware leaves them here, one wrapper puts them on.

A wrapper around `send` in each middleware would cost each of them on every event of a stream.
"""

from collections.abc import Iterable

from starlette.types import Message, Scope

Header = tuple[bytes, bytes]
"""A name in lower case and a value."""

ANSWER_STARTS = frozenset(
    {"http.response.start", "websocket.accept", "websocket.http.response.start"}
)
_KEY = "answer_headers"


def leave_headers(scope: Scope, headers: Iterable[Header]) -> None:
    """Asks for headers on the answer to this request, unless the answer has its own by the name."""
    scope.setdefault("state", {}).setdefault(_KEY, []).extend(headers)


def put_headers_on(message: Message, scope: Scope) -> None:
    """Gives the start of an answer the headers that were left."""
    own = message.get("headers", ())
    names = {name for name, _ in own}
    left: list[Header] = scope["state"].get(_KEY, [])
    message["headers"] = [*own, *(header for header in left if header[0] not in names)]
