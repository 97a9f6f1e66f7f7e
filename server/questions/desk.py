"""Puts a question to a person and waits, wherever the answer comes in."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from graph.approvals import ProposedCall
from graph.events import QuestionClosed, QuestionOpened, QuestionStatus
from graph.hearing import PersonQuestion
from persistence.database import Database
from persistence.notifications import Channel, Notifications
from persistence.question_records import Question
from server.questions.asker import Asker
from server.questions.register import QuestionRegister
from server.questions.wording import as_shown
from tools.calls import ElicitationAnswer, Pausing
from tools.errors import RequestDeclined

RETRY_SECONDS = 1.0
"""After so long the database is asked again, when it could not be."""
SETTLE_SECONDS = 5.0
"""How long a server that stops waits until its questions are closed."""

Tell = Callable[[QuestionOpened | QuestionClosed], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Wait:
    """Somebody here waits for the end of a question."""

    asker: Asker
    question: Question
    over: asyncio.Event
    """Set when nobody needs the answer any more."""
    news: asyncio.Event
    """Set when the database is worth a look."""
    until: float


class QuestionDesk:
    """Asks people on behalf of the runs that are executed here.

    The call waits here, and whichever replica takes the answer writes it down and says so.
    """

    def __init__(
        self,
        database: Database,
        notifications: Notifications,
        *,
        seconds: float,
        pausing: Callable[[UUID], AbstractContextManager[None]],
    ) -> None:
        """Prepare to ask.

        Args:
            database: Has the questions.
            notifications: Say when one is over.
            seconds: How long an answer is waited for.
            pausing: Keeps the time of a run from being counted meanwhile.
        """
        self._register = QuestionRegister(database, seconds=seconds)
        self._seconds = seconds
        self._pausing = pausing
        self._waits: dict[UUID, _Wait] = {}
        self._busy: set[asyncio.Future[None]] = set()
        self._is_stopping = False
        notifications.subscribe(Channel.QUESTION_CLOSED, self._hear)
        notifications.on_gap(self._look_again)

    async def ask(
        self,
        asker: Asker,
        call: ProposedCall,
        asked: PersonQuestion,
        *,
        over: asyncio.Event,
        tell: Tell,
        pausing: Pausing,
    ) -> ElicitationAnswer:
        """Ask the run's person, and wait for the answer.

        Args:
            asker: The run.
            call: During which it is asked.
            asked: What the server wants to know.
            over: Set when nobody needs the answer any more.
            tell: Told of the question and of its end.
            pausing: Keeps the time of the calls from being counted while the question is open.

        Raises:
            RequestDeclined: It is not asked: it is not fit to be shown, the run has asked too
                often, or the product stops.
        """
        asker.require_more()
        new = as_shown(call, asked)
        if self._is_stopping:
            raise RequestDeclined("Nobody can be asked just now.")
        busy: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._busy.add(busy)
        try:
            question = await self._register.open(asker, new)
            with self._pausing(asker.claim.run_id), pausing():
                return await self._wait_for_answer(asker, question, over, tell)
        finally:
            self._busy.discard(busy)
            busy.set_result(None)

    def stop(self) -> None:
        """Ask nobody any more, and tell the servers that wait that nobody will answer."""
        self._is_stopping = True
        self._look_again()

    async def settle(self) -> None:
        """Wait until what was asked is closed."""
        if self._busy:
            await asyncio.wait(self._busy, timeout=SETTLE_SECONDS)

    async def _wait_for_answer(
        self, asker: Asker, question: Question, over: asyncio.Event, tell: Tell
    ) -> ElicitationAnswer:
        wait = _Wait(
            asker=asker,
            question=question,
            over=over,
            news=asyncio.Event(),
            until=asyncio.get_running_loop().time() + self._seconds,
        )
        self._waits[question.id] = wait
        tell(_opened(question))
        closed = replace(question, status="cancelled")
        try:
            closed = await self._until_closed(wait)
        except asyncio.CancelledError:
            # The server took it back, or its session ended.
            closed = await self._register.close(asker, question, "cancelled")
            raise
        finally:
            del self._waits[question.id]
            tell(QuestionClosed(question_id=str(question.id), status=_ending(closed)))
        if closed.status == "accepted":
            return ElicitationAnswer(action="accept", content=closed.content)
        return ElicitationAnswer(action="decline" if closed.status == "declined" else "cancel")

    async def _until_closed(self, wait: _Wait) -> Question:
        while True:
            wait.news.clear()
            stored = await self._register.read(wait.asker, wait.question)
            if stored is not None and stored.status != "open":
                return stored
            reason = await self._wait(wait, patiently=stored is not None)
            if reason is not None:
                return await self._register.close(wait.asker, wait.question, reason)

    async def _wait(
        self, wait: _Wait, *, patiently: bool
    ) -> Literal["expired", "cancelled"] | None:
        """Waits for news; why not to wait any longer, if so."""
        if self._is_stopping:
            return "cancelled"
        left = wait.until - asyncio.get_running_loop().time()
        ends = [asyncio.ensure_future(event.wait()) for event in (wait.news, wait.over)]
        try:
            await asyncio.wait(
                ends,
                timeout=max(0.0, left if patiently else min(left, RETRY_SECONDS)),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for end in ends:
                end.cancel()
        if wait.over.is_set() or self._is_stopping:
            return "cancelled"
        return "expired" if asyncio.get_running_loop().time() >= wait.until else None

    def _hear(self, payload: str) -> None:
        with suppress(ValueError):
            if (wait := self._waits.get(UUID(payload))) is not None:
                wait.news.set()

    def _look_again(self) -> None:
        for wait in self._waits.values():
            wait.news.set()


def _opened(question: Question) -> QuestionOpened:
    return QuestionOpened(
        question_id=str(question.id),
        call_id=question.call_id,
        tool=question.tool,
        kind=question.kind,
        message=question.message,
        schema=question.schema,
        url=question.url,
        expires_at=question.expires_at,
    )


def _ending(question: Question) -> QuestionStatus:
    return "cancelled" if question.status == "open" else question.status
