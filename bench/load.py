"""The load generator: opens streams, notes when which bytes came, and reads them when all is over.

It runs in a process of its own (`python -m bench.load`), takes one JSON command a line and answers
each with one JSON line, so that nothing it does lands on the clock of what it measures.
"""

import asyncio
import json
import sys
import time
import uuid
from dataclasses import asdict, dataclass

import uvloop

from bench.stream_reader import LAST_CHUNK, Answer, read_answer

ANSWER_TIMEOUT_SECONDS = 90
CONNECT_TIMEOUT_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Wave:
    """One command: `streams` at once, each asking `turns` times, one question after the other."""

    port: int
    path: str
    headers: dict[str, str]
    body: str
    """The request's JSON; `$SESSION` in it becomes a name of its own for each request."""
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


class StreamConnection(asyncio.Protocol):
    """One keep-alive connection that notes what it receives and leaves the reading for later."""

    def __init__(self) -> None:
        self.reads: list[tuple[float, bytes]] = []
        self._tail = b""
        self._ended: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.reads.append((time.monotonic(), data))
        self._tail = (self._tail + data)[-len(LAST_CHUNK) :]
        # An answer of a known length is a refusal here: it fits one or two reads and no more comes.
        plain = b"\r\ncontent-length:" in self.reads[0][1].lower()
        if self._tail == LAST_CHUNK or plain:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    async def ask(self, request: bytes) -> tuple[float, list[tuple[float, bytes]]]:
        """Sends one request; gives the time it left at and all that came back."""
        self.reads, self._tail = [], b""
        self._ended = asyncio.get_running_loop().create_future()
        sent_at = time.monotonic()
        if self.transport.is_closing():
            return sent_at, []
        self.transport.write(request)
        await asyncio.wait_for(self._ended, ANSWER_TIMEOUT_SECONDS)
        return sent_at, self.reads


async def run_wave(wave: Wave) -> WaveResult:
    """Runs one wave over connections that stand before the clock starts."""
    loop = asyncio.get_running_loop()
    connections = []
    for _ in range(wave.streams):
        opening = loop.create_connection(StreamConnection, "127.0.0.1", wave.port)
        connections.append((await asyncio.wait_for(opening, CONNECT_TIMEOUT_SECONDS))[1])
    started = time.monotonic()
    asked = await asyncio.gather(*(_ask_in_turn(wave, one) for one in connections))
    wall = time.monotonic() - started
    for connection in connections:
        connection.transport.abort()
    return _sum_up([answer for answers in asked for answer in answers], wall)


async def _ask_in_turn(wave: Wave, connection: StreamConnection) -> list[Answer]:
    raw = []
    for turn in range(wave.turns):
        if turn and wave.gap_seconds:
            await asyncio.sleep(wave.gap_seconds)
        try:
            raw.append(await connection.ask(_request(wave)))
        except TimeoutError:
            connection.transport.abort()
            raw.append((0.0, []))
    return [Answer(sent_at=sent_at, reads=reads) for sent_at, reads in raw]


def _request(wave: Wave) -> bytes:
    body = wave.body.replace("$SESSION", uuid.uuid4().hex).encode()
    headers = {
        "Host": f"127.0.0.1:{wave.port}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **wave.headers,
    }
    lines = [f"POST {wave.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


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
