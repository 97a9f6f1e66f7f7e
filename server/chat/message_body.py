"""The bodies of messages, which hold images and recordings: a few at a time, and not for long.

FastAPI keeps the bytes of a body, and what their JSON says, for as long as the answer takes. With
messages of megabytes and answers of minutes that adds up.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, nullcontext
from typing import Any

from fastapi import Request, Response
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from server.body_pace import keep_pace
from server.body_slots import BodySlots
from server.chat.schemas import ChatRequest
from server.errors import BadRequest, Unavailable
from server.routing import PolicedRoute, current_principal

SLOT_SECONDS = 60.0
"""How long a large body waits for its place."""
_NOT_READ_HERE = b"read elsewhere"


class MessageReader:
    """Reads messages from requests."""

    def __init__(self, *, small_bytes: int) -> None:
        """Args: small_bytes: up to this size a body needs no place."""
        self._small_bytes = small_bytes
        self._slots = BodySlots()

    async def read(self, request: Request) -> ChatRequest:
        """The message that a request holds.

        Raises:
            BadRequest: It is not as it should be.
            UploadTooSlow: It does not come.
            Unavailable: Too many large ones are being read.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) <= self._small_bytes:
            return _parse(await _collect(request))
        async with self._slot(current_principal(request).user.id):
            return _parse(await _collect(request))

    def is_large(self, text: str) -> bool:
        """Whether a message that did not come as a request needs a place."""
        return len(text) > self._small_bytes

    @asynccontextmanager
    async def place_for(self, text: str, user_id: int) -> AsyncIterator[None]:
        """Holds the place in which a message is read that did not come as a request.

        Raises:
            Unavailable: Too many large ones are being read.
        """
        async with self._slot(user_id) if self.is_large(text) else nullcontext():
            yield

    @asynccontextmanager
    async def _slot(self, user_id: int) -> AsyncIterator[None]:
        slot = self._slots.held_by(user_id)
        try:
            async with asyncio.timeout(SLOT_SECONDS):
                await slot.__aenter__()
        except TimeoutError as exc:
            raise Unavailable("Too many large messages are being read; try again.") from exc
        try:
            yield
        finally:
            await slot.__aexit__(None, None, None)


class MessageRoute(PolicedRoute):
    """A route whose body is a `ChatRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Gives FastAPI's handler a request that has been read."""
        handler = super().get_route_handler()

        async def handle_read(request: Request) -> Response:
            return await handler(_MessageRequest(request.scope, request.receive))

        return handle_read


class _MessageRequest(Request):
    """A request of which FastAPI gets the message and never the body."""

    _message: ChatRequest

    async def body(self) -> bytes:
        if _is_json(self):
            reader: MessageReader = self.app.state.services[MessageReader]
            self._message = await reader.read(self)
        return _NOT_READ_HERE  # which FastAPI refuses when it is not said to be JSON

    async def json(self) -> ChatRequest:
        return self._message


async def _collect(request: Request) -> bytearray:
    body = bytearray()
    try:
        async with aclosing(keep_pace(request.stream())) as chunks:
            async for chunk in chunks:
                body += chunk
    except ClientDisconnect as exc:
        raise BadRequest("The message broke off.") from exc
    return body


def _parse(body: bytearray) -> ChatRequest:
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as exc:
        faults = exc.errors(include_input=False, include_url=False, include_context=False)
    shown = [
        {"field": ".".join(map(str, ("body", *fault["loc"]))), "problem": fault["msg"]}
        for fault in faults
    ]
    raise BadRequest(details={"errors": shown})


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind.startswith("application/") and (kind.endswith(("/json", "+json")))
