"""What is open for an answer is closed, however little of it was sent."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from server.closing_stream import ClosingStream
from server.security.revocation import Watch
from server.security.streams import end_with

SCOPE = {"type": "http", "asgi": {"spec_version": "2.4"}}


class Held:
    """A stream with a watch over it."""

    def __init__(self, *pieces: bytes) -> None:
        self.watching = self.reading = True
        self._pieces = pieces
        self.watch = Watch(7, None, None, self._forget)

    def stream(self) -> AsyncGenerator[bytes, None]:
        return end_with(self.watch, self._read())

    def _forget(self, _: Watch) -> None:
        self.watching = False

    async def _read(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self._pieces:
                yield piece
        finally:
            self.reading = False


async def receive() -> Any:
    raise AssertionError("nothing is read")


async def test_an_answer_whose_reader_left_before_it_began_holds_nothing_open():
    held = Held(b"a", b"b")

    async def send(message: Any) -> None:
        raise OSError("gone")

    with pytest.raises(ClientDisconnect):
        await ClosingStream(held.stream(), headers={}, media_type="a/b")(SCOPE, receive, send)
    assert (held.watching, held.reading) == (False, False)


@pytest.mark.parametrize("pieces", [(), (b"a",), (b"a", b"b", b"c")])
async def test_an_answer_is_sent_whole(pieces: tuple[bytes, ...]):
    held, sent = Held(*pieces), b""

    async def send(message: Any) -> None:
        nonlocal sent
        sent += message.get("body", b"")

    await ClosingStream(held.stream(), headers={}, media_type="a/b")(SCOPE, receive, send)
    assert sent == b"".join(pieces)
    assert (held.watching, held.reading) == (False, False)
