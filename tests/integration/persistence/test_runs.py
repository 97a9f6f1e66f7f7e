import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.approval_records import ApprovalAnswer, NewApproval
from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.errors import NotFound, QueueFull, RunInProgress, RunLost
from persistence.event_batches import EventBatch
from persistence.identifiers import new_uuid7
from persistence.run_records import ClaimedRun, ModelCall, NewToolRun, Run, RunClaim, RunInput
from tests.fixtures.rows import SYSTEM, create_session, start_run

OWNER = "this process"
ANOTHER = "another process"
LEASE_SECONDS = 60.0


def claim_of(run: Run, owner: str = OWNER) -> RunClaim:
    return RunClaim(run_id=run.id, attempt=run.attempt, owner=owner)


async def finish(
    database: Database, scope: AccessScope, run: Run, owner: str = OWNER, **values: Any
) -> None:
    async with database.unit_of_work(scope) as uow:
        figures: dict[str, Any] = {
            "iterations": 2,
            "tool_calls": 1,
            "tokens_in": 10,
            "tokens_out": 20,
        }
        await uow.runs.finish(claim_of(run, owner), "success", **figures, **values)
        await uow.commit()


async def take_lapsed(
    database: Database, *, owner: str = ANOTHER, mine: Collection[UUID] = ()
) -> list[ClaimedRun]:
    async with database.unit_of_work(SYSTEM) as uow:
        claimed = await uow.run_claims.claim_lapsed(owner, LEASE_SECONDS, mine=mine, limit=10)
        await uow.commit()
    return claimed


async def take_queued(database: Database, *, limit: int = 10) -> list[ClaimedRun]:
    async with database.unit_of_work(SYSTEM) as uow:
        claimed = await uow.run_claims.claim_queued(OWNER, LEASE_SECONDS, limit=limit)
        await uow.commit()
    return claimed


async def enqueue(
    database: Database, scope: AccessScope, session: ChatSession, *, max_queued: int = 10
) -> Run:
    asked = RunInput(session_id=session.session_id, thread_id=session.thread_id, text="and then?")
    async with database.unit_of_work(scope) as uow:
        run = await uow.runs.enqueue(
            new_uuid7(), session.id, model="a model", run_input=asked, max_queued=max_queued
        )
        await uow.commit()
    return run


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


async def test_a_run_whose_process_died_keeps_its_session_until_it_is_taken_over(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    dead = await start_run(database, scope, chat_session, lease_seconds=-1)
    with pytest.raises(RunInProgress):
        await start_run(database, scope, chat_session)
    [taken] = await take_lapsed(database)
    assert (taken.run.id, taken.run.attempt, taken.crashes) == (dead.id, 2, 1)
    assert taken.input is not None
    assert taken.input.text == "a question"
    with pytest.raises(RunInProgress):
        await start_run(database, scope, chat_session)
    await finish(database, scope, taken.run, ANOTHER)
    await start_run(database, scope, chat_session)


async def test_of_many_that_take_a_dead_run_one_gets_it(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    await start_run(database, scope, chat_session, lease_seconds=-1)
    taken = await asyncio.gather(*(take_lapsed(database, owner=f"p{n}") for n in range(8)))
    assert sum(map(len, taken)) == 1


async def test_a_run_ends_once(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    await finish(database, scope, run)
    with pytest.raises(RunLost):
        await finish(database, scope, run)


async def test_a_process_that_lost_its_run_writes_nothing_of_it(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session, lease_seconds=-1)
    [taken] = await take_lapsed(database)
    async with database.unit_of_work(scope) as uow:
        for write in (
            uow.runs.finish(claim_of(run), "success"),
            uow.runs.pause(claim_of(run)),
            uow.tool_runs.put(claim_of(run), tool_run(run)),
        ):
            with pytest.raises(RunLost):
                await write
        assert not await uow.run_claims.hand_over(claim_of(run))
        await uow.commit()
    assert (await read(database, scope, run)).status == "running"
    await finish(database, scope, taken.run, ANOTHER)


async def test_only_lapsed_leases_are_taken_and_never_those_that_live_here(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    await start_run(database, scope, chat_session)
    other = await create_session(database, scope, "another")
    lapsed = await start_run(database, scope, other, lease_seconds=-1)
    assert await take_lapsed(database, mine=[lapsed.id]) == []
    assert [each.run.id for each in await take_lapsed(database)] == [lapsed.id]
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.run_claims.lapse_all(LEASE_SECONDS) == 2


async def test_a_run_that_was_handed_over_has_not_crashed(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    async with database.unit_of_work(scope) as uow:
        assert await uow.run_claims.hand_over(claim_of(run))
        await uow.commit()
    [taken] = await take_lapsed(database)
    assert (taken.run.attempt, taken.crashes, taken.vain_crashes) == (2, 0, 0)


async def test_what_is_left_to_pay_is_handed_over_with_the_run(
    database: Database, scope: AccessScope, chat_session: ChatSession, database_url: str
) -> None:
    run = await start_run(database, scope, chat_session)
    call = ModelCall(
        model="m", purpose="answer", tokens_in=7, tokens_out=3, estimated=True, latency_ms=1
    )
    async with database.unit_of_work(scope) as uow:
        assert await uow.run_claims.hand_over(claim_of(run), model_calls=[call, call])
        await uow.commit()
    [taken] = await take_lapsed(database)
    figures = (taken.run.iterations, taken.run.tokens_in, taken.run.tokens_out)
    assert figures == (2, 14, 6)
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT run_id, user_id, tokens_in FROM model_calls")
    await connection.close()
    assert [tuple(row) for row in rows] == [(run.id, run.user_id, 7)] * 2


async def test_a_process_renews_its_own_leases_and_hears_of_cancels(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    mine = await start_run(database, scope, chat_session, lease_seconds=-1)
    other = await create_session(database, scope, "another")
    yours = await start_run(database, scope, other, lease_owner=ANOTHER, lease_seconds=-1)
    async with database.unit_of_work(scope) as uow:
        asked = await uow.run_claims.ask_cancel(mine.id)
        assert asked is not None
        await uow.commit()
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.run_claims.renew(OWNER, LEASE_SECONDS, ()) == []
        [held] = await uow.run_claims.renew(OWNER, LEASE_SECONDS, [mine.id, yours.id])
        await uow.commit()
    assert (held.run_id, held.attempt, held.cancel_asked) == (mine.id, 1, True)
    assert [each.run.id for each in await take_lapsed(database)] == [yours.id]


async def test_a_lease_is_held_while_somebody_has_locked_its_row_and_the_others_are_renewed(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    locked = await start_run(database, scope, chat_session)
    free = await start_run(database, scope, await create_session(database, scope, "another"))
    async with database.unit_of_work(scope) as changing, database.unit_of_work(SYSTEM) as uow:
        await changing.run_claims.ask_cancel(locked.id)
        held = await uow.run_claims.renew(OWNER, LEASE_SECONDS, [locked.id, free.id])
        assert {(each.run_id, each.renewed) for each in held} == {
            (locked.id, False),
            (free.id, True),
        }
        await uow.commit()


async def test_a_crash_is_in_vain_when_there_was_nothing_new_of_the_run(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session, lease_seconds=-1)
    counted = []
    for last_id, tells in enumerate([True, False, False, True], 1):
        if tells:
            async with database.unit_of_work(SYSTEM) as uow:
                batch = EventBatch.of(run.id, 1, after=last_id, events=[("log", "news")])
                await uow.run_events.append(batch)
                await uow.run_claims.lapse_all(LEASE_SECONDS)
                await uow.commit()
        [taken] = await take_lapsed(database)
        counted.append((taken.crashes, taken.vain_crashes))
        async with database.unit_of_work(SYSTEM) as uow:
            await uow.run_claims.lapse_all(LEASE_SECONDS)
            await uow.commit()
    assert counted == [(1, 0), (2, 1), (3, 2), (4, 2)]


async def test_what_is_at_work_is_not_locked_when_sessions_are_deleted(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    await enqueue(database, scope, chat_session)
    quiet = await create_session(database, scope, "quiet")
    async with database.unit_of_work(scope) as erasing, database.unit_of_work(SYSTEM) as uow:
        sessions = [chat_session.id, quiet.id]
        assert await erasing.runs.answering(sessions) == {chat_session.id}
        [held] = await uow.run_claims.renew(OWNER, LEASE_SECONDS, [run.id])
        assert held.renewed


async def test_runs_wait_for_their_turn_in_the_order_in_which_they_came(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    first = await start_run(database, scope, chat_session)
    second = await enqueue(database, scope, chat_session)
    third = await enqueue(database, scope, chat_session)
    assert await take_queued(database) == []
    await finish(database, scope, first)
    for waiting in (second, third):
        [taken] = await take_queued(database)
        assert (taken.run.id, taken.run.attempt, taken.run.status) == (waiting.id, 1, "running")
        with pytest.raises(RunInProgress):  # nor does a new one push in
            await start_run(database, scope, chat_session)
        await finish(database, scope, taken.run)
    await start_run(database, scope, chat_session)


async def test_no_new_run_pushes_in_before_one_that_waits(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    first = await start_run(database, scope, chat_session)
    await enqueue(database, scope, chat_session)
    await finish(database, scope, first)
    with pytest.raises(RunInProgress):
        await start_run(database, scope, chat_session)


async def test_of_a_session_only_so_many_wait(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    await start_run(database, scope, chat_session)
    for _ in range(2):
        await enqueue(database, scope, chat_session, max_queued=2)
    with pytest.raises(QueueFull):
        await enqueue(database, scope, chat_session, max_queued=2)


async def test_no_more_is_taken_from_a_queue_than_was_asked_for_however_many_wait(
    database: Database, scope: AccessScope
) -> None:
    waiting = []
    for name in ("a", "b", "c", "d", "e"):
        session = await create_session(database, scope, name)
        first = await start_run(database, scope, session)
        waiting.append(await enqueue(database, scope, session))
        await finish(database, scope, first)
    assert [len(await take_queued(database, limit=2)) for _ in range(4)] == [2, 2, 1, 0]


async def test_of_many_that_take_from_a_queue_one_gets_the_run_whose_turn_it_is(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    first = await start_run(database, scope, chat_session)
    queued = [await enqueue(database, scope, chat_session) for _ in range(3)]
    await finish(database, scope, first)
    taken = await asyncio.gather(*(take_queued(database) for _ in range(8)))
    assert [each.run.id for batch in taken for each in batch] == [queued[0].id]


async def test_a_run_that_waits_is_ended_without_having_begun(
    database: Database, scope: AccessScope, other_scope: AccessScope, chat_session: ChatSession
) -> None:
    await start_run(database, scope, chat_session)
    waiting = await enqueue(database, scope, chat_session)
    async with database.unit_of_work(other_scope) as uow:
        assert await uow.run_claims.discard_queued(waiting.id) is None
    async with database.unit_of_work(scope) as uow:
        ended = await uow.run_claims.discard_queued(waiting.id)
        assert ended is not None
        assert await uow.run_claims.discard_queued(waiting.id) is None
        await uow.commit()
    assert ended.status == "cancelled"


async def test_a_run_waits_for_a_person_and_is_taken_when_nothing_is_pending(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    asked = NewApproval(request_id="r", call_id="c", tool="files.delete", args={"path": "x"})
    async with database.unit_of_work(scope) as uow:
        await uow.runs.pause(claim_of(run), iterations=1)
        expires_at = datetime.now(UTC) + timedelta(hours=1)
        [approval] = await uow.approvals.ask(run.id, [asked], expires_at=expires_at)
        await uow.commit()
    with pytest.raises(RunInProgress):
        await start_run(database, scope, chat_session)
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.run_claims.claim_answered(OWNER, LEASE_SECONDS, limit=10) == []
    async with database.unit_of_work(scope) as uow:
        answer = ApprovalAnswer(decision="allow")
        await uow.approvals.decide(run.id, {approval.id: answer}, now=datetime.now(UTC))
        await uow.commit()
    async with database.unit_of_work(SYSTEM) as uow:
        [taken] = await uow.run_claims.claim_answered(OWNER, LEASE_SECONDS, limit=10)
    assert (taken.run.attempt, taken.crashes, taken.run.iterations) == (2, 0, 1)


async def test_what_model_calls_cost_is_kept_with_the_end_of_the_run(
    database: Database, scope: AccessScope, chat_session: ChatSession, database_url: str
) -> None:
    run = await start_run(database, scope, chat_session)
    call = ModelCall(
        model="m", purpose="answer", tokens_in=7, tokens_out=3, estimated=False, latency_ms=1
    )
    await finish(database, scope, run, model_calls=[call, call])
    connection = await asyncpg.connect(database_url)
    kept = await connection.fetchrow("SELECT count(*), sum(tokens_in) FROM model_calls")
    await connection.close()
    assert kept is not None
    assert tuple(kept) == (2, 14)


async def test_a_session_that_is_being_deleted_has_no_run_taken(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    async with database.unit_of_work(scope) as uow:
        await uow.runs.pause(claim_of(run))
        await uow.commit()
    async with database.unit_of_work(scope) as erasing, database.unit_of_work(SYSTEM) as uow:
        assert await erasing.runs.answering([chat_session.id]) == set()
        assert await uow.run_claims.claim_answered(OWNER, LEASE_SECONDS, limit=10) == []
    async with database.unit_of_work(SYSTEM) as uow:
        assert len(await uow.run_claims.claim_answered(OWNER, LEASE_SECONDS, limit=10)) == 1


async def test_another_users_runs_are_out_of_reach(
    database: Database, scope: AccessScope, other_scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    with pytest.raises(NotFound):
        await start_run(database, other_scope, chat_session)
    with pytest.raises(RunLost):
        await finish(database, other_scope, run)
    with pytest.raises(NotFound):
        await read(database, other_scope, run)
    async with database.unit_of_work(other_scope) as uow:
        assert await uow.run_claims.ask_cancel(run.id) is None
        assert await uow.runs.live() == []
        with pytest.raises(NotFound):
            await uow.tool_runs.add_many([tool_run(run)])


def tool_run(run: Run, result: str | None = "a result", *, call_id: str = "call-1") -> NewToolRun:
    return NewToolRun(
        run_id=run.id,
        call_id=call_id,
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
        await uow.tool_runs.add_many(
            [tool_run(run), tool_run(run, None, call_id="call-2")],
        )
        await uow.tool_runs.add_many([tool_run(run, "a\0b")])
        kept = await uow.tool_runs.of_runs([run.id])
        await uow.commit()
    assert [(each.call_id, each.result) for each in kept] == [("call-1", "a\0b"), ("call-2", None)]


async def test_a_tool_call_stands_as_begun_until_its_end_is_known(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    begun = replace(tool_run(run, None), status="begun", begun=2)
    async with database.unit_of_work(scope) as uow:
        await uow.tool_runs.put(claim_of(run), begun)
        assert (await uow.tool_runs.of_runs([run.id]))[0].status == "begun"
        await uow.tool_runs.put(claim_of(run), replace(begun, status="end", sources=({"id": 1},)))
        [kept] = await uow.tool_runs.of_runs([run.id])
        assert await uow.tool_runs.has_ended(run.id, begun.call_id)
        assert not await uow.tool_runs.has_ended(run.id, "another call")
    assert (kept.status, kept.begun, kept.sources) == ("end", 2, ({"id": 1},))


async def test_a_tool_call_of_an_unknown_run_is_refused(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    stray = replace(tool_run(run), run_id=new_uuid7())
    async with database.unit_of_work(scope) as uow:
        with pytest.raises(NotFound):
            await uow.tool_runs.add_many([tool_run(run), stray])


async def test_a_run_that_waits_for_a_person_is_taken_when_its_end_was_asked_for(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    asked = NewApproval(request_id="r", call_id="c", tool="files.delete", args={"path": "x"})
    async with database.unit_of_work(scope) as uow:
        await uow.runs.pause(claim_of(run))
        await uow.approvals.ask(run.id, [asked], expires_at=datetime.now(UTC) + timedelta(hours=1))
        await uow.commit()
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.run_claims.claim_answered(OWNER, LEASE_SECONDS, limit=10) == []
    async with database.unit_of_work(scope) as uow:
        await uow.run_claims.ask_cancel(run.id)
        await uow.commit()  # and whoever asked dies
    async with database.unit_of_work(SYSTEM) as uow:
        [taken] = await uow.run_claims.claim_answered(OWNER, LEASE_SECONDS, limit=10)
    assert (taken.run.id, taken.cancel_asked) == (run.id, True)


async def test_a_run_whose_turn_has_come_is_known_of_while_its_session_is_locked(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    first = await start_run(database, scope, chat_session)
    await enqueue(database, scope, chat_session)
    async with database.unit_of_work(SYSTEM) as uow:
        assert not await uow.run_claims.has_next()
    await finish(database, scope, first)
    async with database.unit_of_work(scope) as changing, database.unit_of_work(SYSTEM) as uow:
        await changing.sessions.rename(chat_session.session_id, "Another")
        assert await uow.run_claims.claim_queued(OWNER, LEASE_SECONDS, limit=1) == []
        assert await uow.run_claims.has_next()
    assert len(await take_queued(database)) == 1


async def test_a_restart_right_after_a_kill_loses_nothing_of_the_time_that_a_run_was_at_work(
    database: Database, scope: AccessScope, chat_session: ChatSession, database_url: str
) -> None:
    await start_run(database, scope, chat_session)
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "UPDATE runs SET taken_at = now() - interval '300 s', "
        f"lease_until = now() + interval '{LEASE_SECONDS} s'"
    )
    await connection.close()
    for _ in range(2):  # as it may go down again before the run is taken
        async with database.unit_of_work(SYSTEM) as uow:
            await uow.run_claims.lapse_all(LEASE_SECONDS)
            await uow.commit()
    [taken] = await take_lapsed(database)
    assert (taken.run.worked_seconds, taken.crashes) == (300, 1)


@pytest.mark.parametrize("lapses", ["by itself", "at a start"])
async def test_the_time_that_a_run_was_at_work_is_added_up_and_what_it_waited_is_not(
    database: Database,
    scope: AccessScope,
    chat_session: ChatSession,
    database_url: str,
    lapses: str,
) -> None:
    first = await start_run(database, scope, chat_session)
    await enqueue(database, scope, chat_session)
    await finish(database, scope, first)
    [begun] = await take_queued(database)
    assert begun.run.worked_seconds == 0
    spent = (
        "UPDATE runs SET taken_at = '2020-01-01 00:00Z', lease_until = '2020-01-01 00:05Z' "
        "WHERE status = 'running'"
    )
    connection = await asyncpg.connect(database_url)

    await connection.execute(spent)
    if lapses == "at a start":
        async with database.unit_of_work(SYSTEM) as uow:
            await uow.run_claims.lapse_all(LEASE_SECONDS)
            await uow.commit()
    [crashed] = await take_lapsed(database)
    assert crashed.run.worked_seconds == 300 - LEASE_SECONDS
    until = datetime(2020, 1, 1, 0, 5, tzinfo=UTC)
    assert crashed.run.worked_until == until - timedelta(seconds=LEASE_SECONDS)

    await connection.execute(spent)
    await connection.execute(
        "UPDATE runs SET status = 'awaiting_approval', lease_owner = '' WHERE status = 'running'"
    )
    await connection.close()
    async with database.unit_of_work(SYSTEM) as uow:
        [answered] = await uow.run_claims.claim_answered(OWNER, LEASE_SECONDS, limit=1)
        await uow.commit()
    assert answered.run.worked_seconds == 600 - LEASE_SECONDS
    assert answered.run.worked_until == until
    async with database.unit_of_work(SYSTEM) as uow:
        seized = await uow.run_claims.seize(answered.run.id, ANOTHER, LEASE_SECONDS)
    assert seized is not None
    assert seized.run.worked_seconds == 600 - LEASE_SECONDS
