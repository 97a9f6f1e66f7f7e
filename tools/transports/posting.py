"""Requests to a server's one address, and what can be said of an answer before it is read."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

import httpx

from tools.errors import CallRejected, RequestRefused, ServerUnavailable

JSON, EVENTS = "application/json", "text/event-stream"
MAX_REDIRECTS = 5

_PERHAPS_THE_SESSION = frozenset({400, 401, 403, 404, 410})
"""Statuses that may be about more than the one request: servers tell in each of these ways that
they do not know a session, or whoever has it, any more."""
_NOT_NOW = frozenset({408, 425, 429})
"""Statuses that are about the moment, and not about what was asked."""
_SESSION_ID_MAX_CHARS = 1_024
_NOTHING: Mapping[str, str] = {}

Send: TypeAlias = Callable[[httpx.AsyncClient, httpx.Request], Awaitable[httpx.Response]]
"""Sends a request and reads the head of the answer."""


async def send_plainly(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Send a request as it is."""
    return await client.send(request, stream=True)


class Endpoint:
    """Where all requests of a session go to."""

    def __init__(self, client: httpx.AsyncClient, url: str, *, send: Send) -> None:
        self._client = client
        self._url = url
        self._send = send
        self.session_id = ""
        """What the server calls the session; empty where it calls it nothing."""
        self.version = ""
        """Of the protocol, as far as it is agreed."""

    @asynccontextmanager
    async def respond(
        self,
        method: str,
        *,
        content: bytes | None = None,
        last_id: str = "",
        more: Mapping[str, str] = _NOTHING,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request, also to where the server moved it within its own origin."""
        headers = {"Accept": f"{JSON}, {EVENTS}" if content else EVENTS, **more}
        if content is not None:
            headers["Content-Type"] = JSON
        given = {
            "Mcp-Session-Id": self.session_id,
            "Mcp-Protocol-Version": self.version,
            "Last-Event-Id": last_id,
        }
        headers |= {name: value for name, value in given.items() if value}
        request = self._client.build_request(method, self._url, content=content, headers=headers)
        if content is not None:
            # An answer may be long in coming: a person may be asked meanwhile, for instance. The
            # call has a time limit of its own.
            request.extensions["timeout"] = {**request.extensions["timeout"], "read": None}
        for _ in range(MAX_REDIRECTS):
            response = await self._send(self._client, request)
            if (moved := _moved(response)) is None:
                break
            await response.aclose()
            request = moved
            # For as long as the session lasts: each way round costs a request and a connection.
            self._url = str(moved.url)
        try:
            yield response
        finally:
            await response.aclose()


def require_answer(response: httpx.Response, *, begins: bool) -> None:
    """Raise what it means that a request was not taken; one that begins a session is nobody's."""
    status = response.status_code
    said = f"it answered with HTTP status {status}"
    if status in _PERHAPS_THE_SESSION:
        raise RequestRefused(said)
    if response.is_client_error and status not in _NOT_NOW and not begins:
        raise CallRejected(said)
    if not response.is_success:
        raise ServerUnavailable(said)
    if status == httpx.codes.ACCEPTED:
        raise CallRejected("it took the request and sent no answer")
    # What is packed cannot be measured before it is unpacked.
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise CallRejected("its answer is packed, which was not asked for")


def has_type(response: httpx.Response, kind: str) -> bool:
    """Whether what comes is of this type, whatever else is said of it."""
    given: str = response.headers.get("Content-Type", "")
    return given.partition(";")[0].strip().lower() == kind


def session_id_of(response: httpx.Response) -> str:
    """Return what the server calls the session that it begins.

    Raises:
        CallRejected: It cannot be sent back.
    """
    given: str = response.headers.get("Mcp-Session-Id", "")
    if len(given) > _SESSION_ID_MAX_CHARS or not given.isascii() or not given.isprintable():
        raise CallRejected("the id of its session is none")
    return given


def _moved(response: httpx.Response) -> httpx.Request | None:
    """Return the same request to where the server moved it; None if it has to go nowhere else.

    What is in it is for that server alone. Of a POST most redirects make a GET without a message.
    """
    following, sent = response.next_request, response.request
    if following is None or following.method != sent.method:
        return None
    if following.url.userinfo not in (b"", sent.url.userinfo):
        return None
    return following if _is_at_home(following.url, sent.url) else None


def _is_at_home(place: httpx.URL, home: httpx.URL) -> bool:
    if (place.scheme, place.host, place.port) == (home.scheme, home.host, home.port):
        return True
    # To the same over TLS.
    plain, safe = (home.scheme, home.port), (place.scheme, place.port)
    return place.host == home.host and plain == ("http", None) and safe == ("https", None)
