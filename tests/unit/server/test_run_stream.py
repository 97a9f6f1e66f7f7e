"""The event stream of a run: shown when stored, read by any number."""

import asyncio
import json
from uuid import UUID

from server.runs.stream import KEPT_BYTES, MERGED_CHARS, RunStream

RUN = UUID(int=7)


def store(stream: RunStream) -> None:
    batch = stream.cut(RUN, 1)
    assert batch is not None
    stream.confirm(batch)


def test_what_was_appended_is_not_shown_before_it_is_stored():
    stream = RunStream()
    stream.append("log", {"level": "info", "message": "è\n"})
    assert stream.read(0) == []
    store(stream)
    assert stream.read(0) == [(1, "log", '{"level":"info","message":"è\\n"}'.encode())]


def test_what_the_row_says_is_shown_at_once_and_is_not_stored():
    stream = RunStream()
    stream.show("run", {"run_id": "x"})
    assert stream.read(0) == [(1, "run", b'{"run_id":"x"}')]
    assert stream.cut(RUN, 1) is None
    stream.append("log", 1)
    assert stream.cut(RUN, 1).first_id == 2


def test_neighbouring_tokens_that_wait_become_one_event():
    stream = RunStream()
    for event, text in (
        ("reasoning", "a"),
        ("reasoning", "b"),
        ("token", "c"),
        ("token", "d"),
        ("token", "e"),
    ):
        stream.append(event, {"text": text})
    stream.append("log", {})
    stream.append("token", {"text": "f"})
    batch = stream.cut(RUN, 1)
    assert batch.events == (
        ("reasoning", b'{"text":"ab"}'),
        ("token", b'{"text":"cde"}'),
        ("log", b"{}"),
        ("token", b'{"text":"f"}'),
    )


def test_what_waits_long_becomes_several_events_that_clients_can_take():
    stream = RunStream()
    text = "x" * 1000
    for _ in range(100):
        stream.append("token", {"text": text})
    events = [json.loads(data)["text"] for _, data in stream.cut(RUN, 1).events]
    assert "".join(events) == text * 100
    assert max(map(len, events)) < MERGED_CHARS + len(text)
    assert len(events) == 6


def test_what_is_on_its_way_into_the_log_grows_no_more():
    stream = RunStream()
    stream.append("token", {"text": "a"})
    batch = stream.cut(RUN, 1)
    stream.append("token", {"text": "b"})
    assert stream.appended_through == 2
    stream.confirm(batch)
    store(stream)
    assert stream.read(0) == [(1, "token", b'{"text":"a"}'), (2, "token", b'{"text":"b"}')]


def test_half_an_emoji_and_a_huge_number_pass():
    stream = RunStream()
    stream.append("token", {"text": "\ud83d"})
    stream.append("tool", {"args": {"n": 2**70}})
    store(stream)
    assert [data for _, _, data in stream.read(0)] == [
        b'{"text":"\\ud83d"}',
        b'{"args":{"n":1180591620717411303424}}',
    ]


def test_a_stream_that_goes_on_numbers_on():
    stream = RunStream(last_id=41)
    assert stream.reaches(41)
    assert not stream.reaches(40)
    stream.append("log", 1)
    store(stream)
    assert stream.read(41) == [(42, "log", b"1")]


def test_a_reader_that_comes_back_misses_nothing_and_sees_nothing_twice():
    stream = RunStream()
    for number in range(5):
        stream.append("log", number)
    store(stream)
    assert [event[0] for event in stream.read(3)] == [4, 5]
    assert stream.read(5) == []
    assert stream.read(500) == []


def test_facts_wait_for_the_events_that_follow_them():
    stream = RunStream()
    stream.note_usage({"tokens_in": 5})
    assert stream.cut(RUN, 1) is None
    stream.append("log", 1)
    assert stream.cut(RUN, 1).usage == ({"tokens_in": 5},)
    stream.append("log", 2)
    assert stream.cut(RUN, 1).usage == ()


async def test_several_readers_each_get_every_event_as_it_comes():
    stream = RunStream()
    readers = [asyncio.create_task(collect(stream)) for _ in range(3)]
    for number in range(10):
        stream.append("log", number)
        store(stream)
        await asyncio.sleep(0)
    stream.close()
    received = await asyncio.gather(*readers)
    assert received == [[(n + 1, "log", b"%d" % n) for n in range(10)]] * 3


async def collect(stream: RunStream) -> list[tuple[int, str, bytes]]:
    events: list[tuple[int, str, bytes]] = []
    while True:
        if new := stream.read(len(events)):
            events += new
        elif stream.closed:
            return events
        else:
            await stream.changed()


async def test_a_reader_hears_that_nothing_came_in_time():
    stream = RunStream()
    assert not await stream.changed(0.001)
    waiting = asyncio.create_task(stream.changed(60))
    await asyncio.sleep(0)
    stream.close()
    assert await waiting


def test_the_writer_is_called_once_for_what_waits_together():
    stream = RunStream()
    calls = []
    stream.append("log", 0)
    stream.tell(waiting=lambda: calls.append("waiting"), closed=lambda: calls.append("closed"))
    assert calls == ["waiting"]
    stream.append("log", 1)
    store(stream)
    assert calls == ["waiting"]
    stream.append("token", {"text": "a"})
    stream.append("token", {"text": "b"})
    stream.append("log", 2)
    assert calls == ["waiting"] * 2
    stream.close()
    stream.break_off(code="X", message="too late to break off")
    assert calls == ["waiting"] * 2 + ["closed"]
    assert stream.fault is None


def test_a_long_run_is_not_kept_whole():
    stream = RunStream()
    piece = "x" * 1024
    for number in range(2 * KEPT_BYTES // 1024):
        stream.append("log", piece)
        store(stream)
        assert stream.stored_through == number + 1
        assert stream.reaches(number)
    assert not stream.reaches(0)
    last = stream.stored_through
    assert [event[0] for event in stream.read(last - 3)] == [last - 2, last - 1, last]


def test_one_event_larger_than_what_is_kept_is_shown_nevertheless():
    stream = RunStream()
    stream.append("log", "x" * KEPT_BYTES)
    store(stream)
    assert len(stream.read(0)) == 1
