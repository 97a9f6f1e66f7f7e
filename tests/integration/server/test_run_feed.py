"""The events of a run, written by one replica and read in any."""

import asyncio
import json
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persistence.approval_records import ApprovalAnswer
from persistence.conversation_records import ChatSession
from persistence.event_batches import StoredEvent
from tests.fixtures.rows import create_session
from tests.fixtures.run_replicas import Execution, OpenReplica, Reader, Replica

BOTH = pytest.mark.parametrize("where", ["here", "there"])


@pytest.fixture
async def execution(here: Replica, scope, chat_session: ChatSession) -> Execution:
    """A run that is executed here."""
    return await here.begin(scope, chat_session)


@pytest.fixture
def reading(here: Replica, there: Replica, where: str) -> Replica:
    """The replica in which is read."""
    return {"here": here, "there": there}[where]


@BOTH
async def test_a_run_is_followed_live_to_its_end(here, reading, scope, execution):
    reader = reading.reader(scope, execution.run_id)
    await reader.read_to(1)
    for number in range(2, 12):
        execution.say(f"event {number}")
        await reader.read_to(number)
    ending = asyncio.create_task(reader.read_to_end())
    execution.say("the last but one")
    await here.finish(execution)
    events = await ending
    assert [number for number, _, _ in events] == list(range(1, 14))
    assert events[0][1:] == (
        "run",
        b'{"run_id":"%b","session_id":"a session"}' % str(execution.run_id).encode(),
    )
    assert events[5] == (6, "log", b'{"message":"event 6"}')
    assert events[-1] == (13, "done", b'{"metadata":{"status":"success"}}')


@BOTH
async def test_a_replay_equals_the_live_stream_byte_for_byte(here, reading, scope, execution):
    live = here.reader(scope, execution.run_id)
    following = asyncio.create_task(live.read_to_end())
    for number in range(30):
        execution.stream.append("token", {"text": f"è{number} \ud83d"})
        if number % 7 == 0:
            execution.stream.append("tool", {"args": {"n": 2**70, "x": 0.1, "s": "\u2028\\n"}})
        await asyncio.sleep(0)
    await here.finish(execution)
    events = await following
    assert await reading.reader(scope, execution.run_id).read_to_end() == events
    text = "".join(json.loads(data)["text"] for _, name, data in events if name == "token")
    assert text == "".join(f"è{number} \ud83d" for number in range(30))


@BOTH
async def test_who_comes_back_gets_what_follows_and_nothing_else(here, reading, scope, execution):
    execution.say("2", "3", "4")
    await here.finish(execution)
    whole = await reading.reader(scope, execution.run_id).read_to_end()
    for after in range(7):
        rest = await reading.reader(scope, execution.run_id, after=after).read_to_end()
        assert rest == whole[after:]


async def test_nothing_is_shown_before_it_is_stored(here, there, scope, execution):
    execution.say("2")
    assert execution.stream.stored_through == 1
    assert await here.writer.flush(execution.run_id)
    assert execution.stream.stored_through == 2
    assert await here.writer.flush(execution.run_id)
    reader = there.reader(scope, execution.run_id, after=1)
    await reader.read_to(2)


async def test_a_reader_elsewhere_misses_nothing_that_comes_while_it_begins(
    here, there, scope, execution
):
    """Between its first look and the moment at which the other replica hears of it."""
    writing = True

    async def write() -> None:
        while writing:
            execution.say("more")
            await here.writer.flush(execution.run_id)

    task = asyncio.create_task(write())
    readers = [there.reader(scope, execution.run_id) for _ in range(5)]
    for reader in readers:
        await reader.read_to(20)
    writing = False
    await task
    await asyncio.gather(*(r.read_to(execution.stream.stored_through) for r in readers))
    assert len({tuple(reader.events) for reader in readers}) == 1


async def test_readers_that_wait_hold_no_connection(here, there, scope, execution):
    readers = [there.reader(scope, execution.run_id) for _ in range(500)]
    await asyncio.gather(*(reader.read_to(1) for reader in readers))
    waiting = [asyncio.create_task(reader.read_to(2)) for reader in readers]
    # What each does once more when its watch has been asked for.
    while there.database.pool_usage.in_use:
        await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    assert there.database.pool_usage.in_use == 0
    execution.say("2")
    await asyncio.gather(*waiting)


async def test_a_slow_reader_holds_up_nobody_and_gets_everything(here, scope, execution):
    slow = here.reader(scope, execution.run_id)
    await slow.read_to(1)
    quick = here.reader(scope, execution.run_id)
    piece = "x" * 10_000
    for number in range(2, 202):  # four times what is kept at hand
        execution.say(piece)
        await quick.read_to(number)
    assert not execution.stream.reaches(1)
    await here.finish(execution)
    assert await slow.read_to_end() == await quick.read_to_end()


@BOTH
async def test_a_feed_goes_on_when_another_replica_takes_the_run(
    here, there, reading, scope, execution
):
    reader = reading.reader(scope, execution.run_id)
    execution.say("from here")
    await reader.read_to(2)
    ending = asyncio.create_task(reader.read_to_end())
    second = await there.seize(execution.run_id)
    execution.say("void")
    await execution.lost.wait()
    second.say("from there")
    await there.finish(second)
    assert [data for _, name, data in await ending if name == "log"] == [
        b'{"message":"from here"}',
        b'{"message":"from there"}',
    ]
    assert here.writer.stream(execution.run_id) is None


async def test_a_feed_elsewhere_goes_on_when_a_third_replica_takes_the_run(
    here, there, open_replica: OpenReplica, scope, execution
):
    async with open_replica("third") as third:
        reader = there.reader(scope, execution.run_id)
        execution.say("2")
        await reader.read_to(2)
        ending = asyncio.create_task(reader.read_to_end())
        second = await third.seize(execution.run_id)
        for number in range(3, 8):
            second.say(str(number))
            await third.writer.flush(second.run_id)
        await third.finish(second)
        assert [number for number, _, _ in await ending] == list(range(1, 9))


@BOTH
async def test_a_run_that_waits_for_an_approval_ends_the_feed_and_goes_on_later(
    here, there, reading, scope, execution
):
    live = reading.reader(scope, execution.run_id)
    execution.say("2")
    await live.read_to(2)
    ending = asyncio.create_task(live.read_to_end())
    await here.pause(execution)
    assert (await ending)[-1][:2] == (3, "done")
    assert len(await reading.reader(scope, execution.run_id).read_to_end()) == 3
    late = reading.reader(scope, execution.run_id, after=3)
    waiting = asyncio.create_task(late.read_to_end())
    second = await there.seize(execution.run_id)
    second.say("4")
    whole = reading.reader(scope, execution.run_id)
    await whole.read_to(4)
    await there.finish(second)
    assert [number for number, _, _ in await waiting] == [4, 5]
    assert [number for number, _, _ in await whole.read_to_end()] == [1, 2, 3, 4, 5]


@BOTH
async def test_whoever_comes_when_all_is_answered_is_not_sent_away_before_the_run_goes_on(
    here, there, reading, scope, execution
):
    await here.pause(execution)
    async with here.database.unit_of_work(scope) as uow:
        [approval] = await uow.approvals.of_run(execution.run_id)
        allowed = {approval.id: ApprovalAnswer(decision="allow")}
        await uow.approvals.decide(execution.run_id, allowed, now=datetime.now(UTC))
        await uow.commit()
    reader = reading.reader(scope, execution.run_id)
    await reader.read_to(2)
    ending = asyncio.create_task(reader.read_to_end())
    second = await there.seize(execution.run_id)
    second.say("3")
    await there.finish(second)
    assert [number for number, _, _ in await ending] == [1, 2, 3, 4]


async def test_the_end_is_seen_elsewhere_without_any_event_before_it(here, there, scope, execution):
    ending = asyncio.create_task(there.reader(scope, execution.run_id).read_to_end())
    while not there.feed._waiting:
        await asyncio.sleep(0)
    await here.finish(execution)
    assert [name for _, name, _ in await ending] == ["run", "done"]


async def test_a_feed_elsewhere_goes_on_after_its_notifications_broke_off(
    here, there, scope, execution, database_url
):
    reader = there.reader(scope, execution.run_id)
    await reader.read_to(1)
    waiting = asyncio.create_task(reader.read_to(4))
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'youworker-notifications'"
    )
    await connection.close()
    execution.say("2", "3", "4")
    await waiting
    await here.finish(execution)
    assert len(await reader.read_to_end()) == 5


async def test_a_run_that_is_deleted_ends_its_feeds(here, there, scope, chat_session, execution):
    readers = [replica.reader(scope, execution.run_id) for replica in (here, there)]
    for reader in readers:
        await reader.read_to(1)
    endings = [asyncio.create_task(reader.read_to_end()) for reader in readers]
    async with here.database.unit_of_work(scope) as uow:
        await uow.sessions.delete([chat_session.id])
        await uow.commit()
    execution.say("nobody hears")
    for ending in endings:
        assert (await ending)[-1][:2] == (0, "error")
    assert execution.lost.is_set()


async def test_nobody_elsewhere_is_told_of_a_run_that_nobody_watches(here, there, scope, execution):
    heard = []
    there.notifications.pass_on = lambda channel, payload: heard.append((channel, payload))
    execution.say("2")
    await here.writer.flush(execution.run_id)
    await here.finish(execution)  # of the end everybody is told
    while not heard:
        await asyncio.sleep(0)
    assert len(heard) == 1


async def test_what_was_tampered_with_ends_the_feed_with_an_error(
    here, there, scope, execution, database_url
):
    execution.say("2")
    await here.writer.flush(execution.run_id)
    await here.finish(execution)
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE run_events SET body = $1 WHERE first_id = 2", b'{"e":[]}')
    await connection.close()
    [event] = await there.reader(scope, execution.run_id, after=1).read_to_end()
    assert event[:2] == (0, "error")
    assert json.loads(event[2])["code"] == "DATABASE_ERROR"


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.sampled_from(["token", "log", "flush", "give way", "take over", "pause"])
        | st.tuples(st.sampled_from(["here", "there"]), st.integers(0, 30)),
        max_size=30,
    )
)
async def test_whenever_and_wherever_readers_come_back_they_get_one_transcript(
    here, there, scope, steps
):
    session = await create_session(here.database, scope, uuid4().hex)
    replicas = {"here": here, "there": there}
    at_work = here
    execution = await here.begin(scope, session)
    reading = []
    for number, step in enumerate(steps):
        match step:
            case "token" | "log":
                execution.stream.append(step, {"text": f"{number} "})
            case "flush":
                await at_work.writer.flush(execution.run_id)
            case "give way":
                await asyncio.sleep(0)
            case "take over" | "pause":
                before = execution
                if step == "pause":
                    await at_work.pause(before)
                at_work = there if at_work is here else here
                execution = await at_work.seize(before.run_id)
                before.stream.close()  # its process hears of it when it renews its leases
            case (where, after):
                reader = replicas[where].reader(scope, execution.run_id, after=after)
                reading.append((after, asyncio.create_task(_to_the_last_end(reader))))
    await at_work.finish(execution)
    whole = await there.reader(scope, execution.run_id).read_to_end()
    assert [number for number, _, _ in whole] == list(range(1, len(whole) + 1))
    assert whole == await here.reader(scope, execution.run_id).read_to_end()
    for after, task in reading:
        assert await task == whole[after:]


async def _to_the_last_end(reader: Reader) -> list[StoredEvent]:
    """A reader that comes back each time that the feed ends with a question to a person."""
    while not (events := await reader.read_to_end()) or b"awaiting" in events[-1][2]:
        if not events:
            return []
        reader.come_back()
    return events
