import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import NotFound, RunInProgress
from persistence.identifiers import new_uuid7
from persistence.records import ChatSession, NewToolRun, Run
from tests.fixtures.rows import SYSTEM, create_session, start_run


async def finish(database: Database, scope: AccessScope, run: Run) -> None:
    async with database.unit_of_work(scope) as uow:
        await uow.runs.finish(
            run.id, "success", iterations=2, tool_calls=1, tokens_in=10, tokens_out=20
        )
        await uow.commit()


async def read(database: Database, scope: AccessScope, run: Run) -> Run:
    async with database.unit_of_work(scope) as uow:
        return await uow.runs.get(run.id)


async def test_a_run_begins_and_ends(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    assert (run.status, run.finished_at, run.user_id) == ("running", None, scope.user_id)
    await finish(database, scope, run)
    ended = await read(database, scope, run)
    assert (ended.status, ended.iterations, ended.tokens_out) == ("success", 2, 20)
    assert ended.finished_at is not None


async def test_a_session_has_one_live_run(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    with pytest.raises(RunInProgress):
        await start_run(database, scope, chat_session)
    await start_run(database, scope, await create_session(database, scope, "another"))
    await finish(database, scope, run)
    await start_run(database, scope, chat_session)


async def test_of_many_runs_that_begin_at_once_one_wins(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    begun = await asyncio.gather(
        *(start_run(database, scope, chat_session) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(each, Run) for each in begun) == 1
    assert sum(isinstance(each, RunInProgress) for each in begun) == 7


async def test_a_run_whose_process_died_makes_way_for_the_next(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    dead = await start_run(database, scope, chat_session, lease_seconds=-1)
    await start_run(database, scope, chat_session)
    lost = await read(database, scope, dead)
    assert (lost.status, lost.error_code) == ("error", "RUN_LOST")


async def test_of_many_that_follow_a_dead_run_one_wins(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    await start_run(database, scope, chat_session, lease_seconds=-1)
    begun = await asyncio.gather(
        *(start_run(database, scope, chat_session) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(each, Run) for each in begun) == 1
    assert sum(isinstance(each, RunInProgress) for each in begun) == 7


async def test_a_run_ends_once(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    await finish(database, scope, run)
    with pytest.raises(NotFound):
        await finish(database, scope, run)


async def test_a_run_that_was_given_up_too_early_still_ends_with_its_outcome(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session, lease_seconds=-1)
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.runs.expire(datetime.now(UTC)) == 1
        await uow.commit()
    await finish(database, scope, run)
    ended = await read(database, scope, run)
    assert (ended.status, ended.error_code) == ("success", None)


async def test_only_lapsed_leases_expire_unless_all_are_meant(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    live = await start_run(database, scope, chat_session)
    other = await create_session(database, scope, "another")
    await start_run(database, scope, other, lease_seconds=-1)
    async with database.unit_of_work(SYSTEM) as uow:
        now = datetime.now(UTC)
        assert await uow.runs.expire(now) == 1
        assert (await uow.runs.get(live.id)).status == "running"
        assert await uow.runs.expire(now, all_owners=True) == 1
        assert (await uow.runs.get(live.id)).error_code == "RUN_LOST"


async def test_a_process_renews_its_own_leases(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    mine = await start_run(database, scope, chat_session, lease_owner="me", lease_seconds=-1)
    other = await create_session(database, scope, "another")
    yours = await start_run(database, scope, other, lease_owner="you", lease_seconds=-1)
    async with database.unit_of_work(SYSTEM) as uow:
        now = datetime.now(UTC)
        assert await uow.runs.answering([chat_session.id]) == set()
        assert await uow.runs.renew("me", now + timedelta(minutes=1), [mine.id, yours.id]) == 1
        assert await uow.runs.answering([chat_session.id]) == {chat_session.id}
        assert await uow.runs.expire(now) == 1
        assert (await uow.runs.get(mine.id)).status == "running"


async def test_a_run_that_its_process_gave_up_lapses(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    given_up = await start_run(database, scope, chat_session, lease_owner="me", lease_seconds=-1)
    other = await create_session(database, scope, "another")
    kept = await start_run(database, scope, other, lease_owner="me", lease_seconds=-1)
    async with database.unit_of_work(SYSTEM) as uow:
        now = datetime.now(UTC)
        assert await uow.runs.renew("me", now + timedelta(minutes=1), ()) == 0
        assert await uow.runs.renew("me", now + timedelta(minutes=1), {kept.id}) == 1
        assert await uow.runs.expire(now) == 1
        assert (await uow.runs.get(given_up.id)).error_code == "RUN_LOST"


async def test_another_users_runs_are_out_of_reach(
    database: Database, scope: AccessScope, other_scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    with pytest.raises(NotFound):
        await start_run(database, other_scope, chat_session)
    with pytest.raises(NotFound):
        await finish(database, other_scope, run)
    with pytest.raises(NotFound):
        await read(database, other_scope, run)
    async with database.unit_of_work(other_scope) as uow:
        assert await uow.runs.expire(datetime.now(UTC), all_owners=True) == 0
        with pytest.raises(NotFound):
            await uow.tool_runs.add_many([tool_run(run)])


def tool_run(run: Run, result: str | None = "a result") -> NewToolRun:
    return NewToolRun(
        run_id=run.id,
        call_id="call-1",
        tool="units.convert",
        args={"value": 42},
        result=result,
        status="end",
        latency_ms=3,
        started_at=datetime.now(UTC),
    )


async def test_tool_calls_are_kept_together(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    async with database.unit_of_work(scope) as uow:
        await uow.tool_runs.add_many([])
        await uow.tool_runs.add_many([tool_run(run), tool_run(run, None), tool_run(run, "a\0b")])
        await uow.commit()


async def test_a_tool_call_of_an_unknown_run_is_refused(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    stray = replace(tool_run(run), run_id=new_uuid7())
    async with database.unit_of_work(scope) as uow:
        with pytest.raises(NotFound):
            await uow.tool_runs.add_many([tool_run(run), stray])
