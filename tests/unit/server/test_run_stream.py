"""The event stream of a run: written once, read by any number."""

import asyncio
import json

from server.runs.stream import HEARTBEAT, RunStream

PATIENT_SECONDS = 60.0


async def collect(stream: RunStream, **options):
    return [chunk async for chunk in stream.frames(heartbeat_seconds=PATIENT_SECONDS, **options)]


async def test_a_frame_carries_id_event_and_data():
    stream = RunStream()
    stream.append("token", {"text": "è\n"})
    stream.close()
    assert await collect(stream) == ['id: 1\nevent: token\ndata: {"text":"è\\n"}\n\n'.encode()]


async def test_a_late_reader_gets_everything_in_one_piece():
    stream = RunStream()
    for number in range(3):
        stream.append("token", number)
    stream.close()
    [chunk] = await collect(stream)
    assert chunk.count(b"event: token") == 3


async def test_a_reader_that_comes_back_misses_nothing_and_sees_nothing_twice():
    stream = RunStream()
    for number in range(5):
        stream.append("token", number)
    stream.close()
    [chunk] = await collect(stream, after=3)
    assert chunk.startswith(b"id: 4\n")
    assert await collect(stream, after=5) == []


async def test_several_readers_each_get_every_event_as_it_comes():
    stream = RunStream()
    readers = [asyncio.create_task(collect(stream)) for _ in range(3)]
    for number in range(10):
        stream.append("token", number)
        await asyncio.sleep(0)
    stream.close()
    received = [b"".join(chunks) for chunks in await asyncio.gather(*readers)]
    assert len(set(received)) == 1
    assert received[0].count(b"event: token") == 10


async def test_silence_is_filled_with_comments():
    stream = RunStream()
    chunks = stream.frames(heartbeat_seconds=0.001)
    assert await anext(chunks) == HEARTBEAT
    stream.append("token", 1)
    assert b"event: token" in await anext(chunks)
    await chunks.aclose()


async def test_messages_carry_the_same_events_with_type_and_id():
    stream = RunStream()
    stream.append("token", {"text": "è"})
    stream.append("sources", [{"id": "s1"}])
    stream.close()
    [messages] = [batch async for batch in stream.messages()]
    assert [json.loads(message) for message in messages] == [
        {"type": "token", "id": 1, "text": "è"},
        {"type": "sources", "id": 2, "sources": [{"id": "s1"}]},
    ]
    assert [batch async for batch in stream.messages(after=1)] == [messages[1:]]
