"""A server behind a URL, over streamable HTTP."""

import asyncio
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import httpx
from mcp.client.streamable_http import streamable_http_client

from tools.config import HttpServer
from tools.errors import AnswerTooLarge, CallRejected, ServerLost, ServerUnavailable, ToolsError
from tools.transports import MESSAGE_MAX_BYTES, Observer, Streams

CONNECT_TIMEOUT_SECONDS = 10
WRITE_TIMEOUT_SECONDS = 30
IDLE_TIMEOUT_SECONDS = 300
MAX_CONNECTIONS = 64
"""As many calls to one server are under way at once, less one for what it says by itself."""

_FOR_THE_SESSION = frozenset({401, 403, 404})
"""Statuses that are about more than the one request."""


@dataclass(frozen=True, kw_only=True)
class HttpTransport:
    """Speaks to one endpoint with one client, whose connections are kept alive."""

    config: HttpServer
    kind: Literal["http"] = "http"
    loses_messages: bool = True

    def has_ended(self) -> bool:
        """Never known beforehand."""
        return False

    @asynccontextmanager
    async def open(self, observer: Observer) -> AsyncIterator[Streams]:
        """Open the client; the first request is the session's."""

        async def watch(response: httpx.Response) -> None:
            _watch_answer(response, observer)

        given = {name: value.get_secret_value() for name, value in self.config.headers.items()}
        # What is packed cannot be measured before it is unpacked.
        headers = {"Accept-Encoding": "identity", **given}
        url = str(self.config.url)
        async with (
            httpx.AsyncClient(
                headers=headers,
                timeout=httpx.Timeout(
                    connect=CONNECT_TIMEOUT_SECONDS,
                    write=WRITE_TIMEOUT_SECONDS,
                    read=IDLE_TIMEOUT_SECONDS,
                    # A call that waits for a connection has a time limit of its own.
                    pool=None,
                ),
                limits=httpx.Limits(
                    max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS
                ),
                event_hooks={"response": [watch]},
                verify=await _tls_context(url),
                trust_env=not _is_loopback(self.config.url.host or ""),
            ) as client,
            streamable_http_client(url, http_client=client) as (read, write, _),
        ):
            yield read, write

    def explain(self, error: BaseException) -> str:
        """Name what failed; an HTTP client's own message quotes the URL, which may hold a key."""
        if isinstance(error, ServerUnavailable) and not isinstance(error, ServerLost):
            return str(error)
        if isinstance(error, httpx.HTTPStatusError):
            return f"it answered with HTTP status {error.response.status_code}"
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return "nothing answers at its address"
        if isinstance(error, httpx.TimeoutException):
            return "it did not answer in time"
        if isinstance(error, httpx.TransportError):
            return "the connection broke"
        return "no MCP server answers at its address"


def _watch_answer(response: httpx.Response, observer: Observer) -> None:
    """See to it that an answer that cannot be had fails its one request."""
    request = response.request
    if response.status_code >= 400 and response.status_code not in _FOR_THE_SESSION:
        if (number := _number_of(request)) is not None:
            status = response.status_code
            observer.drop(number, ServerUnavailable(f"it answered with HTTP status {status}"))
            # To the SDK's client this one is done; anything else would end it for all of them.
            response.status_code = httpx.codes.ACCEPTED
        return
    if isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _WatchedStream(response, response.stream, observer)


class _WatchedStream(httpx.AsyncByteStream):
    """The content of an answer, which ends when a message in it is too large.

    It also says when a stream of events ends before its reader was done. The SDK's client swallows
    that end: without this a call to a server that died hangs until its time limit.
    """

    def __init__(
        self, response: httpx.Response, inner: httpx.AsyncByteStream, observer: Observer
    ) -> None:
        self._inner = inner
        self._request = response.request
        self._packing = response.headers.get("content-encoding", "identity")
        self._is_events = response.headers.get("content-type", "").startswith("text/event-stream")
        self._observer = observer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._packing != "identity":
            raise self._drop(CallRejected("its answer is packed, which was not asked for"))
        size = 0
        try:
            async for chunk in self._inner:
                size = self._measure(size, chunk)
                if size > MESSAGE_MAX_BYTES:
                    raise self._drop(AnswerTooLarge(MESSAGE_MAX_BYTES))
                yield chunk
        except httpx.TransportError:
            self._suspect()
            raise
        self._suspect()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _measure(self, size: int, chunk: bytes) -> int:
        """The size of the message that has begun; events end with an empty line."""
        if self._is_events:
            end = max(chunk.rfind(b"\n\n"), chunk.rfind(b"\n\r\n"), chunk.rfind(b"\r\r"))
            if end >= 0:
                return len(chunk) - end
        return size + len(chunk)

    def _drop(self, error: ToolsError) -> ToolsError:
        if (number := _number_of(self._request)) is not None:
            self._observer.drop(number, error)
        return error

    def _suspect(self) -> None:
        if self._is_events:
            self._observer.suspect()


def _number_of(request: httpx.Request) -> int | None:
    """Return the number of the request that was posted; None for everything else."""
    # Where a redirect was followed, the request has no content that was kept, only this.
    if request.method != "POST" or not isinstance(request.stream, httpx.ByteStream):
        return None
    message = json.loads(b"".join(request.stream))
    return message.get("id") if "method" in message else None


async def _tls_context(url: str) -> ssl.SSLContext:
    # Reading the certificate bundle takes tens of milliseconds. A context that trusts nobody is
    # enough for plain HTTP, and safe should a redirect lead to TLS.
    if url.startswith("https:"):
        return await asyncio.to_thread(httpx.create_ssl_context)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _is_loopback(host: str) -> bool:
    """Whether a proxy from the environment has no business in between."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
