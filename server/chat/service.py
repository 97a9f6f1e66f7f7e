"""Chat: accepts a message as a run, which is begun at once or when its turn has come."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import UUID, uuid4

from persistence.database import Database
from persistence.errors import NotFound, RunInProgress
from persistence.identifiers import new_uuid7
from persistence.run_records import Run, RunInput
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry
from server.chat.media import MediaIntake, SentAudio, SentImage, TakenMedia
from server.errors import RunConflict, Unavailable
from server.run_settings import RunSettings
from server.runs.beginning import record_question
from server.runs.canceller import RunCanceller
from server.runs.executor import RunExecutor
from server.runs.live import LiveRun
from server.runs.preparation import RunPreparation
from server.security.principal import Origin, Principal
from server.security.revocation import Revocation

TITLE_CHARS = 80
SETTLE_SECONDS = 10.0
"""How long a server that stops waits until what it accepts is at work, to be handed over."""


@dataclass(frozen=True, kw_only=True)
class NewMessage:
    """What a user sends."""

    text: str = field(default="", repr=False)
    audio: SentAudio | None = None
    images: tuple[SentImage, ...] = ()
    session_id: str | None = None
    model: str | None = None
    enable_tools: bool = True
    message_id: int | None = None
    """The message whose place this one takes."""
    multitask: Literal["reject", "enqueue"] = "reject"
    """What to do when the session is answering another message."""


@dataclass(frozen=True, kw_only=True)
class ReadMessage:
    """A message whose recording has become text and whose images are known to be some."""

    message: NewMessage
    model: str
    media: TakenMedia


@dataclass(frozen=True, kw_only=True)
class AcceptedRun:
    """A message that is going to be answered, whatever happens."""

    run: Run
    session_id: str
    live: LiveRun | None
    """The run, if it has begun; None if it waits for its turn."""


class ChatService:
    """Takes messages, for one principal at a time."""

    def __init__(
        self,
        *,
        database: Database,
        executor: RunExecutor,
        preparation: RunPreparation,
        canceller: RunCanceller,
        revocation: Revocation,
        media: MediaIntake,
        settings: RunSettings,
        owner: str,
    ) -> None:
        """Args: owner: under whose lease runs are begun here."""
        self._database = database
        self._executor = executor
        self._preparation = preparation
        self._canceller = canceller
        self._revocation = revocation
        self._media = media
        self._settings = settings
        self._owner = owner
        self._accepting: set[asyncio.Task[AcceptedRun]] = set()

    async def send(self, principal: Principal, origin: Origin, message: NewMessage) -> AcceptedRun:
        """Reads a message and accepts it.

        Raises:
            ServerError, AgentError, PersistenceError: What `read` and `accept` raise.
        """
        return await self.accept(principal, origin, await self.read(message))

    async def read(self, message: NewMessage) -> ReadMessage:
        """Checks the images and transcribes the recording of a message.

        This may take minutes; nothing is recorded yet, so that it can be cancelled.

        Raises:
            UnknownModel: The model is not on the allow-list.
            BadRequest, SpeechUnavailable, ModelError: A recording or an image is not taken.
        """
        model = self._preparation.choose_model(message.model)
        media = await self._media.take(
            message.text, audio=message.audio, images=message.images, model=model
        )
        return ReadMessage(message=message, model=model, media=media)

    async def accept(
        self,
        principal: Principal,
        origin: Origin,
        read: ReadMessage,
        *,
        on_accepted: Callable[[AcceptedRun], None] | None = None,
    ) -> AcceptedRun:
        """Records a message and begins its run, or has it wait for its turn.

        Once begun with, this is done whole, also when whoever wants it is cancelled: a run that
        was recorded and that nobody works on would be missed only when its lease lapses.

        Args:
            principal: Who asks.
            origin: From where.
            read: The message.
            on_accepted: Is told of the run, whether or not somebody still waits for it here.

        Raises:
            RunConflict: The session is answering another message.
            QueueFull: Too many of its messages wait already.
            MessageNotFound: There is no message whose place this one could take.
            UserLockedOut: The user may not come in any more.
            KeyEnded: The key that it was asked with has ended.
            Unavailable: This server stops.
        """
        message = read.message
        asked = RunInput(
            session_id=message.session_id or uuid4().hex,
            thread_id=uuid4(),  # until the session is known
            text=read.media.text,
            images=read.media.images,
            audio=read.media.audio,
            enable_tools=message.enable_tools,
            message_id=message.message_id,
            scopes=tuple(sorted(principal.scopes)),
            api_key_id=principal.api_key_id,
            ip=origin.ip,
            user_agent=origin.user_agent,
            correlation_id=origin.correlation_id,
        )
        if self._executor.stopping:
            raise Unavailable("This server is stopping.")
        return await self._to_its_end(
            self._record_and_begin(principal, origin, message, asked, read.model), on_accepted
        )

    def cancel_soon(self, principal: Principal, run_id: UUID) -> None:
        """Ends a run whose reader has left, wherever it has got to; returns at once."""
        self._canceller.cancel_soon(principal.scope, run_id)

    async def settle(self) -> None:
        """Waits until what is being accepted is at work, or waits for its turn."""
        if self._accepting:
            _, late = await asyncio.wait(self._accepting, timeout=SETTLE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _to_its_end(
        self,
        accepting: Coroutine[Any, Any, AcceptedRun],
        on_accepted: Callable[[AcceptedRun], None] | None,
    ) -> AcceptedRun:
        async def accept() -> AcceptedRun:
            accepted = await accepting
            if on_accepted is not None:
                on_accepted(accepted)
            return accepted

        task = asyncio.create_task(accept())
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        return await asyncio.shield(task)

    async def _record_and_begin(
        self,
        principal: Principal,
        origin: Origin,
        message: NewMessage,
        asked: RunInput,
        model: str,
    ) -> AcceptedRun:
        with ExitStack() as stack:
            # From before the database is asked: a lock-out is found there or heard of from here.
            watch = stack.enter_context(self._revocation.watch(principal.user.id))
            tools = await self._preparation.offer(asked, principal)
            try:
                run, asked = await self._record(principal, origin, message, asked, model)
            except NotFound:
                # It was deleted between being opened and being used: the message begins it anew.
                try:
                    run, asked = await self._record(principal, origin, message, asked, model)
                except NotFound as exc:
                    raise RunConflict from exc
            if run.status == "queued":
                return AcceptedRun(run=run, session_id=asked.session_id, live=None)
            stack.pop_all()  # the run closes it
        request = self._preparation.prepare(run, asked, principal, origin, tools=tools)
        live = self._executor.start(request, watch)
        return AcceptedRun(run=run, session_id=asked.session_id, live=live)

    async def _record(
        self,
        principal: Principal,
        origin: Origin,
        message: NewMessage,
        asked: RunInput,
        model: str,
    ) -> tuple[Run, RunInput]:
        async with self._database.unit_of_work(principal.scope) as uow:
            session = await uow.sessions.open(asked.session_id, title=_title(asked.text))
            asked = replace(asked, thread_id=session.thread_id)
            run, asked = await self._begin_or_wait(uow, session.id, message, asked, model)
            await uow.audit.record(
                audit_entry("run.start", principal, origin, resource=("run", str(run.id)))
            )
            await uow.commit()
        return run, asked

    async def _begin_or_wait(
        self,
        uow: UnitOfWork,
        session_row_id: int,
        message: NewMessage,
        asked: RunInput,
        model: str,
    ) -> tuple[Run, RunInput]:
        run_id = new_uuid7()
        try:
            run = await uow.runs.start(
                run_id,
                session_row_id,
                model=model,
                run_input=asked,
                lease_owner=self._owner,
                lease_seconds=self._settings.lease_seconds,
            )
        except RunInProgress:
            if message.multitask == "reject":
                raise
            run = await uow.runs.enqueue(
                run_id,
                session_row_id,
                model=model,
                run_input=asked,
                max_queued=self._settings.max_queued,
            )
            return run, asked
        return run, await record_question(uow, run, asked)


def _title(text: str) -> str:
    """The first line of the first message, until the session is given a better one."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1].rstrip() + "…"
