"""The load generator: opens streams, notes when which bytes came, and reads them when all is over.

It runs in a process of its own (`python -m bench.load`), takes one JSON command a line and answers
each with one JSON line, so that nothing it does lands on the clock of what it measures.
"""

import asyncio
import base64
import json
import os
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

import uvloop

from bench.connections import Connection, SocketConnection, StreamConnection
from bench.stream_reader import Answer, read_answer

CONNECT_TIMEOUT_SECONDS = 5

C = TypeVar("C", bound=Connection)


@dataclass(frozen=True, kw_only=True)
class Wave:
    """One command: `streams` at once, each asking `turns` times, one question after the other."""

    ports: list[int]
    """Those that the streams go to by turns."""
    path: str
    headers: dict[str, str]
    body: str
    """The request's JSON; `$SESSION` in it and in the path becomes a name of its own each time."""
    socket: bool = False
    """Whether the body is a message over a WebSocket, of which each question has one of its own."""
    streams: int
    turns: int = 1
    gap_seconds: float = 0.0
    """The rest before each question but the first."""


@dataclass(frozen=True, kw_only=True)
class WaveResult:
    """What came back from one wave, over all its streams."""

    requests: int
    tokens: int
    wall_seconds: float
    first_token_ms: list[float]
    lag_ms: list[float]
    errors: list[str]


async def run_wave(wave: Wave) -> WaveResult:
    """Runs one wave over connections that stand before the clock starts."""
    if wave.socket:
        return await _run(wave, _open_socket, _ask_over_sockets)
    return await _run(wave, _open_stream, _ask_in_turn)


async def _run(
    wave: Wave,
    open_one: Callable[[Wave, int], Awaitable[C]],
    ask: Callable[[Wave, int, C], Awaitable[list[Answer]]],
) -> WaveResult:
    places = [wave.ports[number % len(wave.ports)] for number in range(wave.streams)]
    connections = [await open_one(wave, port) for port in places]
    started = time.monotonic()
    asked = await asyncio.gather(
        *(ask(wave, port, one) for port, one in zip(places, connections, strict=True))
    )
    wall = time.monotonic() - started
    for connection in connections:
        connection.transport.abort()
    return _sum_up([answer for answers in asked for answer in answers], wall)


async def _ask_in_turn(wave: Wave, port: int, connection: StreamConnection) -> list[Answer]:
    answers = []
    for turn in range(wave.turns):
        if turn and wave.gap_seconds:
            await asyncio.sleep(wave.gap_seconds)
        answers.append(await _ask(connection, _request(wave, port)))
    return answers


async def _ask_over_sockets(wave: Wave, port: int, connection: SocketConnection) -> list[Answer]:
    # A socket is one session's: asked again there, the answers would have a history to read.
    answers = []
    for turn in range(wave.turns):
        if turn:
            await asyncio.sleep(wave.gap_seconds)
            connection = await _open_socket(wave, port)
        answers.append(await _ask(connection, wave.body.encode()))
        connection.leave()
    return answers


async def _ask(connection: StreamConnection | SocketConnection, asked: bytes) -> Answer:
    try:
        sent_at, reads = await connection.ask(asked)
    except TimeoutError:
        connection.transport.abort()
        sent_at, reads = 0.0, []
    return Answer(sent_at=sent_at, reads=reads)


async def _open_stream(_: Wave, port: int) -> StreamConnection:
    return await _connect(StreamConnection, port)


async def _open_socket(wave: Wave, port: int) -> SocketConnection:
    connection = await _connect(SocketConnection, port)
    headers = {
        "Host": f"127.0.0.1:{port}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        **wave.headers,
    }
    path = wave.path.replace("$SESSION", uuid.uuid4().hex)
    await connection.shake_hands(_head(f"GET {path}", headers))
    return connection


async def _connect(kind: type[C], port: int) -> C:
    opening = asyncio.get_running_loop().create_connection(kind, "127.0.0.1", port)
    return (await asyncio.wait_for(opening, CONNECT_TIMEOUT_SECONDS))[1]


def _request(wave: Wave, port: int) -> bytes:
    body = wave.body.replace("$SESSION", uuid.uuid4().hex).encode()
    headers = {
        "Host": f"127.0.0.1:{port}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **wave.headers,
    }
    return _head(f"POST {wave.path}", headers) + body


def _head(asked: str, headers: dict[str, str]) -> bytes:
    lines = [f"{asked} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def _sum_up(answers: list[Answer], wall_seconds: float) -> WaveResult:
    readings = [read_answer(answer) for answer in answers]
    lags = [lag for reading in readings for lag in reading.lags_ms]
    return WaveResult(
        requests=len(readings),
        tokens=len(lags),
        wall_seconds=wall_seconds,
        first_token_ms=[one.first_token_ms for one in readings if one.first_token_ms is not None],
        lag_ms=lags,
        errors=[one.error for one in readings if one.error],
    )


async def obey() -> None:
    """Reads commands until the input ends."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        result = await run_wave(Wave(**json.loads(line)))
        sys.stdout.write(json.dumps(asdict(result)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(obey())
