"""The wire to an identity provider: bounded in time and in size."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import orjson

from server.errors import Unavailable, UpstreamFailed

ANSWER_MAX_BYTES = 512 * 1024
NOT_REACHABLE = "The identity provider is not reachable just now."
NOT_PROPER = "The identity provider did not answer properly."


class AnswerTooLarge(httpx2.TransportError):
    """The provider sends more than a document or a token can be."""


class BoundedTransport(httpx2.AsyncHTTPTransport):
    """Breaks off answers that do not end; what is compressed has no length, so it is refused."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends one request."""
        request.headers["Accept-Encoding"] = "identity"
        answer = await super().handle_async_request(request)
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            await answer.aclose()
            raise AnswerTooLarge("the answer is compressed", request=request)
        assert isinstance(answer.stream, httpx2.AsyncByteStream)  # noqa: S101 - narrows
        answer.stream = _Counted(answer.stream, request)
        return answer


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, request: httpx2.Request) -> None:
        self._stream = stream
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        taken = 0
        async for piece in self._stream:
            taken += len(piece)
            if taken > ANSWER_MAX_BYTES:
                raise AnswerTooLarge("the answer is too large", request=self._request)
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def provider_errors(timeout_seconds: float) -> AsyncGenerator[None]:
    """Bounds what is done inside in time, and raises the API's errors for the wire's.

    Raises:
        Unavailable: The provider is down, slow or overloaded.
        UpstreamFailed: It answers, but not as the protocol has it.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            yield
    except AnswerTooLarge as exc:
        raise UpstreamFailed(NOT_PROPER) from exc
    except httpx2.HTTPStatusError as exc:
        if exc.response.status_code >= 500 or exc.response.status_code == 429:
            raise Unavailable(NOT_REACHABLE) from exc
        raise UpstreamFailed(NOT_PROPER) from exc
    except (httpx2.TransportError, TimeoutError) as exc:
        raise Unavailable(NOT_REACHABLE) from exc
    except httpx2.HTTPError as exc:
        raise UpstreamFailed(NOT_PROPER) from exc


class ProviderConnection:
    """Opens connections to a provider and fetches the JSON documents that it publishes."""

    def __init__(self, *, timeout_seconds: float) -> None:
        """Args: timeout_seconds: how long one request may take, from the first byte to the last."""
        self.timeout_seconds = timeout_seconds
        self._tls: ssl.SSLContext | None = None

    def open_transport(self) -> BoundedTransport:
        """A transport for one client, which closes it.

        It asks no proxy of the environment, which could read what goes over it.
        """
        if self._tls is None:  # takes some ten milliseconds, so it is kept
            self._tls = httpx2.create_ssl_context()
        return BoundedTransport(verify=self._tls, trust_env=False)

    async def fetch(self, url: str) -> dict[str, Any]:
        """Gets a document; follows no redirect.

        Raises:
            Unavailable: The provider is down, slow or overloaded.
            UpstreamFailed: What it sends is no JSON object.
        """
        async with (
            provider_errors(self.timeout_seconds),
            httpx2.AsyncClient(transport=self.open_transport(), trust_env=False) as client,
        ):
            answer = await client.get(url, headers={"Accept": "application/json"})
            answer.raise_for_status()
        return read_object(answer.content)


def read_object(text: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        UpstreamFailed: It is none.
    """
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise UpstreamFailed(NOT_PROPER) from exc
    if not isinstance(document, dict):
        raise UpstreamFailed(NOT_PROPER)
    return document
