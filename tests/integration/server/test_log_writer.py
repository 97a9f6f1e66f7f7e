"""How what runs have to show gets into the log: in order, once, and whatever the database does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persistence.autocommit import Autocommit
from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.event_log import EventLog
from persistence.pool import APP_ROLE, open_pool
from persistence.run_records import Run, RunClaim
from server.runs.log_writer import LogWriter
from server.runs.stream import RunStream
from tests.fakes.unsteady_database import UnsteadyDatabase
from tests.fixtures.rows import SYSTEM, create_session, start_run

OWNER = "this process"
PATIENT = (0.001,) * 10_000
IMPATIENT = (0.001,) * 3


@pytest.fixture
async def unsteady(database: Database) -> AsyncIterator[UnsteadyDatabase]:
    async with open_pool(
        database.dsn,
        max_size=4,
        statement_timeout_seconds=10,
        application_name="tests",
        role=APP_ROLE,
    ) as pool:
        yield UnsteadyDatabase(Autocommit(pool, pool_timeout_seconds=10))


@asynccontextmanager
async def writing(unsteady, key_ring, pauses=PATIENT) -> AsyncIterator[LogWriter]:
    writer = LogWriter(
        EventLog(unsteady, key_ring, requests=unsteady), owner=OWNER, retry_pauses_seconds=pauses
    )
    task = asyncio.create_task(writer.keep_writing())
    yield writer
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def writer(unsteady, key_ring) -> AsyncIterator[LogWriter]:
    async with writing(unsteady, key_ring) as opened:
        yield opened


@pytest.fixture
async def run(database: Database, scope, chat_session) -> Run:
    return await start_run(database, scope, chat_session, lease_owner=OWNER)


@pytest.fixture
def stream(writer: LogWriter, run: Run) -> RunStream:
    return attach(writer, run)


def attach(writer: LogWriter, run: Run, lost: list | None = None, attempt: int = 1) -> RunStream:
    stream = RunStream(last_id=1)
    writer.attach(run.id, attempt, stream, lambda: lost.append(run.id) if lost is not None else 0)
    return stream


async def stored(database: Database, run: Run) -> list:
    async with database.unit_of_work(SYSTEM) as uow:
        return (await uow.run_events.history(run.id)).events[1:]


async def reach(stream: RunStream, number: int) -> None:
    async with asyncio.timeout(20):
        while stream.stored_through < number:
            assert await stream.changed()


async def test_what_is_appended_at_once_goes_in_one_statement(
    database, unsteady, writer, scope, run
):
    runs = [run]
    for number in range(9):
        session = await create_session(database, scope, f"session {number}")
        runs.append(await start_run(database, scope, session, lease_owner=OWNER))
    streams = [attach(writer, each) for each in runs]
    for stream in streams:
        stream.append("token", {"text": "a"})
    await asyncio.gather(*(reach(stream, 2) for stream in streams))
    assert unsteady.statements == 1


async def test_a_flush_waits_until_all_is_stored(database, writer, run, stream):
    for text in "abc":
        stream.append("log", text)
    assert await writer.flush(run.id)
    assert stream.stored_through == 4
    assert await stored(database, run) == list(stream.read(1))


async def test_a_run_that_is_not_here_is_not_flushed(writer, run):
    assert not await writer.flush(run.id)
    assert writer.drain(run.id) == ()
    assert writer.stream(run.id) is None


async def test_a_batch_whose_answer_was_lost_is_stored_once(
    database, unsteady, writer, run, stream
):
    unsteady.answers_to_lose = 3
    stream.append("token", {"text": "a"})
    await asyncio.sleep(0)
    stream.append("token", {"text": "b"})
    await reach(stream, 3)
    assert [data for _, _, data in stream.read(1)] == [b'{"text":"a"}', b'{"text":"b"}']
    assert await stored(database, run) == list(stream.read(1))


async def test_streams_stand_still_while_the_database_is_away_and_go_on(
    database, unsteady, writer, run, stream
):
    unsteady.away.set()
    for number in range(100):
        stream.append("token", {"text": f"{number} "})
        await asyncio.sleep(0)
    seen = unsteady.statements
    while unsteady.statements < seen + 5:
        await asyncio.sleep(0)
    assert stream.stored_through == 1
    unsteady.away.clear()
    await writer.flush(run.id)
    text = "".join(json.loads(data)["text"] for _, _, data in stream.read(1))
    assert text == "".join(f"{number} " for number in range(100))
    assert len(stream.read(1)) == 2  # what was on its way, and all that waited meanwhile


async def test_a_database_that_stays_away_breaks_the_streams_off(unsteady, key_ring, run):
    unsteady.away.set()
    lost: list = []
    async with writing(unsteady, key_ring, IMPATIENT) as writer:
        stream = attach(writer, run, lost)
        stream.append("log", 1)
        assert not await writer.flush(run.id)
        assert stream.closed
        assert json.loads(stream.fault)["code"] == "SERVICE_UNAVAILABLE"
        assert lost == [run.id]
        assert writer.stream(run.id) is None


async def test_a_run_that_was_taken_over_is_dropped(database, writer, run):
    lost: list = []
    stream = attach(writer, run, lost)
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.run_claims.seize(run.id, "another process", 60)
        await uow.commit()
    stream.append("log", 1)
    assert not await writer.flush(run.id)
    assert lost == [run.id]
    assert stream.closed
    assert stream.fault is None
    assert stream.stored_through == 1
    assert await stored(database, run) == []


async def test_an_older_attempt_of_the_same_process_stores_nothing(database, writer, run):
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.run_claims.seize(run.id, OWNER, 60)
        await uow.commit()
    stream = attach(writer, run, attempt=1)
    stream.append("log", 1)
    assert not await writer.flush(run.id)
    assert await stored(database, run) == []


@pytest.mark.parametrize(
    ("refusal", "code"),
    [(PersistenceError("refused"), "DATABASE_ERROR"), (KeyError("a fault"), "INTERNAL_ERROR")],
)
async def test_a_run_that_is_refused_takes_no_other_with_it(
    database, unsteady, writer, scope, run, stream, refusal, code
):
    unsteady.refusal = refusal
    session = await create_session(database, scope, "another session")
    other = await start_run(database, scope, session, lease_owner=OWNER)
    unsteady.refuses = other.id
    lost: list = []
    refused = attach(writer, other, lost)
    refused.append("log", 1)
    stream.append("log", 2)
    await reach(stream, 2)
    assert not await writer.flush(other.id)
    assert lost == [other.id]
    assert json.loads(refused.fault)["code"] == code
    stream.append("log", 3)
    await reach(stream, 3)


async def test_who_begins_to_follow_a_run_while_another_is_refused_is_told_nevertheless(
    database, unsteady, writer, scope, run, stream
):
    stream.append("log", "stored before")
    await reach(stream, 2)
    session = await create_session(database, scope, "another session")
    other = await start_run(database, scope, session, lease_owner=OWNER)
    unsteady.refuses = other.id
    attach(writer, other).append("log", 1)

    writer.hear_watch(str(run.id))

    async with asyncio.timeout(20):
        while run.id not in unsteady.told:
            await asyncio.sleep(0)


async def test_a_database_that_goes_away_after_a_refusal_is_waited_for_once_by_all(
    database, unsteady, writer, scope, run, stream
):
    streams, lost = [stream], []
    for number in range(3):
        session = await create_session(database, scope, f"session {number}")
        other = await start_run(database, scope, session, lease_owner=OWNER)
        streams.append(attach(writer, other, lost))
    unsteady.refuses, unsteady.leaves = other.id, True
    for each in streams:
        each.append("log", 1)
    while unsteady.statements < 10:
        await asyncio.sleep(0)
    assert unsteady.runs_asked[:10] == [4, 1] + [4] * 8

    unsteady.leaves = False
    unsteady.away.clear()

    await asyncio.gather(*(reach(each, 2) for each in streams[:3]))
    assert not await writer.flush(other.id)
    assert lost == [other.id]


async def test_a_run_whose_row_is_locked_holds_no_other_up(database, writer, scope, run, stream):
    session = await create_session(database, scope, "another session")
    other = attach(writer, await start_run(database, scope, session, lease_owner=OWNER))
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.run_claims.ask_cancel(run.id)  # and keeps its row
        stream.append("log", 1)
        other.append("log", 2)
        await reach(other, 2)
        stream.append("log", 3)
        other.append("log", 4)
        await reach(other, 3)
        assert stream.stored_through == 1
        await uow.commit()
    await reach(stream, 3)
    assert await stored(database, run) == list(stream.read(1))


async def test_facts_that_are_no_json_break_off_their_run_alone(
    database, writer, scope, run, stream
):
    session = await create_session(database, scope, "another session")
    other = attach(writer, await start_run(database, scope, session, lease_owner=OWNER))
    other.note_usage({"what": object()})
    other.append("log", 1)
    stream.append("log", 2)
    await reach(stream, 2)
    async with asyncio.timeout(20):
        while not other.closed:
            await other.changed()
    assert other.fault is not None


@pytest.mark.parametrize("alone", [True, False])
async def test_events_that_cannot_be_put_together_break_off_their_run_alone(
    database, writer, scope, run, stream, alone
):
    session = await create_session(database, scope, "another session")
    lost: list = []
    other = attach(writer, await start_run(database, scope, session, lease_owner=OWNER), lost)
    other.append("token", {"text": ["no text"]})
    if not alone:
        stream.append("log", 1)
    async with asyncio.timeout(20):
        while not other.closed:
            await other.changed()
    assert len(lost) == 1
    assert other.stored_through == 1
    stream.append("log", 2)
    await writer.flush(run.id)
    assert stream.stored_through == (2 if alone else 3)


async def test_what_is_drained_is_stored_by_whoever_takes_it(
    database, unsteady, writer, run, stream
):
    unsteady.gate.clear()
    stream.append("log", "on its way")
    while not unsteady.statements:
        await asyncio.sleep(0)
    stream.append("log", "waiting")
    first = writer.drain(run.id, [("done", "one ending")])
    second = writer.drain(run.id, [("sources", []), ("done", "another ending")])
    assert [[data for _, data in batch.events] for batch in second] == [
        [b'"on its way"'],
        [b'"waiting"'],
        [b"[]", b'"another ending"'],
    ]
    assert first[:2] == second[:2]
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.runs.finish(claim(run), "success")
        await uow.run_events.append(*second)
        unsteady.gate.set()  # what was on its way arrives late, and finds the row locked
        await uow.commit()
    assert stream.stored_through == 1
    stream.confirm(*second)
    stream.close()
    assert [number for number, _, _ in stream.read(1)] == [2, 3, 4, 5]
    assert await stored(database, run) == list(stream.read(1))


def claim(run: Run) -> RunClaim:
    return RunClaim(run_id=run.id, attempt=1, owner=OWNER)


async def test_what_arrived_before_it_was_drained_is_not_stored_twice(
    database, unsteady, key_ring, run
):
    """The answer was lost: the batch is there, and is handed over nevertheless."""
    unsteady.answers_to_lose = 1
    async with writing(unsteady, key_ring, pauses=(60.0,)) as writer:
        stream = attach(writer, run)
        stream.append("log", 1)
        while unsteady.answers_to_lose:
            await asyncio.sleep(0)
        batches = writer.drain(run.id, [("done", 2)])
        async with database.unit_of_work(SYSTEM) as uow:
            await uow.runs.finish(claim(run), "success")
            await uow.run_events.append(*batches)
            await uow.commit()
        assert [data for _, _, data in await stored(database, run)] == [b"1", b"2"]


APPEND = st.sampled_from(["token", "reasoning", "log"])
OTHER = st.sampled_from(["flush", "give way", "lose an answer", "go away", "come back"])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(APPEND | OTHER, max_size=40))
async def test_any_interleaving_gives_one_transcript(  # of which the log has every byte
    database, unsteady, writer, scope, steps
):
    session = await create_session(database, scope, uuid4().hex)
    run = await start_run(database, scope, session, lease_owner=OWNER)
    stream = attach(writer, run)
    told: list[tuple[str, str]] = []
    flushes = []
    for number, step in enumerate(steps):
        match step:
            case "flush":
                flushes.append(asyncio.create_task(writer.flush(run.id)))
            case "give way":
                await asyncio.sleep(0)
            case "lose an answer":
                unsteady.answers_to_lose += 1
            case "go away":
                unsteady.away.set()
            case "come back":
                unsteady.away.clear()
            case _:
                told.append((step, f"{number} "))
                stream.append(step, {"text": f"{number} "})
    unsteady.away.clear()
    assert all(await asyncio.gather(*flushes))
    batches = writer.drain(run.id, [("done", {"text": ""})])
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.runs.finish(claim(run), "success")
        await uow.run_events.append(*batches)
        await uow.commit()
    stream.confirm(*batches)
    stream.close()
    shown = list(stream.read(1))
    assert shown == await stored(database, run)
    assert [number for number, _, _ in shown] == list(range(2, len(shown) + 2))
    pieces = [(name, json.loads(data)["text"]) for _, name, data in shown]
    assert joined(pieces[:-1]) == joined(told)
    assert [piece for piece in pieces if piece[0] == "log"] == [
        each for each in told if each[0] == "log"
    ]


def joined(pieces: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Neighbours of one kind as one."""
    return [
        (name, "".join(text for _, text in group))
        for name, group in groupby(pieces, key=lambda piece: piece[0])
    ]
