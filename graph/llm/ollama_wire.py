"""Reads Ollama's streamed answers from the wire, many lines at a time.

The `ollama` client costs about 30 µs a token before LangChain sees it; this costs three. One HTTP
session serves all models and runs of the process.
"""

import asyncio
import http
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from graph.errors import ModelError, ModelUnavailable

COALESCE_SECONDS = 0.01
"""How long the lines of one stream may wait for each other while many streams are read."""
BUSY_STREAMS = 8
"""From this many streams on, fewer and larger pieces matter more than a few milliseconds."""
CHAT_PATH = "api/chat"
SHOW_PATH = "api/show"
VERSION_PATH = "api/version"
QUOTED_ERROR_CHARS = 300

_UNAVAILABLE_STATUSES = frozenset({502, 503, 504})


@dataclass(frozen=True, kw_only=True)
class AnswerTimeouts:
    """How long an answer may be awaited."""

    connect_seconds: float
    first_seconds: float
    """For the first line, while the model is loaded and reads its prompt."""
    next_seconds: float
    """Between two lines."""


class OllamaWire:
    """The connection to one Ollama server; `open_ollama_wire` opens and closes it."""

    def __init__(self, session: aiohttp.ClientSession, timeouts: AnswerTimeouts) -> None:
        self._session = session
        self._timeouts = timeouts
        self._streams = 0

    async def stream_chat(self, payload: Mapping[str, Any]) -> AsyncIterator[list[dict[str, Any]]]:
        """Post one chat request and yield its lines, those that arrived together in one list.

        Raises:
            ModelUnavailable: The server cannot be reached, breaks off or keeps silent.
            ModelError: The server refuses the request or reports an error.
        """
        done = False
        with self._counted(), _mapped_errors():
            async with await self._post(orjson.dumps(payload)) as response:
                if response.status != http.HTTPStatus.OK:
                    raise _refusal(response.status, await response.read())
                # Reading on to the end of the response lets its connection be used again.
                async for lines in self._read_lines(response.content):
                    if (error := lines[-1].get("error")) is not None:
                        yield lines[:-1]
                        raise ModelError(_quoted("the model's server reported", error))
                    yield lines
                    done = lines[-1].get("done", False)
        if not done:
            raise ModelUnavailable("the model's server broke off before the answer was complete")

    async def ping(self) -> None:
        """Ask whether the server is there; raises `ModelError` when it is not."""
        with _mapped_errors():
            async with (
                asyncio.timeout(self._timeouts.connect_seconds),
                self._session.get(VERSION_PATH) as response,
            ):
                if response.status != http.HTTPStatus.OK:
                    raise _refusal(response.status, await response.read())

    async def read_capabilities(self, model: str) -> frozenset[str] | None:
        """What the model can do, in Ollama's words; None when the server does not tell.

        Raises:
            ModelUnavailable: The server cannot be reached or keeps silent.
            ModelError: The server does not know the model.
        """
        with _mapped_errors():
            async with (
                asyncio.timeout(self._timeouts.connect_seconds),
                self._session.post(SHOW_PATH, data=orjson.dumps({"model": model})) as response,
            ):
                body = await response.read()
                if response.status != http.HTTPStatus.OK:
                    raise _refusal(response.status, body)
        capabilities = _parse(body).get("capabilities")
        return frozenset(map(str, capabilities)) if isinstance(capabilities, list) else None

    async def _post(self, body: bytes) -> aiohttp.ClientResponse:
        async with asyncio.timeout(self._timeouts.first_seconds):
            try:
                return await self._session.post(CHAT_PATH, data=body)
            except aiohttp.ServerDisconnectedError:
                # An idle connection was closed in the moment in which it was taken up again.
                return await self._session.post(CHAT_PATH, data=body)

    async def _read_lines(
        self, content: aiohttp.StreamReader
    ) -> AsyncIterator[list[dict[str, Any]]]:
        now = asyncio.get_running_loop().time
        patience = self._timeouts.first_seconds
        told_at = -COALESCE_SECONDS
        rest = b""
        while True:
            early = told_at + COALESCE_SECONDS - now()
            if early > 0 and self._streams >= BUSY_STREAMS:
                await asyncio.sleep(early)
            async with asyncio.timeout(patience):
                block = await content.readany()
            # The end of the response also ends its last line.
            *ended, rest = (rest + (block or b"\n")).split(b"\n")
            lines = [_parse(line) for line in ended if line]
            if lines:
                yield lines
                told_at = now()
                patience = self._timeouts.next_seconds
            if not block:
                return

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1


@asynccontextmanager
async def open_ollama_wire(
    base_url: str, *, api_key: str | None, timeouts: AnswerTimeouts
) -> AsyncIterator[OllamaWire]:
    """Keep a pool of connections to one server."""
    headers = {"Content-Type": "application/json"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    async with aiohttp.ClientSession(
        base_url,
        headers=headers,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield OllamaWire(session, timeouts)


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except TimeoutError as exc:
        raise ModelUnavailable("the model's server kept silent for too long") from exc
    except (aiohttp.ClientError, OSError) as exc:
        reason = type(exc).__name__
        raise ModelUnavailable(f"the model's server cannot be reached ({reason})") from exc


def _parse(line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        raise ModelError("the model's server sent a line that is not JSON") from exc
    if not isinstance(value, dict):
        raise ModelError("the model's server sent a line that is not a JSON object")
    return value


def _refusal(status: int, body: bytes) -> ModelError:
    kind = ModelUnavailable if status in _UNAVAILABLE_STATUSES else ModelError
    try:
        reason = orjson.loads(body)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        reason = "no reason"
    return kind(_quoted(f"the model's server refused the request with {status} and", reason))


def _quoted(what: str, reason: object) -> str:
    return f"{what} {str(reason)[:QUOTED_ERROR_CHARS]!r}"
