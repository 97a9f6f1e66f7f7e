"""The events of one run while it runs: written once, read by any number of streams."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar

import orjson

HEARTBEAT = b": heartbeat\n\n"

T = TypeVar("T")
StreamEvent = tuple[str, bytes]
"""What an event is called, and its data in JSON; no class, for there is one for each token."""


class RunStream:
    """An append-only list of events; an event's place in it is the run's sequence number.

    A reader that is slow holds nobody up: it finds all that it missed in one piece.
    """

    def __init__(self) -> None:
        self._events: list[StreamEvent] = []
        self._waiting: list[asyncio.Future[bool]] = []
        self._closed = False

    def append(self, event: str, data: Any) -> None:
        """Adds one event and wakes the readers."""
        self._events.append((event, orjson.dumps(data)))
        self._wake()

    def close(self) -> None:
        """Ends the stream for its readers, after what is in it."""
        self._closed = True
        self._wake()

    def frames(self, *, heartbeat_seconds: float, after: int = 0) -> AsyncGenerator[bytes, None]:
        """Yields what came after sequence number `after` as server-sent events.

        As many as there are at a time, in one piece; a comment whenever there was nothing so long.
        """
        return self._read(_frame, after, heartbeat_seconds)

    def messages(self, *, after: int = 0) -> AsyncGenerator[list[str], None]:
        """Yields what came after sequence number `after` as JSON objects with `type` and `id`.

        As many as there are at a time.
        """
        return self._read(_messages, after, None)

    async def _read(
        self,
        encode: Callable[[int, Sequence[StreamEvent]], T],
        after: int,
        heartbeat_seconds: float | None,
    ) -> AsyncGenerator[T, None]:
        position = after
        while True:
            if position < len(self._events):
                events = self._events[position:]
                position += len(events)
                yield encode(position - len(events) + 1, events)
            elif self._closed:
                return
            elif not await self._changed(heartbeat_seconds):
                yield encode(position + 1, ())

    async def _changed(self, timeout_seconds: float | None) -> bool:
        """Waits for news; False when there was none within the time."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        timer = None
        if timeout_seconds is not None:
            timer = loop.call_later(timeout_seconds, _settle, waiter, False)
        self._waiting.append(waiter)
        try:
            return await waiter
        finally:
            if timer is not None:
                timer.cancel()
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            _settle(waiter, True)


def _frame(first_id: int, events: Sequence[StreamEvent]) -> bytes:
    if not events:
        return HEARTBEAT
    return b"".join(
        [
            b"id: %d\nevent: %b\ndata: %b\n\n" % (number, event.encode(), data)
            for number, (event, data) in enumerate(events, first_id)
        ]
    )


def _messages(first_id: int, events: Sequence[StreamEvent]) -> list[str]:
    return [_message(number, *event) for number, event in enumerate(events, first_id)]


def _message(number: int, event: str, data: bytes) -> str:
    """One object: the data's fields beside the two; data that is no object goes by the type."""
    content = orjson.loads(data)
    fields = content if isinstance(content, dict) else {event: content}
    return orjson.dumps({"type": event, "id": number, **fields}).decode()


def _settle(waiter: asyncio.Future[bool], changed: bool) -> None:
    if not waiter.done():
        waiter.set_result(changed)
