"""Questions on PostgreSQL: who sees them, who answers them, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import AccessDenied, RunLost
from persistence.pool import APP_ROLE
from persistence.question_records import NewQuestion, Question, QuestionAnswer
from persistence.run_records import RunClaim
from tests.fixtures.rows import SYSTEM, create_session, start_run

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
ASKED = NewQuestion(
    call_id="1",
    tool="odd.tool",
    server="odd",
    kind="form",
    message="Who?",
    schema={"type": "object", "properties": {"name": {"type": "string"}}},
)
ACCEPT = QuestionAnswer(action="accept", content={"name": "Ada"})


@pytest.fixture
async def claim(database: Database, scope: AccessScope) -> RunClaim:
    run = await start_run(database, scope, await create_session(database, scope))
    return RunClaim(run_id=run.id, attempt=run.attempt, owner="this process")


async def ask(database: Database, scope: AccessScope, claim: RunClaim, **more: Any) -> Question:
    async with database.unit_of_work(scope) as uow:
        question = await uow.questions.ask(
            claim, replace(ASKED, **more), expires_at=LATER, most=100
        )
        await uow.commit()
    assert question is not None
    return question


async def answer(
    database: Database, scope: AccessScope, question: Question, *, now: datetime = NOW
) -> None:
    async with database.unit_of_work(scope) as uow:
        await uow.questions.answer(question.run_id, {question.id: ACCEPT}, now=now)
        await uow.commit()


async def read(database: Database, scope: AccessScope, run_id: UUID) -> list[Question]:
    async with database.unit_of_work(scope) as uow:
        return await uow.questions.of_runs([run_id])


async def test_a_question_reads_as_it_was_asked_and_answered(
    database: Database, scope: AccessScope, claim: RunClaim
) -> None:
    question = await ask(database, scope, claim)
    assert (question.message, question.schema, question.url) == ("Who?", ASKED.schema, None)
    assert (question.status, question.content, question.answered_at) == ("open", None, None)
    await answer(database, scope, question)
    [stored] = await read(database, scope, claim.run_id)
    assert (stored.status, stored.content, stored.answered_at) == ("accepted", {"name": "Ada"}, NOW)
    with pytest.raises(AccessDenied):
        await answer(database, scope, question)


async def test_nobody_else_sees_or_answers_it(
    database: Database, scope: AccessScope, other_scope: AccessScope, claim: RunClaim
) -> None:
    question = await ask(database, scope, claim)
    root = AccessScope(user_id=other_scope.user_id, is_root=True)
    for stranger in (other_scope, root):
        assert await read(database, stranger, claim.run_id) == []
        async with database.unit_of_work(stranger) as uow:
            assert (await uow.questions.list()).items == []
            assert await uow.questions.lock_of_run(claim.run_id) == []
            await uow.questions.cancel(question.id)
            await uow.questions.cancel_of_run(claim.run_id)
            await uow.commit()
        with pytest.raises(AccessDenied):
            await answer(database, stranger, question)
    with pytest.raises(AccessDenied):
        await answer(database, SYSTEM, question)
    [stored] = await read(database, scope, claim.run_id)
    assert stored.status == "open"


async def test_a_process_that_lost_its_run_asks_nobody(
    database: Database, scope: AccessScope, other_scope: AccessScope, claim: RunClaim
) -> None:
    for who, held in (
        (scope, replace(claim, attempt=2)),
        (scope, replace(claim, owner="another")),
        (other_scope, claim),
    ):
        with pytest.raises(RunLost):
            await ask(database, who, held)


async def test_a_run_asks_so_often_and_no_more(
    database: Database, scope: AccessScope, claim: RunClaim
) -> None:
    await ask(database, scope, claim)
    async with database.unit_of_work(scope) as uow:
        assert await uow.questions.ask(claim, ASKED, expires_at=LATER, most=1) is None


async def test_what_is_over_stays_as_it_ended(
    database: Database, scope: AccessScope, claim: RunClaim
) -> None:
    answered, cancelled = await ask(database, scope, claim), await ask(database, scope, claim)
    late, left = await ask(database, scope, claim), await ask(database, scope, claim)
    await answer(database, scope, answered)
    async with database.unit_of_work(scope) as uow:
        await uow.questions.cancel(cancelled.id)
        await uow.questions.expire(late.id)
        for each in (answered, cancelled, late):
            await uow.questions.cancel(each.id)
            await uow.questions.expire(each.id)
        await uow.questions.cancel_of_run(claim.run_id)
        await uow.commit()
    ended = {each.id: each.status for each in await read(database, scope, claim.run_id)}
    assert ended == {
        answered.id: "accepted",
        cancelled.id: "cancelled",
        late.id: "expired",
        left.id: "cancelled",
    }


async def test_an_answer_after_its_time_is_none_and_the_question_is_closed(
    database: Database, scope: AccessScope, claim: RunClaim
) -> None:
    question = await ask(database, scope, claim)
    with pytest.raises(AccessDenied):
        await answer(database, scope, question, now=LATER)
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.questions.expire_all(LATER - timedelta(seconds=1)) == 0
        assert await uow.questions.expire_all(LATER) == 1
        await uow.commit()
    [stored] = await read(database, scope, claim.run_id)
    assert stored.status == "expired"


async def test_the_list_is_filtered_and_the_newest_comes_first(
    database: Database, scope: AccessScope, claim: RunClaim
) -> None:
    first, second = await ask(database, scope, claim), await ask(database, scope, claim)
    await answer(database, scope, first)
    async with database.unit_of_work(scope) as uow:
        page = await uow.questions.list(run_id=claim.run_id)
        opened = await uow.questions.list(status="open")
    assert [each.id for each in page.items] == [second.id, first.id]
    assert ([each.id for each in opened.items], opened.total) == ([second.id], 1)


async def test_the_database_itself_keeps_what_was_decided(
    database: Database, database_url: str, scope: AccessScope, claim: RunClaim
) -> None:
    question = await ask(database, scope, claim)
    await answer(database, scope, question)
    app = await asyncpg.connect(database_url, server_settings={"role": APP_ROLE})
    try:
        for change in ("status = 'open'", "answer = NULL", "body = ''", "expires_at = now()"):
            statement = f"BEGIN; {scope.sql_settings}; UPDATE questions SET {change}; COMMIT"
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await app.execute(statement)
            await app.execute("ROLLBACK")
    finally:
        await app.close()


async def test_questions_go_with_their_session(
    database: Database, database_url: str, scope: AccessScope, claim: RunClaim
) -> None:
    await ask(database, scope, claim)
    owner = await asyncpg.connect(database_url)
    try:
        await owner.execute("DELETE FROM chat_sessions")
        assert await owner.fetchval("SELECT count(*) FROM questions") == 0
    finally:
        await owner.close()
