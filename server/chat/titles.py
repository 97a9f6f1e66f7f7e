"""Titles that the model makes, once a session's first message is answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from graph.errors import AgentError
from graph.titles import MadeTitle, make_title
from persistence.database import Database
from persistence.errors import NotFound, PersistenceError
from persistence.records import ModelCall
from server.observability import describe
from server.runs.run import RunOutcome, RunRequest

AT_ONCE = 2
"""Titles in the making; people who wait for an answer have more right to the model."""
MAX_WAITING = 100
TRIED_MESSAGES = 6
"""A session that has more of them keeps its first line: the model has failed before."""
KEPT_SESSIONS = 10_000

log = structlog.get_logger(__name__)


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
        making = asyncio.create_task(self._make(request, outcome), name="session-title")
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

    async def _make(self, request: RunRequest, outcome: RunOutcome) -> None:
        try:
            async with self._turns:
                if request.context.model is None or not await self._is_wanted(request):
                    return
                made = await make_title(
                    request.context.model,
                    prompt=self._prompt,
                    question=request.input.text,
                    answer=outcome.content,
                )
                await self._keep(request, made)
        except NotFound:
            log.info("title_without_session", run_id=str(request.run_id))
        except (AgentError, PersistenceError) as exc:
            log.warning("title_failed", run_id=str(request.run_id), **describe(exc))

    async def _is_wanted(self, request: RunRequest) -> bool:
        async with self._database.unit_of_work(request.principal.scope) as uow:
            session = await uow.sessions.get(request.session_id)
        is_wanted = session.title_by == "first_line" and session.message_count <= TRIED_MESSAGES
        if not is_wanted:
            if len(self._titled) >= KEPT_SESSIONS:
                self._titled.clear()
            self._titled.add(session.id)
        return is_wanted

    async def _keep(self, request: RunRequest, made: MadeTitle) -> None:
        calls = [
            ModelCall(
                model=call.model or request.model,
                purpose="title",
                tokens_in=call.tokens_in,
                tokens_out=call.tokens_out,
                estimated=call.estimated,
                latency_ms=call.latency_ms,
            )
            for call in made.calls
        ]
        async with self._database.unit_of_work(request.principal.scope) as uow:
            # The session first, as whoever deletes it: in the other order the two could lock each
            # other out.
            if made.title is not None:
                await uow.sessions.improve_title(request.session_row_id, made.title)
            await uow.model_calls.add_many(request.principal.user.id, request.run_id, calls)
            await uow.commit()


@asynccontextmanager
async def open_titles(database: Database, *, prompt: str) -> AsyncIterator[SessionTitles]:
    """Yields what makes titles; what is in the making at the end is given up."""
    titles = SessionTitles(database, prompt=prompt)
    try:
        yield titles
    finally:
        await titles.close()
