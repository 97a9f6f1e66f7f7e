"""Calls of models are counted for their user and outlive what they were made for."""

import pytest

from persistence.access import AccessScope
from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.errors import NotFound
from persistence.run_records import ModelCall
from tests.fixtures.rows import SYSTEM, start_run

CALLS = [
    ModelCall(
        model="a model",
        purpose="answer",
        tokens_in=10,
        tokens_out=number,
        estimated=False,
        latency_ms=5,
    )
    for number in range(3)
] + [
    ModelCall(
        model="a model",
        purpose="title",
        tokens_in=1,
        tokens_out=2,
        estimated=True,
        latency_ms=7,
    )
]


async def test_calls_come_back_as_they_were_counted(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    async with database.unit_of_work(scope) as uow:
        await uow.model_calls.add_many(scope.user_id, run.id, [])
        await uow.model_calls.add_many(scope.user_id, run.id, CALLS)
        await uow.commit()
        first = await uow.model_calls.after(0, limit=3)
        rest = await uow.model_calls.after(first[-1].id, limit=3)
    kept = [*first, *rest]
    assert [call.tokens_out for call in kept] == [0, 1, 2, 2]
    assert [call.purpose for call in kept] == ["answer", "answer", "answer", "title"]
    assert (kept[-1].estimated, kept[-1].latency_ms) == (True, 7)
    assert {call.run_id for call in kept} == {run.id}


async def test_calls_outlive_their_conversation(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    async with database.unit_of_work(scope) as uow:
        await uow.model_calls.add_many(scope.user_id, run.id, CALLS)
        await uow.sessions.delete([chat_session.id])
        await uow.model_calls.add_many(scope.user_id, run.id, CALLS[-1:])
        await uow.commit()
        assert [call.run_id for call in await uow.model_calls.after(0, limit=9)] == [None] * 5


async def test_nobody_counts_or_reads_calls_of_others(
    database: Database, scope: AccessScope, other_scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.model_calls.add_many(scope.user_id, run.id, CALLS)
        await uow.commit()
    async with database.unit_of_work(other_scope) as uow:
        assert await uow.model_calls.after(0, limit=9) == []
        with pytest.raises(NotFound):
            await uow.model_calls.add_many(scope.user_id, run.id, CALLS)
        await uow.model_calls.add_many(other_scope.user_id, run.id, CALLS[:1])
        assert [call.run_id for call in await uow.model_calls.after(0, limit=9)] == [None]
