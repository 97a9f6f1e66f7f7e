"""One open WebSocket: messages in, events out."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
import structlog
from fastapi import WebSocket, WebSocketDisconnect
from pydantic import TypeAdapter, ValidationError
from starlette.websockets import WebSocketDisconnected

from graph.errors import AgentError
from persistence.errors import PersistenceError
from server.chat.schemas import SocketMessage, StopMessage, TextMessage
from server.chat.service import ChatService, NewMessage
from server.error_responses import translate
from server.errors import (
    BadRequest,
    NotAuthenticated,
    RunConflict,
    RunNotFound,
    ServerError,
    UnsupportedMessage,
)
from server.observability import describe
from server.runs.executor import LiveRun
from server.security.credentials import Authenticator
from server.security.principal import Origin, Principal
from server.security.revocation import Watch

LOCKED_OUT = 4401
"""The close code of a caller who may not come in any more; below 5000 and above 3999 they are ours
(RFC 6455, 7.4.2)."""
FAULT = 1011
CLOSE_SECONDS = 5.0
"""How long a reader who takes nothing may keep the end waiting."""

log = structlog.get_logger(__name__)
_messages: TypeAdapter[SocketMessage] = TypeAdapter(SocketMessage)


class ChatSocket:
    """Serves one user in one session. Runs outlive it: their answers are found in the session."""

    def __init__(
        self,
        websocket: WebSocket,
        *,
        caller: Principal,
        session_id: str,
        origin: Origin,
        chat: ChatService,
        authenticator: Authenticator,
        count: Callable[[], Awaitable[None]],
    ) -> None:
        """Args: count: takes a message into account; raises if there were too many."""
        self._websocket = websocket
        self._caller = caller
        self._session_id = session_id
        self._origin = origin
        self._chat = chat
        self._authenticator = authenticator
        self._count = count
        self._live: LiveRun | None = None
        self._following: asyncio.Task[None] | None = None

    async def serve(self, watch: Watch) -> None:
        """Serves until either side closes or the caller is locked out."""
        locked_out = asyncio.Event()
        watch.on_end(locked_out.set)
        receiving = asyncio.create_task(self._receive())
        waiting = asyncio.create_task(locked_out.wait())
        try:
            await asyncio.wait({receiving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if watch.ended:
                # A message that is being taken is finished first: half a run is of no use.
                await self._close(LOCKED_OUT)
                await asyncio.wait({receiving}, timeout=CLOSE_SECONDS)
            elif receiving.exception() is not None:
                await self._close(FAULT)
                receiving.result()
        finally:
            for task in (receiving, waiting):
                task.cancel()
            await asyncio.gather(receiving, waiting, return_exceptions=True)
            await self._stop_following()

    async def _receive(self) -> None:
        while (message := await self._websocket.receive())["type"] == "websocket.receive":
            try:
                await self._take(message.get("text"))
            except (ServerError, AgentError, PersistenceError) as exc:
                error = translate(exc)
                if isinstance(error, NotAuthenticated):
                    return await self._close(LOCKED_OUT)
                if error.status >= 500:
                    log.warning("message_failed", code=error.code, **describe(exc))
                await self._send_error(error)
        return None

    async def _take(self, text: str | None) -> None:
        await self._count()
        message = _read(text)
        self._caller = await self._authenticator.recheck(self._caller)
        match message:
            case TextMessage():
                await self._ask(message)
            case StopMessage():
                await self._stop()

    async def _ask(self, message: TextMessage) -> None:
        if self._is_answering():
            raise RunConflict
        live = await self._chat.send(
            self._caller,
            self._origin,
            NewMessage(
                text=message.content,
                session_id=self._session_id,
                model=message.model,
                enable_tools=message.enable_tools,
            ),
        )
        self._live = live
        self._following = asyncio.create_task(self._follow(live))

    async def _stop(self) -> None:
        if self._live is None or not self._is_answering():
            raise RunNotFound("Nothing is being answered here.")
        await self._chat.cancel_run(self._caller, self._origin, self._live.request.run_id)

    def _is_answering(self) -> bool:
        return self._following is not None and not self._following.done()

    async def _follow(self, live: LiveRun) -> None:
        """Sends a run's events. A slow reader holds up this task and nothing else."""
        async for messages in live.stream.messages():
            for message in messages:
                await self._send(message)

    async def _stop_following(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def _send_error(self, error: ServerError) -> None:
        event: dict[str, Any] = {"type": "error", "code": error.code, "message": str(error)}
        if error.details:
            event["details"] = error.details
        await self._send(orjson.dumps(event).decode())

    async def _send(self, text: str) -> None:
        # Of a reader who has left, `receive` tells.
        with suppress(WebSocketDisconnect, WebSocketDisconnected):
            await self._websocket.send_text(text)

    async def _close(self, code: int) -> None:
        await self._stop_following()
        with suppress(WebSocketDisconnect, WebSocketDisconnected, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._websocket.close(code)


def _read(text: str | None) -> TextMessage | StopMessage:
    """What the client says.

    Raises:
        UnsupportedMessage: It is binary, or of a type that is not taken.
        BadRequest: It is no JSON, or a field is not as it should be.
    """
    if text is None:
        raise UnsupportedMessage("Messages are JSON objects in text frames.")
    try:
        return _messages.validate_json(text)
    except ValidationError as exc:
        faults = exc.errors(include_input=False, include_url=False, include_context=False)
    if faults[0]["type"] == "union_tag_invalid":
        raise UnsupportedMessage("The types of message that are taken are 'text' and 'stop'.")
    shown = [
        {"field": ".".join(str(part) for part in fault["loc"][1:]), "problem": fault["msg"]}
        for fault in faults
    ]
    raise BadRequest(details={"errors": shown})
