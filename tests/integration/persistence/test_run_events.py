"""The log of events: who may write it, what comes out of it, and what is refused."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.errors import DecryptionError, EventsMissing, NotFound
from persistence.event_batches import EventBatch
from persistence.identifiers import new_uuid7
from persistence.run_records import Run, RunClaim
from tests.fixtures.rows import SYSTEM, create_session, start_run

OWNER = "this process"


@pytest.fixture
async def run(database: Database, scope: AccessScope, chat_session: ChatSession) -> Run:
    return await start_run(database, scope, chat_session, lease_owner=OWNER)


def batch(run: Run, after: int, *data: object, attempt: int = 1) -> EventBatch:
    return EventBatch.of(run.id, attempt, after=after, events=[("log", each) for each in data])


async def look(database: Database, scope: AccessScope, run: Run, after: int, limit: int = 100):
    async with database.unit_of_work(scope) as uow:
        return await uow.run_events.look(run.id, after=after, limit=limit)


async def store(database: Database, *batches: EventBatch) -> frozenset[UUID]:
    appended = await database.event_log.append(OWNER, batches)
    assert not appended.locked
    return appended.stored


async def finish(database: Database, run: Run, *batches: EventBatch) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.runs.finish(RunClaim(run_id=run.id, attempt=1, owner=OWNER), "success")
        await uow.run_events.append(*batches)
        await uow.commit()


async def change(database: Database, sql: str, *values: object) -> None:
    connection = await asyncpg.connect(database.dsn)
    await connection.execute(sql, *values)
    await connection.close()


async def test_the_first_event_comes_from_the_rows(database, scope, run):
    found = await look(database, scope, run, 0)
    data = b'{"run_id":"%b","session_id":"a session"}' % str(run.id).encode()
    assert found.events == [(1, "run", data)]
    assert (found.status, found.attempt, found.expired, found.more) == ("running", 1, False, False)


async def test_what_follows_any_event_is_found_also_in_the_middle_of_a_batch(database, scope, run):
    await store(database, batch(run, 1, 2, 3, 4))
    await store(database, batch(run, 4, 5))
    await store(database, batch(run, 5, 6, 7))
    for after in range(1, 10):
        found = await look(database, scope, run, after)
        assert [int(data) for _, _, data in found.events] == list(range(after + 1, 8))
    found = await look(database, scope, run, 2, limit=2)
    assert [number for number, _, _ in found.events] == [3, 4, 5]
    assert found.more


async def test_events_of_many_runs_go_in_one_statement(database, scope, run):
    runs = [run]
    for number in range(3):
        session = await create_session(database, scope, f"session {number}")
        runs.append(await start_run(database, scope, session, lease_owner=OWNER))
    held = await store(database, *(batch(each, 1, index) for index, each in enumerate(runs)))
    assert held == {each.id for each in runs}
    for index, each in enumerate(runs):
        [event] = (await look(database, scope, each, 1)).events
        assert event == (2, "log", b"%d" % index)


@pytest.mark.parametrize("fault", ["another owner", "an older attempt", "ended", "unknown"])
async def test_who_does_not_hold_a_run_stores_nothing(database, scope, run, fault):
    written = batch(run, 1, "a")
    owner = OWNER
    match fault:
        case "another owner":
            owner = "another process"
        case "an older attempt":
            async with database.unit_of_work(SYSTEM) as uow:
                await uow.run_claims.seize(run.id, OWNER, 60)
                await uow.commit()
        case "ended":
            await finish(database, run)
        case "unknown":
            written = EventBatch.of(new_uuid7(), 1, after=1, events=[("log", 1)])
    appended = await database.event_log.append(owner, [written])
    assert (appended.stored, appended.locked) == (set(), set())
    assert (await look(database, scope, run, 1)).events == []


async def test_a_takeover_waits_for_what_is_being_stored_and_finds_it(database, scope, run):
    connection = await asyncpg.connect(database.dsn)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(
        "SELECT * FROM youworker_append_events($1, $2, $3, $4, $5, $6, $7)",
        *(OWNER, [run.id], [1], [2], [1], [b"anything"], []),
    )

    async def take_over() -> int:
        async with database.unit_of_work(SYSTEM) as uow:
            await uow.run_claims.seize(run.id, "another process", 60)
            last_id = await uow.run_events.last_id(run.id)
            await uow.commit()
        return last_id

    taking = asyncio.create_task(take_over())
    while not await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ):
        await asyncio.sleep(0)
    assert not taking.done()
    await transaction.commit()
    await connection.close()
    assert await taking == 2
    assert await store(database, batch(run, 2, "late")) == set()


async def test_the_same_batch_sent_again_is_left_as_it_is(database, scope, run):
    await store(database, batch(run, 1, "first"))
    assert await store(database, batch(run, 1, "first")) == {run.id}
    await finish(database, run, batch(run, 1, "first"), batch(run, 2, "last"))
    found = await look(database, scope, run, 1)
    assert [data for _, _, data in found.events] == [b'"first"', b'"last"']


async def test_facts_come_back_with_the_history(database, scope, run):
    facts = {"tokens_in": 5, "name": "\ud83d"}
    one = EventBatch(run_id=run.id, attempt=1, first_id=2, events=(("log", b"1"),), usage=(facts,))
    await store(database, one)
    await store(database, batch(run, 2, 2))
    async with database.unit_of_work(SYSTEM) as uow:
        history = await uow.run_events.history(run.id)
        assert await uow.run_events.last_id(run.id) == history.last_id == 3
    assert history.usage == [facts]
    assert [number for number, _, _ in history.events] == [1, 2, 3]


async def test_nobody_else_sees_or_writes_events(database, scope, other_scope, run):
    await store(database, batch(run, 1, "a"))
    with pytest.raises(NotFound):
        await look(database, other_scope, run, 0)
    async with database.unit_of_work(other_scope) as uow:
        with pytest.raises(NotFound):
            await uow.run_events.history(run.id)
        assert await uow.run_events.last_id(run.id) == 1
        await uow.run_events.append(batch(run, 2, "forged"))
        await uow.commit()
    assert len((await look(database, scope, run, 1)).events) == 1


async def test_no_text_is_stored_in_clear(database, run, key_ring: KeyRing):
    await store(database, batch(run, 1, {"message": "a secret of somebody"}))
    connection = await asyncpg.connect(database.dsn)
    [body] = [row["body"] for row in await connection.fetch("SELECT body FROM run_events")]
    await connection.close()
    assert b"secret" not in body
    assert b"secret" in key_ring.decrypt(body, context=f"run_events.body/{run.id}/2")


@pytest.mark.parametrize(
    "change_to",
    [
        'body = \'{"e":[["log","1"]],"u":[]}\'',
        "body = set_byte(body, 60, get_byte(body, 60) # 1)",
        "first_id = 4",
        "count = 1",
        "body = (SELECT body FROM run_events WHERE first_id = 4)",
    ],
    ids=["clear", "changed", "moved", "cut short", "of another place"],
)
async def test_what_was_tampered_with_is_refused(database, scope, run, change_to):
    await store(database, batch(run, 1, 2, 3))
    if "SELECT" in change_to:
        await store(database, batch(run, 3, 4))
    await change(database, f"UPDATE run_events SET {change_to} WHERE first_id = 2")
    with pytest.raises(DecryptionError):
        await look(database, scope, run, 1)
    async with database.unit_of_work(SYSTEM) as uow:
        with pytest.raises(DecryptionError):
            await uow.run_events.history(run.id)


async def test_events_that_were_taken_out_are_missed(database, scope, run):
    for after in range(1, 4):
        await store(database, batch(run, after, after + 1))
    await change(database, "DELETE FROM run_events WHERE first_id = 3")
    for after in (0, 1, 2):
        with pytest.raises(EventsMissing):
            await look(database, scope, run, after)
    assert len((await look(database, scope, run, 3)).events) == 1


async def test_events_of_runs_that_ended_long_ago_are_deleted(database, scope, run):
    session = await create_session(database, scope, "one that goes on")
    live = await start_run(database, scope, session, lease_owner=OWNER)
    await store(database, batch(run, 1, "a"), batch(live, 1, "b"))
    await finish(database, run)
    now = datetime.now(UTC)
    for ended_before, count in (
        (now - timedelta(hours=1), 0),
        (now + timedelta(hours=1), 1),
        (now + timedelta(hours=1), 0),
    ):
        async with database.unit_of_work(SYSTEM) as uow:
            assert await uow.run_events.expire(ended_before=ended_before, limit=10) == count
            await uow.commit()
    found = await look(database, scope, run, 0)
    assert (found.expired, found.events) == (True, [])
    found = await look(database, scope, live, 0)
    assert (found.expired, len(found.events)) == (False, 2)
