"""An answer that is made while it is sent."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override


class ClosingStream(StreamingResponse):
    """Sends what comes; when the reader leaves, what is open for it is closed at once."""

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        *,
        headers: Mapping[str, str],
        media_type: str,
        status_code: int = 200,
    ) -> None:
        super().__init__(pieces, status_code, headers, media_type)
        self._pieces = pieces

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._pieces):
            # A stream that has not begun closes nothing of what it holds.
            first = await anext(self._pieces, b"")
            self.body_iterator = _continue(first, self._pieces)
            await super().__call__(scope, receive, send)


async def _continue(first: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for piece in pieces:
        yield piece
