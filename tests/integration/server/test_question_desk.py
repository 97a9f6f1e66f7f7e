"""How a question is waited for: by the process that asks, until somebody or nothing answers."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from graph.approvals import ProposedCall
from graph.events import QuestionClosed, QuestionOpened
from graph.hearing import PersonQuestion
from persistence.access import AccessScope
from persistence.database import Database
from persistence.notifications import Notifications, open_notifications
from persistence.question_records import Question, QuestionAnswer
from persistence.repositories.run_events import RunHistory
from persistence.run_records import Run, RunClaim
from server.argument_faults import faults_in
from server.errors import InvalidContent
from server.questions import service
from server.questions.asker import QUESTIONS_MAX, Asker
from server.questions.desk import QuestionDesk
from server.runs.past import RunPast
from server.security.principal import Origin, Principal
from tests.fixtures.rows import SYSTEM, create_session, start_run
from tools.calls import ElicitationAnswer
from tools.errors import RequestDeclined

WAIT_SECONDS = 30
CALL = ProposedCall(call_id="1", tool="odd.tool", args={}, read_only=False, repeatable=False)
ASKED = PersonQuestion(
    kind="form",
    message="Who?",
    schema={"type": "object", "properties": {"name": {"type": "string"}}},
)

RUN = Run(
    id=UUID(int=1), session_row_id=1, user_id=1, model="m", status="running", error_code=None,
    iterations=0, tool_calls=0, tokens_in=0, tokens_out=0, started_at=datetime.now(UTC),
    finished_at=None,
)  # fmt: skip


@dataclass
class Room:
    """A desk, and a run that asks over it."""

    database: Database
    notifications: Notifications
    asker: Asker
    told: list[Any] = field(default_factory=list)
    pauses: int = 0
    """How often the time of the calls stood still."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def desk(self, *, seconds: float = 300) -> QuestionDesk:
        return QuestionDesk(
            self.database, self.notifications, seconds=seconds, pausing=lambda _: nullcontext()
        )

    def ask(
        self, desk: QuestionDesk, asked: PersonQuestion = ASKED
    ) -> "asyncio.Task[ElicitationAnswer]":
        return asyncio.create_task(self.asking(desk, asked))

    def asking(
        self, desk: QuestionDesk, asked: PersonQuestion = ASKED
    ) -> "Coroutine[Any, Any, ElicitationAnswer]":
        return desk.ask(
            self.asker, CALL, asked, over=self.over, tell=self.tell, pausing=self.pausing
        )

    @contextmanager
    def pausing(self) -> Iterator[None]:
        self.pauses += 1
        yield

    def tell(self, event: Any) -> None:
        self.told.append(event)
        self.opened.set()

    async def question(self) -> Question:
        async with asyncio.timeout(WAIT_SECONDS):
            await self.opened.wait()
        [stored] = await self.stored()
        return stored

    async def stored(self) -> list[Question]:
        async with self.database.unit_of_work(SYSTEM) as uow:
            return await uow.questions.of_runs([self.asker.claim.run_id])

    async def statuses(self) -> list[str]:
        return [each.status for each in await self.stored()]

    async def answer(self, question: Question) -> None:
        given = QuestionAnswer(action="accept", content={"name": "Ada"})
        async with self.database.unit_of_work(self.asker.principal.scope) as uow:
            await uow.questions.answer(question.run_id, {question.id: given}, now=datetime.now(UTC))
            await uow.commit()


@pytest.fixture
async def room(database: Database, scope: AccessScope) -> AsyncIterator[Room]:
    run = await start_run(database, scope, await create_session(database, scope))
    async with database.unit_of_work(SYSTEM) as uow:
        user = await uow.users.get(scope.user_id)
    asker = Asker(
        claim=RunClaim(run_id=run.id, attempt=run.attempt, owner="this process"),
        principal=Principal(user=user, scope=scope),
        origin=Origin(ip=None, user_agent=None, correlation_id="c"),
    )
    async with open_notifications(database.dsn) as notifications:
        yield Room(database, notifications, asker)


async def test_the_answer_comes_from_wherever_it_is_given(room: Room):
    asking = room.ask(room.desk())
    await room.answer(await room.question())
    async with asyncio.timeout(WAIT_SECONDS):
        answer = await asking
    assert (answer.action, answer.content) == ("accept", {"name": "Ada"})
    opened, closed = room.told
    assert isinstance(opened, QuestionOpened)
    assert closed == QuestionClosed(question_id=opened.question_id, status="accepted")


async def test_an_answer_of_which_no_word_came_is_found_when_the_connection_is_back(room: Room):
    deaf = Notifications()
    desk = QuestionDesk(room.database, deaf, seconds=300, pausing=lambda _: nullcontext())
    asking = room.ask(desk)
    await room.answer(await room.question())
    deaf.pass_on_gap()
    async with asyncio.timeout(WAIT_SECONDS):
        assert (await asking).action == "accept"


async def test_after_its_time_nobody_is_waited_for(room: Room):
    answer = await room.ask(room.desk(seconds=0.01))
    assert answer == ElicitationAnswer(action="cancel")
    assert room.told[-1].status == "expired"
    assert await room.statuses() == ["expired"]


async def test_when_the_call_ends_the_question_does(room: Room):
    asking = room.ask(room.desk())
    await room.question()
    room.over.set()
    assert (await asking).action == "cancel"
    assert (room.told[-1].status, await room.statuses()) == ("cancelled", ["cancelled"])


async def test_a_server_that_takes_its_question_back_leaves_none_open(room: Room):
    asking = room.ask(room.desk())
    await room.question()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (room.told[-1].status, await room.statuses()) == ("cancelled", ["cancelled"])


async def test_a_product_that_stops_closes_its_questions_and_asks_no_more(room: Room):
    desk = room.desk()
    asking = room.ask(desk)
    await room.question()
    desk.stop()
    await desk.settle()
    assert (await asking).action == "cancel"
    assert await room.statuses() == ["cancelled"]
    with pytest.raises(RequestDeclined):
        await room.ask(desk)


async def test_a_product_that_stops_at_the_moment_it_asks_waits_for_nobody(room: Room):
    desk = room.desk()
    room.tell = lambda _: desk.stop()  # type: ignore[method-assign]
    async with asyncio.timeout(WAIT_SECONDS):
        assert (await room.ask(desk)).action == "cancel"
    assert await room.statuses() == ["cancelled"]


async def test_a_question_that_is_deleted_with_its_session_is_over(room: Room):
    desk = room.desk()
    asking = room.ask(desk)
    await room.question()
    async with room.database.unit_of_work(room.asker.principal.scope) as uow:
        session = await uow.sessions.get("a session")
        await uow.sessions.delete([session.id])
        await uow.commit()
    room.notifications.pass_on_gap()
    assert (await asking).action == "cancel"


async def test_a_run_asks_no_more_than_it_may(room: Room):
    desk = room.desk(seconds=0.001)
    for _ in range(QUESTIONS_MAX):
        await room.ask(desk)
    with pytest.raises(RequestDeclined, match="as often as a run may"):
        await room.ask(desk)
    assert len(room.told) == 2 * QUESTIONS_MAX


async def test_a_run_that_asks_from_many_sides_at_once_asks_no_more_than_it_may(room: Room):
    desk = room.desk()
    asking = [room.ask(desk) for _ in range(2 * QUESTIONS_MAX)]
    async with asyncio.timeout(WAIT_SECONDS):
        done: set[Any] = set()
        while len(done) < QUESTIONS_MAX:
            more, _ = await asyncio.wait(set(asking) - done, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        assert await room.statuses() == ["open"] * QUESTIONS_MAX
        room.over.set()
        told = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(each, RequestDeclined) for each in told) == QUESTIONS_MAX


async def test_a_run_that_has_asked_enough_is_declined_at_once_and_its_time_goes_on(room: Room):
    paused: list[UUID] = []

    def pausing(run_id: UUID) -> Any:
        paused.append(run_id)
        return nullcontext()

    desk = QuestionDesk(room.database, room.notifications, seconds=0.001, pausing=pausing)
    for _ in range(QUESTIONS_MAX):
        await room.ask(desk)
    with pytest.raises(RequestDeclined):
        await room.ask(desk)
    with pytest.raises(RequestDeclined, match="as often as a run may"):
        room.asking(desk).send(None)  # which waits for nothing, and so not for the database
    assert len(paused) == room.pauses == QUESTIONS_MAX


async def test_a_process_that_has_lost_the_run_asks_nobody(room: Room):
    async with room.database.unit_of_work(SYSTEM) as uow:
        await uow.run_claims.seize(room.asker.claim.run_id, "another", 60)
        await uow.commit()
    with pytest.raises(RequestDeclined, match="Nobody can be asked"):
        await room.ask(room.desk())
    assert room.told == []


async def test_the_time_of_the_run_stands_still_meanwhile(room: Room):
    paused: list[UUID] = []

    def pausing(run_id: UUID) -> Any:
        paused.append(run_id)
        return nullcontext()

    desk = QuestionDesk(room.database, room.notifications, seconds=0.001, pausing=pausing)
    await room.ask(desk)
    assert paused == [room.asker.claim.run_id]
    assert room.pauses == 1


async def test_an_answer_with_more_choices_than_there_are_is_refused_before_they_are_compared(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tools.schema_faults.CHECK_SECONDS", 0)
    choices = {"type": "array", "maxItems": 2, "items": {"type": "string", "enum": ["a", "b"]}}
    asked = replace(ASKED, schema={"type": "object", "properties": {"some": choices}})
    asking = room.ask(room.desk(), asked)
    question = await room.question()
    many = ElicitationAnswer(action="accept", content={"some": ["a"] * 3})
    with pytest.raises(InvalidContent) as refused:
        await service.QuestionService(room.database).answer(
            room.asker.principal, room.asker.origin, question.run_id, {question.id: many}
        )
    assert refused.value.details["errors"] == [
        {"argument": "some", "problem": "does not fit 'maxItems': 2"}
    ]
    room.over.set()
    await asking


async def test_while_an_answer_is_checked_neither_the_question_nor_anybody_else_is_held_up(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    checking, may_go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def check(*given: Any) -> Any:
        loop.call_soon_threadsafe(checking.set)
        assert may_go_on.wait(WAIT_SECONDS)
        return faults_in(*given)

    monkeypatch.setattr(service, "faults_in", check)
    asking = room.ask(room.desk())
    question = await room.question()
    principal, answer = room.asker.principal, ElicitationAnswer(action="accept", content={})
    answering = asyncio.create_task(
        service.QuestionService(room.database).answer(
            principal, room.asker.origin, question.run_id, {question.id: answer}
        )
    )
    async with asyncio.timeout(WAIT_SECONDS):
        await checking.wait()
        async with room.database.unit_of_work(principal.scope) as uow:
            await uow.questions.lock_of_run(question.run_id)
        may_go_on.set()
        assert await answering == []
        assert (await asking).action == "accept"


def test_time_in_which_several_were_asked_at_once_counts_once():
    begin = datetime(2030, 1, 1, tzinfo=UTC)

    def asked(since: int, until: int | None) -> Question:
        return Question(
            id=UUID(int=since), run_id=UUID(int=1), user_id=1, call_id="1", tool="t", server="s",
            kind="url", message="", status="accepted", created_at=begin + timedelta(seconds=since),
            expires_at=begin + timedelta(seconds=since + 60),
            answered_at=until and begin + timedelta(seconds=until),
        )  # fmt: skip

    def past(*questions: Question, worked_until: int | None = None) -> RunPast:
        run = replace(RUN, worked_until=worked_until and begin + timedelta(seconds=worked_until))
        return RunPast(run=run, history=RunHistory(events=[], usage=[]), questions=questions)

    several = (asked(20, 25), asked(0, 10), asked(5, 8), asked(9, 12), asked(40, None))
    assert past(*several).asked_seconds == 17
    assert past(*several, worked_until=1_000).asked_seconds == 17
    # Those that were left open by a process that died.
    assert past(asked(10, 500)).asked_seconds == 60
    assert past(asked(10, 50), worked_until=30).asked_seconds == 20
    assert past(asked(10, 50), worked_until=5).asked_seconds == 0
