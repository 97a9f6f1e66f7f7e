"""Messages over HTTP, and how much of what a server sends is listened to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from mcp import types
from mcp.shared.message import SessionMessage

from tools.errors import CallRejected, ToolsError
from tools.transports import Observer, Streams
from tools.transports.exchange import open_exchange
from tools.transports.posting import EVENTS, Endpoint, send_plainly

PIECE = 64 * 1024
ROUNDS = 50
WAIT_SECONDS = 30

_JSON = {"Content-Type": "application/json"}
_STARTED = "notifications/initialized"


class Flood(httpx.AsyncByteStream):
    """Sends the same for ever."""

    def __init__(self, piece: bytes) -> None:
        self.taken = 0
        self._piece = piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            self.taken += 1
            yield self._piece


def headers_for(request: types.JSONRPCRequest) -> Mapping[str, str]:
    return {"X-Method": request.method}


class Opened:
    """An exchange with a server made by hand."""

    def __init__(self, streams: Streams, dropped: "asyncio.Queue[ToolsError]") -> None:
        self.dropped = dropped
        self._received, self._sent = streams

    async def begin(self) -> None:
        await self.ask("initialize")
        await self._received.receive()
        await self._send(types.JSONRPCNotification(jsonrpc="2.0", method=_STARTED))

    async def ask(self, method: str, number: int = 1) -> None:
        await self._send(types.JSONRPCRequest(jsonrpc="2.0", id=number, method=method))

    async def _send(self, message: Any) -> None:
        await self._sent.send(SessionMessage(types.JSONRPCMessage(message)))


@asynccontextmanager
async def exchange_with(
    answer: Callable[[httpx.Request], httpx.Response],
) -> AsyncIterator[Opened]:
    dropped: asyncio.Queue[ToolsError] = asyncio.Queue()
    observer = Observer(suspect=lambda: None, drop=lambda number, error: dropped.put_nowait(error))

    def take(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.read() or b"{}")
        if asked.get("method") == "initialize":
            body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {}}).encode()
            headers = {**_JSON, "Mcp-Session-Id": "s"}
            return httpx.Response(200, stream=httpx.ByteStream(body), headers=headers)
        if asked.get("method") == _STARTED or request.method == "DELETE":
            return httpx.Response(202)
        return answer(request)

    async with (
        asyncio.timeout(WAIT_SECONDS),
        httpx.AsyncClient(transport=httpx.MockTransport(take)) as client,
    ):
        endpoint = Endpoint(client, "https://a.example/mcp", send=send_plainly)
        async with open_exchange(endpoint, observer, headers_for=headers_for) as streams:
            yield Opened(streams, dropped)


@pytest.mark.parametrize(
    "piece",
    [
        b"\n" * PIECE,
        b": \n" * (PIECE // 3),
        b"data:\n\n" * (PIECE // 7),
        b"data: [" + b"1," * 90_000 + b"1]\n\n",
    ],
    ids=["empty lines", "comments", "empty events", "many parts"],
)
async def test_what_takes_long_to_read_and_says_nothing_has_to_wait(piece: bytes) -> None:
    flood = Flood(piece)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Type": EVENTS}, stream=flood)

    async with exchange_with(answer) as opened:
        await opened.begin()
        while not flood.taken:
            await asyncio.sleep(0)
        for _ in range(2 * ROUNDS):
            await asyncio.sleep(0)

    assert 1 < flood.taken < ROUNDS


async def test_all_that_is_not_whole_is_bounded_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tools.transports.exchange.UNFINISHED_MAX_BYTES", 3 * PIECE)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(405)
        return httpx.Response(200, stream=Flood(b" " * PIECE), headers=_JSON)

    async with exchange_with(answer) as opened:
        await opened.begin()
        for number in range(2, 4):
            await opened.ask("tools/call", number)
        error = await opened.dropped.get()

    assert isinstance(error, CallRejected)
    assert "too much at once" in str(error)


async def test_what_is_to_be_said_of_a_request_is_in_its_headers_alone() -> None:
    seen: asyncio.Queue[httpx.Request] = asyncio.Queue()

    def answer(request: httpx.Request) -> httpx.Response:
        seen.put_nowait(request)
        return httpx.Response(405)

    async with exchange_with(answer) as opened:
        await opened.begin()
        listened = await seen.get()
        await opened.ask("tools/call", 2)
        asked = await seen.get()

    assert (listened.method, "X-Method" in listened.headers) == ("GET", False)
    assert asked.headers["X-Method"] == "tools/call"
