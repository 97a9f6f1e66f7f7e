"""Reads a streamed answer after the fact: which token was there at which moment."""

import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.stamp import lags_ms

LAST_CHUNK = b"0\r\n\r\n"
SOCKET_ENDS = (b'{"type":"done"', b'{"type":"error"')
"""With which the last message over a WebSocket begins."""
LENGTH_IN_TWO_BYTES, LENGTH_IN_EIGHT_BYTES = 126, 127
SHOWN_CHARS = 200


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The bytes of one answer as they came, each read with its moment."""

    sent_at: float
    reads: list[tuple[float, bytes]]


@dataclass(kw_only=True)
class Reading:
    """What one answer held."""

    lags_ms: list[float] = field(default_factory=list)
    """One entry a token: how old it was when it came."""
    first_token_ms: float | None = None
    error: str | None = None


def read_answer(answer: Answer) -> Reading:
    """Reads Ollama's NDJSON, server-sent events and the messages of a WebSocket alike."""
    raw = b"".join(data for _, data in answer.reads)
    head, _, body = raw.partition(b"\r\n\r\n")
    over_socket = head.startswith(b"HTTP/1.1 101")
    if not over_socket and not head.startswith(b"HTTP/1.1 200"):
        shown = (head.split(b"\r\n", 1)[0] + b" " + body)[:SHOWN_CHARS]
        return Reading(error=shown.decode(errors="replace") or "no answer")
    if not (any(end in body for end in SOCKET_ENDS) if over_socket else raw.endswith(LAST_CHUNK)):
        return Reading(error="the answer was cut off")
    reading = Reading()
    read_lines = _messages if over_socket else _lines
    for received_at, line in read_lines(body, _moments(answer, len(head) + 4)):
        _take_line(line, received_at, answer.sent_at, reading)
    if not reading.lags_ms and reading.error is None:
        reading.error = f"no token in {body[:SHOWN_CHARS]!r}"
    return reading


def are_frames_whole(reads: list[tuple[float, bytes]]) -> bool:
    """Whether what came over a WebSocket, its handshake first, ends with the end of a frame."""
    body = b"".join(data for _, data in reads).partition(b"\r\n\r\n")[2]
    return max((end for end, _ in _frames(body)), default=0) == len(body)


def _take_line(line: bytes, received_at: float, sent_at: float, reading: Reading) -> None:
    value = json.loads(line.removeprefix(b"data:")) if line.startswith((b"data:", b"{")) else None
    if not isinstance(value, dict):
        return
    text = value.get("text") or value.get("message", "")
    if isinstance(text, dict):
        text = text.get("content", "")
    status = value.get("metadata", {}).get("status", "success")
    if "code" in value or "error" in value or status != "success":
        reading.error = reading.error or str(value)[:SHOWN_CHARS]
    elif text:
        lags = lags_ms(text, received_at)
        if lags and reading.first_token_ms is None:
            reading.first_token_ms = (received_at - sent_at) * 1000
        reading.lags_ms.extend(lags)


@dataclass(frozen=True, kw_only=True)
class _Moments:
    """When the byte at an offset of the body was there."""

    ends: list[int]
    times: list[float]

    def at(self, offset: int) -> float:
        return self.times[bisect_left(self.ends, offset)]


def _moments(answer: Answer, head_bytes: int) -> _Moments:
    ends, times, total = [], [], -head_bytes
    for received_at, data in answer.reads:
        total += len(data)
        ends.append(total)
        times.append(received_at)
    return _Moments(ends=ends, times=times)


def _lines(body: bytes, moments: _Moments) -> Iterator[tuple[float, bytes]]:
    """The lines inside the chunks of a chunked body, each with the moment it was whole."""
    position, rest = 0, b""
    while True:
        size_end = body.index(b"\r\n", position)
        size = int(body[position:size_end].split(b";")[0], 16)
        if not size:
            return
        position = size_end + 2 + size + 2
        *lines, rest = (rest + body[size_end + 2 : position - 2]).split(b"\n")
        received_at = moments.at(position - 2)
        for line in lines:
            yield received_at, line.rstrip(b"\r")


def _messages(body: bytes, moments: _Moments) -> Iterator[tuple[float, bytes]]:
    """What the frames of a WebSocket hold, each with the moment it was whole."""
    for end, payload in _frames(body):
        yield moments.at(end), payload


def _frames(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The whole frames of a server, which masks none (RFC 6455, 5.2), and where each ends."""
    position = 0
    while position + 2 <= len(body):
        size, begin = body[position + 1], position + 2
        if size >= LENGTH_IN_TWO_BYTES:
            width = 8 if size == LENGTH_IN_EIGHT_BYTES else 2
            size, begin = int.from_bytes(body[begin : begin + width], "big"), begin + width
        position = begin + size
        if position > len(body):
            return
        yield position, body[begin:position]
