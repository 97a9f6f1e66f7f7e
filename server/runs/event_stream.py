"""A server-sent event answer that costs little and notices when its reader leaves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, get_args

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.runs.run import EventName

EVENTS_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The run's events; `done` is the last one.",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "object",
                    "required": ["event", "data"],
                    "properties": {
                        "id": {
                            "type": "string",
                            "description": "the run's sequence number; an `error` that says why "
                            "the stream breaks off has none",
                        },
                        "event": {"enum": list(get_args(EventName))},
                        "data": {"type": "string", "contentMediaType": "application/json"},
                    },
                }
            }
        },
    }
}
"""What such an answer is in the interface's description."""


class EventStream(Response):
    """Sends ready frames as they come.

    Starlette's own streaming answer opens a task group and a wake-up for each frame; this one
    sends a frame in one call, which is what the cost of a token is made of.
    """

    media_type = "text/event-stream"

    def __init__(
        self, frames: AsyncIterator[bytes], *, on_disconnect: Callable[[], None] | None = None
    ) -> None:
        """Args: on_disconnect: called once when the reader leaves before the end."""
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._frames = frames
        self._on_disconnect = on_disconnect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the frames end or the reader leaves."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(disconnected(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            elif self._on_disconnect is not None:
                self._on_disconnect()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        async for chunk in self._frames:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def disconnected(receive: Receive) -> None:
    """Waits until the client has left; what it still sends is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
