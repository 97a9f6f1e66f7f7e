"""Titles that the model makes, once a session's first message is answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from langchain_core.language_models import BaseChatModel

from graph.errors import AgentError
from graph.titles import MadeTitle, make_title
from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import NotFound, PersistenceError
from persistence.run_records import ModelCall
from server.observability import describe
from server.runs.run import RunOutcome, RunRequest

AT_ONCE = 2
"""Titles in the making; people who wait for an answer have more right to the model."""
MAX_WAITING = 100
TRIED_MESSAGES = 6
"""A session that has more of them keeps its first line: the model has failed before."""
KEPT_SESSIONS = 10_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class UntitledTurn:
    """What a title is made of; of a run no more than that, for it may wait for long."""

    scope: AccessScope
    run_id: UUID
    session_row_id: int
    session_id: str
    question: str = field(repr=False)
    answer: str = field(repr=False)
    model: BaseChatModel
    model_name: str

    @classmethod
    def of(cls, request: RunRequest, outcome: RunOutcome) -> "UntitledTurn | None":
        """What is needed of a run; None if nobody is there to make a title."""
        if request.context.model is None:
            return None
        return cls(
            scope=request.principal.scope,
            run_id=request.run_id,
            session_row_id=request.session_row_id,
            session_id=request.session_id,
            question=request.input.text,
            answer=outcome.content,
            model=request.context.model,
            model_name=request.model,
        )


class SessionTitles:
    """Gives sessions their titles behind their users' backs; what fails is not tried for long."""

    def __init__(self, database: Database, *, prompt: str) -> None:
        """Args: prompt: What a title should be like."""
        self._database = database
        self._prompt = prompt
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._making: set[asyncio.Task[None]] = set()
        self._titled: set[int] = set()
        """Sessions that need none, so that not every turn of theirs asks the database."""
        self._closed = False

    def take(self, request: RunRequest, outcome: RunOutcome) -> None:
        """Makes a title after a run, if its session needs one; returns at once."""
        if (
            self._closed
            or outcome.status != "success"
            or request.session_row_id in self._titled
            or len(self._making) >= MAX_WAITING
        ):
            return
        turn = UntitledTurn.of(request, outcome)
        if turn is not None:
            making = asyncio.create_task(self._make(turn), name="session-title")
            self._making.add(making)
            making.add_done_callback(self._making.discard)

    async def until_idle(self) -> None:
        """Waits for the titles that are in the making."""
        await asyncio.gather(*self._making)

    async def close(self) -> None:
        """Gives up what is in the making."""
        self._closed = True
        for task in self._making:
            task.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)

    async def _make(self, turn: UntitledTurn) -> None:
        try:
            async with self._turns:
                if not await self._is_wanted(turn):
                    return
                made = await make_title(
                    turn.model, prompt=self._prompt, question=turn.question, answer=turn.answer
                )
                await self._keep(turn, made)
        except NotFound:
            log.info("title_without_session", run_id=str(turn.run_id))
        except (AgentError, PersistenceError) as exc:
            log.warning("title_failed", run_id=str(turn.run_id), **describe(exc))
        except Exception as exc:  # noqa: BLE001 - the entry point of a task that nobody reads
            log.error("title_failed", run_id=str(turn.run_id), **describe(exc))

    async def _is_wanted(self, turn: UntitledTurn) -> bool:
        async with self._database.unit_of_work(turn.scope) as uow:
            session = await uow.sessions.get(turn.session_id)
        is_wanted = session.title_by == "first_line" and session.message_count <= TRIED_MESSAGES
        if not is_wanted:
            if len(self._titled) >= KEPT_SESSIONS:
                self._titled.clear()
            self._titled.add(session.id)
        return is_wanted

    async def _keep(self, turn: UntitledTurn, made: MadeTitle) -> None:
        calls = [
            ModelCall(
                model=call.model or turn.model_name,
                purpose="title",
                tokens_in=call.tokens_in,
                tokens_out=call.tokens_out,
                estimated=call.estimated,
                latency_ms=call.latency_ms,
            )
            for call in made.calls
        ]
        async with self._database.unit_of_work(turn.scope) as uow:
            # The session first, as whoever deletes it: in the other order the two could lock each
            # other out.
            if made.title is not None:
                await uow.sessions.improve_title(turn.session_row_id, made.title)
            await uow.model_calls.add_many(turn.scope.user_id, turn.run_id, calls)
            await uow.commit()


@asynccontextmanager
async def open_titles(database: Database, *, prompt: str) -> AsyncIterator[SessionTitles]:
    """Yields what makes titles; what is in the making at the end is given up."""
    titles = SessionTitles(database, prompt=prompt)
    try:
        yield titles
    finally:
        await titles.close()
