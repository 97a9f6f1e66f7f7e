"""The events of one run while it runs: written once, read by any number of streams."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson

HEARTBEAT = b": heartbeat\n\n"


class RunStream:
    """An append-only list of encoded server-sent events; `id` is the run's sequence number.

    A reader that is slow holds nobody up: it finds all that it missed in one piece.
    """

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._waiting: list[asyncio.Future[bool]] = []
        self._closed = False

    def append(self, event: str, data: Any) -> None:
        """Adds one event and wakes the readers."""
        frame = b"id: %d\nevent: %b\ndata: %b\n\n" % (
            len(self._frames) + 1,
            event.encode(),
            orjson.dumps(data),
        )
        self._frames.append(frame)
        self._wake()

    def close(self) -> None:
        """Ends the stream for its readers, after what is in it."""
        self._closed = True
        self._wake()

    async def frames(self, *, heartbeat_seconds: float, after: int = 0) -> AsyncIterator[bytes]:
        """Yields what came after sequence number `after`, as much as there is at a time."""
        position = after
        while True:
            if position < len(self._frames):
                chunk = b"".join(self._frames[position:])
                position = len(self._frames)
                yield chunk
            elif self._closed:
                return
            elif not await self._changed(heartbeat_seconds):
                yield HEARTBEAT

    async def _changed(self, timeout_seconds: float) -> bool:
        """Waits for news; False when there was none within the time."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(timeout_seconds, _settle, waiter, False)
        self._waiting.append(waiter)
        try:
            return await waiter
        finally:
            timer.cancel()
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            _settle(waiter, True)


def _settle(waiter: asyncio.Future[bool], changed: bool) -> None:
    if not waiter.done():
        waiter.set_result(changed)
