"""A server behind a URL, over streamable HTTP."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import httpx
from mcp.client.streamable_http import streamable_http_client

from tools.config import HttpServer
from tools.transports import Streams

CONNECT_TIMEOUT_SECONDS = 10
WRITE_TIMEOUT_SECONDS = 30
IDLE_TIMEOUT_SECONDS = 300


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
    async def open(self, suspect: Callable[[], None]) -> AsyncIterator[Streams]:
        """Open the client; the first request is the session's."""

        async def watch(response: httpx.Response) -> None:
            kind = response.headers.get("content-type", "")
            if kind.startswith("text/event-stream") and isinstance(
                response.stream, httpx.AsyncByteStream
            ):
                response.stream = _WatchedStream(response.stream, suspect)

        headers = {name: value.get_secret_value() for name, value in self.config.headers.items()}
        url = str(self.config.url)
        async with (
            httpx.AsyncClient(
                headers=headers,
                timeout=httpx.Timeout(
                    CONNECT_TIMEOUT_SECONDS, write=WRITE_TIMEOUT_SECONDS, read=IDLE_TIMEOUT_SECONDS
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
        if isinstance(error, httpx.HTTPStatusError):
            return f"it answered with HTTP status {error.response.status_code}"
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return "nothing answers at its address"
        if isinstance(error, httpx.TimeoutException):
            return "it did not answer in time"
        if isinstance(error, httpx.TransportError):
            return "the connection broke"
        return "no MCP server answers at its address"


class _WatchedStream(httpx.AsyncByteStream):
    """A stream of events that says when it ends before its reader was done.

    The SDK's client swallows that end: without this a call to a server that died hangs until its
    time limit.
    """

    def __init__(self, inner: httpx.AsyncByteStream, suspect: Callable[[], None]) -> None:
        self._inner = inner
        self._suspect = suspect

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._inner:
                yield chunk
        except httpx.TransportError:
            self._suspect()
            raise
        self._suspect()

    async def aclose(self) -> None:
        await self._inner.aclose()


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
