"""One open WebSocket: messages in, events out."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from fastapi import WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketDisconnected

from graph.approvals import Decision
from graph.errors import AgentError
from persistence.errors import PersistenceError
from server.chat.followed_runs import FollowedRuns
from server.chat.message_body import MessageReader
from server.chat.message_memory import HeldMessage, MessageMemory
from server.chat.service import ChatService
from server.chat.socket_messages import ended_note, error_note, note, read_message
from server.chat.socket_questions import SocketQuestions
from server.chat.socket_schemas import (
    AnswerMessage,
    ApprovalMessage,
    AudioMessage,
    ResumeMessage,
    SocketMessage,
    StopMessage,
    TextMessage,
)
from server.chat.tied_runs import TiedRuns
from server.error_responses import translate
from server.errors import NotAuthenticated, RunNotFound, ServerError
from server.observability import describe
from server.questions.service import QuestionService
from server.runs.approvals import ApprovalService
from server.runs.service import RunService
from server.security.credentials import Authenticator
from server.security.principal import Origin, Principal
from server.security.revocation import Watch
from tools.calls import ElicitationAnswer

LOCKED_OUT = 4401
"""The close code of a caller who may not come in any more; below 5000 and above 3999 they are ours
(RFC 6455, 7.4.2)."""
FAULT = 1011
SERVICE_RESTART = 1012
"""With which a server that stops closes its sockets: nobody has left then."""
CLOSE_SECONDS = 5.0
"""How long a reader who takes nothing may keep the end waiting."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class SocketServices:
    """What sockets work with."""

    chat: ChatService
    runs: RunService
    approvals: ApprovalService
    questions: QuestionService
    authenticator: Authenticator
    reader: MessageReader
    memory: MessageMemory


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
        self._origin = origin
        self._services = services
        self._count = count
        tied = TiedRuns(services.chat)
        self._followed = FollowedRuns(services.runs, self._send, ended=tied.untie)
        self._questions = SocketQuestions(
            session_id=session_id,
            origin=origin,
            chat=services.chat,
            runs=services.runs,
            followed=self._followed,
            tied=tied,
            send=self._send,
            attempt=self._attempt,
        )

    async def serve(self, watch: Watch) -> None:
        """Serves until either side closes or the caller is locked out."""
        locked_out = asyncio.Event()
        watch.on_end(locked_out.set)
        waiting = asyncio.create_task(locked_out.wait())
        receiving = asyncio.create_task(self._receive())
        asking = asyncio.create_task(self._questions.keep_asking())
        serving = asyncio.gather(receiving, asking)
        try:
            ends: set[asyncio.Future[Any]] = {serving, waiting}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if watch.ended:
                await self._break_off(LOCKED_OUT, {receiving, asking})
            elif serving.exception() is not None:
                await self._break_off(FAULT, {receiving, asking})
                serving.result()
        finally:
            tasks = (serving, receiving, asking, waiting)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._followed.stop()
            self._questions.discard()

    async def _break_off(self, code: int, tasks: Collection["asyncio.Task[None]"]) -> None:
        self._questions.abandon()
        await self._close(code)
        # A message that is being taken is finished first: half a run is of no use.
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS)

    async def _receive(self) -> None:
        while (message := await self._websocket.receive())["type"] == "websocket.receive":
            # Taken out of what is held until the next message comes: it may be large.
            await self._attempt(self._take(message.pop("text", None)))
        code = message.get("code")
        if code == SERVICE_RESTART:
            self._questions.close()
        elif code == LOCKED_OUT:
            self._questions.abandon()
        else:
            self._questions.leave()

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
        with ExitStack() as stack:
            held = stack.enter_context(self._hold(text))
            message = await self._read(text)
            self._caller = await self._services.authenticator.recheck(self._caller)
            if isinstance(message, TextMessage | AudioMessage):
                self._questions.put(self._caller, message, held)
                stack.pop_all()  # given back when it was asked
            else:
                await self._take_at_once(message)

    def _hold(self, text: str | None) -> HeldMessage:
        """Counts a large message while it is read; a small one is not refused before that."""
        is_large = text is not None and self._services.reader.is_large(text)
        return self._services.memory.hold(
            self._caller.user.id, sys.getsizeof(text) if is_large else 0
        )

    async def _take_at_once(
        self, message: StopMessage | ApprovalMessage | AnswerMessage | ResumeMessage
    ) -> None:
        match message:
            case StopMessage():
                await self._stop(message)
            case ApprovalMessage():
                await self._decide(message)
            case AnswerMessage():
                await self._answer(message)
            case ResumeMessage():
                await self._resume(message)

    async def _read(self, text: str | None) -> SocketMessage:
        if text is None:
            return read_message(text)
        async with self._services.reader.place_for(text, self._caller.user.id):
            return read_message(text)

    async def _stop(self, message: StopMessage) -> None:
        run_id = message.run_id or self._followed.current
        if run_id is None:
            if not self._questions.stop():
                raise RunNotFound("Nothing is being answered here.")
            return
        is_followed = run_id in self._followed  # then its last event tells of it
        run = await self._services.runs.cancel(self._caller, self._origin, run_id)
        if not is_followed:
            await self._send(ended_note(run_id, run.status))

    async def _decide(self, message: ApprovalMessage) -> None:
        approvals = self._services.approvals
        answers = {
            approval_id: Decision(decision=each.decision, args=each.args, reason=each.reason)
            for approval_id, each in message.decisions.items()
        }
        run_id = message.run_id or await approvals.find_run(self._caller, answers)
        pending = await approvals.answer(self._caller, self._origin, run_id, answers)
        await self._send(note("answered", run_id=run_id, pending=[each.id for each in pending]))
        await self._follow_answered(run_id, after=message.last_event_id)

    async def _answer(self, message: AnswerMessage) -> None:
        questions = self._services.questions
        answers = {
            question_id: ElicitationAnswer(action=each.action, content=each.content)
            for question_id, each in message.answers.items()
        }
        run_id = message.run_id or await questions.find_run(self._caller, answers)
        left = await questions.answer(self._caller, self._origin, run_id, answers)
        await self._send(note("answered", run_id=run_id, pending=[each.id for each in left]))
        await self._follow_answered(run_id, after=message.last_event_id)

    async def _follow_answered(self, run_id: UUID, *, after: int) -> None:
        if run_id not in self._followed:
            with suppress(RunNotFound):  # who answers for a group sees no more than the call
                await self._follow(run_id, after=after)

    async def _resume(self, message: ResumeMessage) -> None:
        await self._follow(message.run_id, after=message.last_event_id)

    async def _follow(self, run_id: UUID, *, after: int) -> None:
        run = await self._services.runs.read(self._caller, run_id)
        await self._followed.resume(self._caller, run, after=after)

    async def _send(self, text: str) -> None:
        # Of a reader who has left, `receive` tells.
        with suppress(WebSocketDisconnect, WebSocketDisconnected):
            await self._websocket.send_text(text)

    async def _close(self, code: int) -> None:
        await self._followed.stop()
        with suppress(WebSocketDisconnect, WebSocketDisconnected, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._websocket.close(code)
