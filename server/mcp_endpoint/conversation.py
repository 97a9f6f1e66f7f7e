"""One request of a client, answered by the SDK's server in memory.

The SDK's own HTTP transport would do the same with event streams that look twice a second whether
the server stops, and several tasks for each request.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage
from mcp.types import (
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
)

_MESSAGES = 2
"""What a client says here at most: the request, and that it is taken back."""


class Conversation:
    """A request and all that the server says to it; the answer is the last of that."""

    def __init__(self, server: Server[Any, Any], request: JSONRPCRequest) -> None:
        self._server = server
        self._request = request
        self._to_server, self._said = anyio.create_memory_object_stream[SessionMessage | Exception](
            _MESSAGES
        )

    def cancel(self) -> None:
        """Takes the request back: the server stops, and answers that it was cancelled."""
        notification = JSONRPCNotification(
            jsonrpc="2.0",
            method="notifications/cancelled",
            params={"requestId": self._request.id},
        )
        with suppress(anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._to_server.send_nowait(SessionMessage(JSONRPCMessage(notification)))

    async def messages(
        self, *, heartbeat_seconds: float | None = None
    ) -> AsyncGenerator[JSONRPCMessage | None, None]:
        """Yields what the server says, and None after so long in silence.

        Whoever stops reading ends what the server does.
        """
        to_client, heard = anyio.create_memory_object_stream[SessionMessage](0)
        options = self._server.create_initialization_options()
        serving = asyncio.create_task(
            self._server.run(self._said, to_client, options, stateless=True)
        )
        self._to_server.send_nowait(SessionMessage(JSONRPCMessage(self._request)))
        receiving: asyncio.Future[SessionMessage] | None = None
        try:
            while True:
                receiving = receiving or asyncio.ensure_future(heard.receive())
                done, _ = await asyncio.wait({receiving}, timeout=heartbeat_seconds)
                if not done:
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
            stopping = [serving] if receiving is None else [serving, receiving]
            for task in stopping:
                task.cancel()
            await asyncio.gather(*stopping, return_exceptions=True)
            for stream in (self._to_server, self._said, to_client, heard):
                stream.close()

    async def answer(self) -> JSONRPCMessage:
        """The last thing that the server says."""
        last = self._failure()
        async for message in self.messages():
            last = message or last
        return last

    def _failure(self) -> JSONRPCMessage:
        """The server ended without an answer."""
        error = ErrorData(code=INTERNAL_ERROR, message="The call could not be answered.")
        return JSONRPCMessage(JSONRPCError(jsonrpc="2.0", id=self._request.id, error=error))
