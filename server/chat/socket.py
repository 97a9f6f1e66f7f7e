"""One open WebSocket: messages in, events out."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog
from fastapi import WebSocket, WebSocketDisconnect
from starlette.types import Message
from starlette.websockets import WebSocketDisconnected

from graph.approvals import Decision
from graph.errors import AgentError
from persistence.errors import PersistenceError
from server.chat.followed_runs import FollowedRuns
from server.chat.media_schemas import sent_audio, sent_images
from server.chat.message_body import MessageReader
from server.chat.service import AcceptedRun, ChatService, NewMessage
from server.chat.socket_messages import error_note, note, read_message
from server.chat.socket_schemas import (
    ApprovalMessage,
    AudioMessage,
    ResumeMessage,
    SocketMessage,
    StopMessage,
    TextMessage,
)
from server.error_responses import translate
from server.errors import NotAuthenticated, RunNotFound, ServerError, Unavailable
from server.observability import describe
from server.runs.approvals import ApprovalService
from server.runs.service import RunService
from server.security.credentials import Authenticator
from server.security.principal import Origin, Principal
from server.security.revocation import Watch

LOCKED_OUT = 4401
"""The close code of a caller who may not come in any more; below 5000 and above 3999 they are ours
(RFC 6455, 7.4.2)."""
FAULT = 1011
SERVICE_RESTART = 1012
"""With which a server that stops closes its sockets: nobody has left then."""
ASKED_MAX = 16
"""Messages that may wait to be asked; then the client has to wait."""
LARGE_ASKED_MAX = 2
"""While so many wait, none that is large is taken: each is held in memory as a whole."""
CLOSE_SECONDS = 5.0
"""How long a reader who takes nothing may keep the end waiting."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class SocketServices:
    """What sockets work with."""

    chat: ChatService
    runs: RunService
    approvals: ApprovalService
    authenticator: Authenticator
    reader: MessageReader


class ChatSocket:
    """Serves one user in one session. Runs outlive it, unless their messages wished otherwise."""

    def __init__(
        self,
        websocket: WebSocket,
        *,
        caller: Principal,
        session_id: str,
        origin: Origin,
        services: SocketServices,
        count: Callable[[], Awaitable[None]],
    ) -> None:
        """Args: count: takes a message into account; raises if there were too many."""
        self._websocket = websocket
        self._caller = caller
        self._session_id = session_id
        self._origin = origin
        self._services = services
        self._count = count
        self._followed = FollowedRuns(services.runs, self._send)
        self._tied: dict[UUID, AcceptedRun] = {}
        """Runs that end when the client leaves."""
        self._asked: asyncio.Queue[TextMessage | AudioMessage | None] = asyncio.Queue(ASKED_MAX)
        """What is still to be asked, in its order: reading a recording takes its time."""
        self._is_asking = False
        self._stops_next = False
        """Whether what is being asked is to be stopped as soon as it is a run."""

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
            await self._followed.stop()

    async def _receive(self) -> None:
        asking = asyncio.create_task(self._keep_asking())
        try:
            while (message := await self._websocket.receive())["type"] == "websocket.receive":
                # Taken out of what is held until the next message comes: it may be large.
                await self._attempt(self._take(message.pop("text", None)))
            self._leave(message)
            await self._asked.put(None)
            await asking
            self._leave(message)  # what had been sent and was not a run yet
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _keep_asking(self) -> None:
        while (message := await self._asked.get()) is not None:
            self._is_asking = True
            await self._attempt(self._ask(message))
            self._is_asking = self._stops_next = False

    async def _attempt(self, act: Coroutine[Any, Any, None]) -> None:
        try:
            await act
        except (ServerError, AgentError, PersistenceError) as exc:
            error = translate(exc)
            if isinstance(error, NotAuthenticated):
                return await self._close(LOCKED_OUT)
            if error.status >= 500:
                log.warning("message_failed", code=error.code, **describe(exc))
            await self._send(error_note(error))

    async def _take(self, text: str | None) -> None:
        await self._count()
        message = await self._read(text)
        self._caller = await self._services.authenticator.recheck(self._caller)
        match message:
            case TextMessage() | AudioMessage():
                await self._asked.put(message)
            case StopMessage():
                await self._stop(message)
            case ApprovalMessage():
                await self._answer(message)
            case ResumeMessage():
                await self._resume(message)

    async def _read(self, text: str | None) -> SocketMessage:
        if text is None:
            return read_message(text)
        reader = self._services.reader
        if reader.is_large(text) and self._asked.qsize() >= LARGE_ASKED_MAX:
            raise Unavailable("Too many messages wait here for a large one; try again.")
        async with reader.place_for(text, self._caller.user.id):
            return read_message(text)

    async def _ask(self, message: TextMessage | AudioMessage) -> None:
        if isinstance(message, AudioMessage):
            audio = sent_audio(message.content, message.format, message.rate)
            content = NewMessage(audio=audio)
        else:
            content = NewMessage(text=message.content or "")
        self._followed.require_room()
        accepted = await self._services.chat.send(
            self._caller,
            self._origin,
            replace(
                content,
                images=sent_images(message.images),
                session_id=self._session_id,
                model=message.model,
                enable_tools=message.enable_tools,
                message_id=message.message_id,
                multitask=message.multitask,
            ),
        )
        run = accepted.run
        if message.on_disconnect == "cancel":
            self._tie(accepted)
        try:  # now, while its first events are at hand
            await self._followed.follow_new(self._caller, run)
        except (ServerError, PersistenceError) as exc:
            error = translate(exc)
            error.details["run_id"] = str(run.id)  # it goes on, and can be followed later
            raise error from exc
        if run.status == "queued":
            await self._send(note("queued", run_id=run.id, session_id=self._session_id))
        if self._stops_next:
            await self._services.runs.cancel(self._caller, self._origin, run.id)

    async def _stop(self, message: StopMessage) -> None:
        run_id = message.run_id or self._followed.current
        if run_id is None and self._is_asking:
            self._stops_next = True
            return
        if run_id is None:
            raise RunNotFound("Nothing is being answered here.")
        await self._services.runs.cancel(self._caller, self._origin, run_id)

    async def _answer(self, message: ApprovalMessage) -> None:
        approvals = self._services.approvals
        answers = {
            approval_id: Decision(decision=each.decision, args=each.args, reason=each.reason)
            for approval_id, each in message.decisions.items()
        }
        run_id = message.run_id or await approvals.find_run(self._caller, answers)
        pending = await approvals.answer(self._caller, self._origin, run_id, answers)
        await self._send(note("answered", run_id=run_id, pending=[each.id for each in pending]))
        if run_id not in self._followed:
            with suppress(RunNotFound):  # who answers for a group sees no more than the call
                await self._follow(run_id, after=message.last_event_id)

    async def _resume(self, message: ResumeMessage) -> None:
        await self._follow(message.run_id, after=message.last_event_id)

    async def _follow(self, run_id: UUID, *, after: int) -> None:
        run = await self._services.runs.read(self._caller, run_id)
        await self._followed.resume(self._caller, run, after=after)

    def _tie(self, accepted: AcceptedRun) -> None:
        self._tied = {each: run for each, run in self._tied.items() if each in self._followed}
        self._tied[accepted.run.id] = accepted

    def _leave(self, goodbye: Message) -> None:
        if goodbye.get("code") in {SERVICE_RESTART, LOCKED_OUT}:
            return
        for run_id, accepted in self._tied.items():
            if run_id in self._followed:
                self._services.chat.cancel_soon(self._caller, accepted)

    async def _send(self, text: str) -> None:
        # Of a reader who has left, `receive` tells.
        with suppress(WebSocketDisconnect, WebSocketDisconnected):
            await self._websocket.send_text(text)

    async def _close(self, code: int) -> None:
        await self._followed.stop()
        with suppress(WebSocketDisconnect, WebSocketDisconnected, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._websocket.close(code)
