"""A server behind a URL, over streamable HTTP."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import httpx
from mcp import types

from tools.authorization.bearer import Bearer
from tools.config import HttpServer
from tools.errors import AuthorizationNeeded, ServerUnavailable
from tools.origins import is_loopback
from tools.transports import Observer, Streams
from tools.transports.exchange import MAX_CALLS, open_exchange
from tools.transports.posting import Endpoint, send_plainly
from tools.wire import IDENTITY_HEADER, IDENTITY_META_KEY

CONNECT_TIMEOUT_SECONDS = 10
WRITE_TIMEOUT_SECONDS = 30
IDLE_TIMEOUT_SECONDS = 300
IDENTITY_HEADER_MAX_CHARS = 4_096
"""A longer token is in the call alone: servers take so much of headers and no more."""

_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class HttpTransport:
    """Speaks to one endpoint with one client, whose connections are kept alive."""

    config: HttpServer
    bearer: Bearer | None = None
    """Whose tokens are sent, where people authorize."""
    kind: Literal["http"] = "http"

    def has_ended(self) -> bool:
        """Never known beforehand."""
        return False

    @asynccontextmanager
    async def open(self, observer: Observer) -> AsyncIterator[Streams]:
        """Open the client; the first request is the session's."""
        given = {name: value.get_secret_value() for name, value in self.config.headers.items()}
        # What is packed cannot be measured before it is unpacked.
        headers = {"Accept-Encoding": "identity", **given}
        url = str(self.config.url)
        send = send_plainly if self.bearer is None else self.bearer.send
        headers_for = _show_nothing if self.config.identity is None else _show_identity
        async with (
            httpx.AsyncClient(
                headers=headers,
                timeout=httpx.Timeout(
                    connect=CONNECT_TIMEOUT_SECONDS,
                    write=WRITE_TIMEOUT_SECONDS,
                    read=IDLE_TIMEOUT_SECONDS,
                    pool=None,
                ),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=MAX_CALLS),
                verify=await _tls_context(url),
                trust_env=not is_loopback(self.config.url.host or ""),
            ) as client,
            open_exchange(
                Endpoint(client, url, send=send), observer, headers_for=headers_for
            ) as streams,
        ):
            yield streams

    def explain(self, error: BaseException) -> str:
        """Name what failed; an HTTP client's own message quotes the URL, which may hold a key."""
        if isinstance(error, AuthorizationNeeded | ServerUnavailable):
            return str(error)
        return "no MCP server answers at its address"


def _show_identity(request: types.JSONRPCRequest) -> Mapping[str, str]:
    """Say in a header, too, who is asking: there are servers that look no further."""
    identity = ((request.params or {}).get("_meta") or {}).get(IDENTITY_META_KEY, "")
    if 0 < len(identity) <= IDENTITY_HEADER_MAX_CHARS:
        return {IDENTITY_HEADER: identity}
    return _NOTHING


def _show_nothing(request: types.JSONRPCRequest) -> Mapping[str, str]:
    return _NOTHING


async def _tls_context(url: str) -> ssl.SSLContext:
    # Reading the certificate bundle takes tens of milliseconds. A context that trusts nobody is
    # enough for plain HTTP, and safe should a redirect lead to TLS.
    if url.startswith("https:"):
        return await asyncio.to_thread(httpx.create_ssl_context)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
