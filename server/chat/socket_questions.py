"""What a client asks on one socket: one message after the other is read and becomes a run."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from persistence.errors import PersistenceError
from server.chat.followed_runs import FollowedRuns
from server.chat.media_schemas import sent_audio, sent_images
from server.chat.message_memory import HeldMessage
from server.chat.service import AcceptedRun, ChatService, NewMessage, ReadMessage
from server.chat.socket_messages import note
from server.chat.socket_schemas import AudioMessage, TextMessage
from server.chat.tied_runs import TiedRuns
from server.error_responses import translate
from server.errors import ServerError, Unavailable
from server.runs.service import RunService
from server.security.principal import Origin, Principal

WAITING_MAX = 16
"""Messages that may wait to be asked."""

Question = TextMessage | AudioMessage


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    caller: Principal
    question: Question
    held: HeldMessage


class SocketQuestions:
    """Asks in the order in which messages came; what else a client says need not wait for that."""

    def __init__(
        self,
        *,
        session_id: str,
        origin: Origin,
        chat: ChatService,
        runs: RunService,
        followed: FollowedRuns,
        tied: TiedRuns,
        send: Callable[[str], Awaitable[None]],
        attempt: Callable[[Coroutine[Any, Any, None]], Awaitable[None]],
    ) -> None:
        """Args: attempt: does something, and tells the client if it fails."""
        self._session_id = session_id
        self._origin = origin
        self._chat = chat
        self._runs = runs
        self._followed = followed
        self._tied = tied
        self._send = send
        self._attempt = attempt
        self._waiting: asyncio.Queue[_Waiting | None] = asyncio.Queue()
        self._asked: Question | None = None
        self._reading: asyncio.Task[ReadMessage] | None = None
        self._is_stopped = False
        """Whether what is asked now, or else next, is to end."""
        self._has_left = False
        self._is_abandoned = False

    def put(self, caller: Principal, question: Question, held: HeldMessage) -> None:
        """Has a message asked when its turn has come.

        Args:
            caller: Who asks.
            question: The message.
            held: Counts what it takes in memory; given back when it was asked, or not.

        Raises:
            Unavailable, RateLimited: Too many wait, or too much.
        """
        if self._waiting.qsize() >= WAITING_MAX:
            raise Unavailable("Too many messages wait here already; try again.")
        held.resize(_size_of(question))
        self._waiting.put_nowait(_Waiting(caller=caller, question=question, held=held))

    async def keep_asking(self) -> None:
        """Asks until the client has left and everything was asked."""
        while await self._ask_next():
            pass  # nothing of a message is kept while the next one is waited for

    def discard(self) -> None:
        """Drops what nobody is going to ask any more."""
        while not self._waiting.empty():
            if (waiting := self._waiting.get_nowait()) is not None:
                waiting.held.give_back()

    def stop(self) -> bool:
        """Ends the message that is being asked, or is next; whether there is any.

        It becomes no run any more, or one that is cancelled at once.
        """
        if self._asked is None and self._waiting.empty():
            return False
        self._is_stopped = True
        self._give_up_reading()
        return True

    def close(self) -> None:
        """Takes nothing more; what waits is still asked."""
        self._waiting.put_nowait(None)

    def leave(self) -> None:
        """Does what is done when a client leaves: some messages and runs were to end then."""
        self._has_left = True
        self._tied.leave()
        self._give_up_reading()
        self.close()

    def abandon(self) -> None:
        """Leaves, and nothing of what waits is asked any more."""
        self._is_abandoned = True
        self.leave()

    async def _ask_next(self) -> bool:
        waiting = await self._waiting.get()
        if waiting is None:
            return False
        with waiting.held:
            self._asked = waiting.question
            await self._attempt(self._ask(waiting.caller, waiting.question))
        self._asked = None
        self._is_stopped = False
        return True

    async def _ask(self, caller: Principal, question: Question) -> None:
        self._followed.require_room()
        read = None if self._is_dropped(question) else await self._read(question)
        if read is None or self._is_dropped(question):
            return await self._send(note("stopped", session_id=self._session_id))
        tie = partial(self._tied.tie, caller) if question.on_disconnect == "cancel" else None
        accepted = await self._chat.accept(caller, self._origin, read, on_accepted=tie)
        try:
            await self._follow(caller, accepted)
        finally:
            if self._is_stopped:
                await self._runs.cancel(caller, self._origin, accepted.run.id)

    async def _read(self, question: Question) -> ReadMessage | None:
        """What a message holds; None if that was given up."""
        reading = asyncio.create_task(self._chat.read(_new_message(question, self._session_id)))
        self._reading = reading
        try:
            await asyncio.wait({reading})
            return None if reading.cancelled() else reading.result()
        finally:
            self._reading = None
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _follow(self, caller: Principal, accepted: AcceptedRun) -> None:
        run = accepted.run
        try:  # now, while its first events are at hand
            await self._followed.follow_new(caller, run)
        except (ServerError, PersistenceError) as exc:
            error = translate(exc)
            error.details["run_id"] = str(run.id)  # it goes on, and can be followed later
            raise error from exc
        if run.status == "queued":
            await self._send(note("queued", run_id=run.id, session_id=self._session_id))

    def _give_up_reading(self) -> None:
        if self._reading is not None and self._asked is not None and self._is_dropped(self._asked):
            self._reading.cancel()

    def _is_dropped(self, question: Question) -> bool:
        ends = self._has_left and question.on_disconnect == "cancel"
        return ends or self._is_abandoned or self._is_stopped


def _size_of(question: Question) -> int:
    """What its text, its recording and its images take in memory."""
    parts = (question.content or "", *(image.data_b64 for image in question.images))
    return sum(map(sys.getsizeof, parts))


def _new_message(question: Question, session_id: str) -> NewMessage:
    if isinstance(question, AudioMessage):
        text, audio = "", sent_audio(question.content, question.format, question.rate)
    else:
        text, audio = question.content or "", None
    return NewMessage(
        text=text,
        audio=audio,
        images=sent_images(question.images),
        session_id=session_id,
        model=question.model,
        enable_tools=question.enable_tools,
        message_id=question.message_id,
        multitask=question.multitask,
    )
