"""One request of a client, answered by the SDK's server in memory.

The SDK's own HTTP transport would do the same with event streams that look twice a second whether
the server stops, and several tasks for each request.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage
from mcp.types import (
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    JSONRPCResponse,
)

_TAKEN_BACK = 0
"""The code by which the SDK's servers answer what was cancelled."""


class Conversation:
    """A request and all that the server says to it; the answer is the last of that."""

    def __init__(self, server: Server[Any, Any], request: JSONRPCRequest) -> None:
        self._server = server
        self._request = request
        self._is_taken_back = asyncio.Event()

    def cancel(self) -> None:
        """Takes the request back: the server stops, and the answer is that it was cancelled."""
        # The SDK's server is not told: it does not hear it before it has begun with the request.
        self._is_taken_back.set()

    async def messages(
        self, *, heartbeat_seconds: float | None = None
    ) -> AsyncGenerator[JSONRPCMessage | None, None]:
        """Yields what the server says, and None after so long in silence.

        Whoever stops reading ends what the server does.
        """
        to_server, said = anyio.create_memory_object_stream[SessionMessage | Exception](1)
        to_client, heard = anyio.create_memory_object_stream[SessionMessage](0)
        options = self._server.create_initialization_options()
        serving = asyncio.create_task(self._server.run(said, to_client, options, stateless=True))
        taken_back: asyncio.Future[Any] = asyncio.create_task(self._is_taken_back.wait())
        to_server.send_nowait(SessionMessage(JSONRPCMessage(self._request)))
        receiving: asyncio.Future[Any] | None = None
        try:
            while True:
                receiving = receiving or asyncio.ensure_future(heard.receive())
                await asyncio.wait(
                    {receiving, taken_back},
                    timeout=heartbeat_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if taken_back.done():
                    yield self._failure(_TAKEN_BACK, "Request cancelled")
                    return
                if not receiving.done():
                    yield None
                    continue
                try:
                    message = receiving.result().message
                except anyio.EndOfStream:
                    yield self._failure()
                    return
                receiving = None
                yield message
                if isinstance(message.root, JSONRPCResponse | JSONRPCError):
                    return
        finally:
            stopping = [serving, taken_back, *([] if receiving is None else [receiving])]
            for task in stopping:
                task.cancel()
            await asyncio.gather(*stopping, return_exceptions=True)
            for stream in (to_server, said, to_client, heard):
                stream.close()

    async def answer(self) -> JSONRPCMessage:
        """The last thing that the server says."""
        last = self._failure()
        async for message in self.messages():
            last = message or last
        return last

    def _failure(
        self, code: int = INTERNAL_ERROR, text: str = "The call could not be answered."
    ) -> JSONRPCMessage:
        """What is answered where the server has no answer."""
        error = ErrorData(code=code, message=text)
        return JSONRPCMessage(JSONRPCError(jsonrpc="2.0", id=self._request.id, error=error))
