"""How events look on the wire: server-sent events, and the JSON objects of a WebSocket."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from persistence.event_batches import StoredEvent, encode_data

HEARTBEAT = b": heartbeat\n\n"
UNNUMBERED = 0
"""The number of an event that is not the run's but the reader's: it cannot be asked for again."""


async def frames(feed: AsyncGenerator[Sequence[StoredEvent], None]) -> AsyncGenerator[bytes, None]:
    """Passes a feed on as server-sent events, as many as there are in one piece."""
    async with aclosing(feed):
        async for events in feed:
            yield frame(events)


def frame(events: Sequence[StoredEvent]) -> bytes:
    """Events in one piece; none are a comment."""
    if not events:
        return HEARTBEAT
    return b"".join(
        [
            b"id: %d\nevent: %b\ndata: %b\n\n" % (number, name.encode(), data)
            if number != UNNUMBERED
            else b"event: %b\ndata: %b\n\n" % (name.encode(), data)
            for number, name, data in events
        ]
    )


def message(event: StoredEvent) -> str:
    """One object: the data's fields beside `type` and `id`; data that is none goes by the type."""
    number, name, data = event
    head = {"type": name, "id": number} if number != UNNUMBERED else {"type": name}
    fields = data[1:] if data.startswith(b"{") else b"%b:%b}" % (encode_data(name), data)
    joint = b"" if fields == b"}" else b","
    return (encode_data(head)[:-1] + joint + fields).decode()
