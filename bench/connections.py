"""Connections that note what they receive, and when, and leave the reading for later."""

import asyncio
import os
import time
from abc import ABC, abstractmethod
from typing import cast

from bench.stream_reader import LAST_CHUNK, SOCKET_ENDS, are_frames_whole

ANSWER_TIMEOUT_SECONDS = 90
TEXT, CLOSE = 0x81, 0x88
"""The first bytes of frames that a client sends (RFC 6455, 5.2)."""
MASKED = 0x80
LENGTH_IN_TWO_BYTES = 126

Reads = list[tuple[float, bytes]]


class Connection(asyncio.Protocol, ABC):
    """One connection on which one thing at a time is sent and answered."""

    def __init__(self) -> None:
        self.reads: Reads = []
        self._tail = b""
        self._ended: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.reads.append((time.monotonic(), data))
        if self._is_whole(data):
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    @abstractmethod
    def _is_whole(self, data: bytes) -> bool: ...

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    async def _send(self, data: bytes) -> float:
        """Sends, waits until what comes back is whole, and gives the time at which it sent."""
        self._ended = asyncio.get_running_loop().create_future()
        sent_at = time.monotonic()
        if not self.transport.is_closing():
            self.transport.write(data)
            await asyncio.wait_for(self._ended, ANSWER_TIMEOUT_SECONDS)
        return sent_at


class StreamConnection(Connection):
    """Keeps alive: one request after the other, each answered by a stream."""

    async def ask(self, request: bytes) -> tuple[float, Reads]:
        """Sends one request; gives the time it left at and all that came back."""
        self.reads, self._tail = [], b""
        return await self._send(request), self.reads

    def _is_whole(self, data: bytes) -> bool:
        self._tail = (self._tail + data)[-len(LAST_CHUNK) :]
        # An answer of a known length is a refusal here: it fits one or two reads and no more comes.
        plain = b"\r\ncontent-length:" in self.reads[0][1].lower()
        return self._tail == LAST_CHUNK or plain


class SocketConnection(Connection):
    """A WebSocket for a single question; what the handshake said comes before the answer."""

    _is_open = False
    _end_seen = False

    async def shake_hands(self, request: bytes) -> None:
        """Opens the WebSocket, or leaves the refusal where the reading finds it."""
        await self._send(request)
        self._is_open = self.reads[:1] != [] and b" 101 " in self.reads[0][1][:16]
        self._tail = b""

    async def ask(self, message: bytes) -> tuple[float, Reads]:
        """Sends one text; gives the time it left at and all that came back since the beginning."""
        if not self._is_open:
            return time.monotonic(), self.reads
        return await self._send(client_frame(TEXT, message)), self.reads

    def leave(self) -> None:
        """Says goodbye, so that nobody takes it for a broken connection."""
        if not self.transport.is_closing():
            self.transport.write(client_frame(CLOSE, (1000).to_bytes(2, "big")))
            self.transport.close()

    def _is_whole(self, data: bytes) -> bool:
        tail, self._tail = self._tail + data, data[-max(map(len, SOCKET_ENDS)) :]
        if not self._is_open:
            return b"\r\n\r\n" in tail
        self._end_seen = self._end_seen or any(end in tail for end in SOCKET_ENDS)
        return self._end_seen and are_frames_whole(self.reads)


def client_frame(first: int, payload: bytes) -> bytes:
    """A frame as clients must send them: masked. The payload is less than 64 KiB."""
    mask = os.urandom(4)
    size = len(payload)
    short = size < LENGTH_IN_TWO_BYTES
    length = bytes([MASKED | size]) if short else bytes([MASKED | LENGTH_IN_TWO_BYTES])
    if not short:
        length += size.to_bytes(2, "big")
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return bytes([first]) + length + mask + masked
