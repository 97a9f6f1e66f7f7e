"""Puts a question to a person and waits, wherever the answer comes in."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import structlog

from graph.approvals import ProposedCall
from graph.events import QuestionClosed, QuestionOpened, QuestionStatus
from graph.hearing import PersonQuestion
from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.notifications import Channel, Notifications
from persistence.question_records import NewQuestion, Question
from persistence.records import RunClaim
from server.audit.entry import audit_entry
from server.observability import describe
from server.questions.wording import as_shown
from server.security.principal import Origin, Principal
from tools.calls import ElicitationAnswer, Pausing
from tools.errors import RequestDeclined

QUESTIONS_MAX = 16
"""How often a run may ask its person."""
ASKED_ENOUGH = "This run has asked as often as a run may."
RETRY_SECONDS = 1.0
"""After so long the database is asked again, when it could not be."""
SETTLE_SECONDS = 5.0
"""How long a server that stops waits until its questions are closed."""

log = structlog.get_logger(__name__)

Tell = Callable[[QuestionOpened | QuestionClosed], None]


@dataclass(kw_only=True, eq=False)
class Asker:
    """The run on whose behalf a person is asked; one for each attempt at it."""

    claim: RunClaim
    principal: Principal
    origin: Origin
    turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    """Held while a question is opened, so that none is that others were not counted for."""
    has_asked_enough: bool = False
    """Whether the run may not ask any more."""


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
        self._database = database
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
        _require_more(asker)
        new = as_shown(call, asked)
        if self._is_stopping:
            raise RequestDeclined("Nobody can be asked just now.")
        busy: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._busy.add(busy)
        try:
            question = await self._open_whole(asker, new)
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
            closed = await self._close(asker, question, "cancelled")
            raise
        finally:
            del self._waits[question.id]
            tell(QuestionClosed(question_id=str(question.id), status=_ending(closed)))
        if closed.status == "accepted":
            return ElicitationAnswer(action="accept", content=closed.content)
        return ElicitationAnswer(action="decline" if closed.status == "declined" else "cancel")

    async def _open_whole(self, asker: Asker, new: NewQuestion) -> Question:
        """Opens a question; when that is cancelled none is left open."""
        async with asker.turn:
            _require_more(asker)
            opening = asyncio.create_task(self._open(asker, new))
            try:
                return await asyncio.shield(opening)
            except asyncio.CancelledError:
                await asyncio.wait({opening})
                if not opening.cancelled() and opening.exception() is None:
                    await self._close(asker, opening.result(), "cancelled")
                raise

    async def _open(self, asker: Asker, new: NewQuestion) -> Question:
        try:
            async with self._database.unit_of_work(asker.principal.scope) as uow:
                question = await uow.questions.ask(
                    asker.claim,
                    new,
                    expires_at=datetime.now(UTC) + timedelta(seconds=self._seconds),
                    most=QUESTIONS_MAX,
                )
                if question is None:
                    asker.has_asked_enough = True
                    raise RequestDeclined(ASKED_ENOUGH)
                await uow.audit.record(
                    audit_entry(
                        "question.ask",
                        asker.principal,
                        asker.origin,
                        resource=("question", str(question.id)),
                        details=describe_question(question),
                    )
                )
                await uow.commit()
        except PersistenceError as exc:
            log.warning("question_not_asked", run_id=str(asker.claim.run_id), **describe(exc))
            raise RequestDeclined("Nobody can be asked just now.") from exc
        return question

    async def _until_closed(self, wait: _Wait) -> Question:
        while True:
            wait.news.clear()
            stored = await self._read(wait)
            if stored is not None and stored.status != "open":
                return stored
            reason = await self._wait(wait, patiently=stored is not None)
            if reason is not None:
                return await self._close(wait.asker, wait.question, reason)

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

    async def _read(self, wait: _Wait) -> Question | None:
        """The question as it stands; None if the database does not say."""
        try:
            async with self._database.unit_of_work(wait.asker.principal.scope) as uow:
                found = await uow.questions.of_ids([wait.question.id])
        except PersistenceError as exc:
            log.warning("question_unread", **describe(exc))
            return None
        # Deleted with its session: then nobody will answer it.
        return found[0] if found else replace(wait.question, status="cancelled")

    async def _close(
        self, asker: Asker, question: Question, status: Literal["expired", "cancelled"]
    ) -> Question:
        """Closes a question unless it is over, and says how it stands then."""
        try:
            async with self._database.unit_of_work(asker.principal.scope) as uow:
                if status == "expired":
                    await uow.questions.expire(question.id)
                else:
                    await uow.questions.cancel(question.id)
                found = await uow.questions.of_ids([question.id])
                await uow.commit()
        except PersistenceError as exc:  # it is closed when its time is over
            log.warning("question_not_closed", **describe(exc))
            found = []
        return found[0] if found else replace(question, status=status)

    def _hear(self, payload: str) -> None:
        with suppress(ValueError):
            if (wait := self._waits.get(UUID(payload))) is not None:
                wait.news.set()

    def _look_again(self) -> None:
        for wait in self._waits.values():
            wait.news.set()


def _require_more(asker: Asker) -> None:
    if asker.has_asked_enough:
        raise RequestDeclined(ASKED_ENOUGH)


def describe_question(question: Question, **more: str) -> dict[str, str]:
    """What the audit trail keeps of a question; nothing that was said."""
    return {
        "run_id": str(question.run_id),
        "call_id": question.call_id,
        "tool": question.tool,
        "server": question.server,
        "kind": question.kind,
        **more,
    }


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
