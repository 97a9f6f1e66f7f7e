"""The load generator must read a WebSocket as well as a stream, or their figures say nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench.load import Wave, run_wave
from bench.stamp import stamp
from bench.stream_reader import Answer, read_answer

TOKENS = 40
LONG = 70_000

Answering = Callable[[ServerConnection], Awaitable[None]]


async def answer(socket: ServerConnection) -> None:
    async for message in socket:
        assert message == "ask " + "x" * 200
        await socket.send('{"type":"run","id":1}')
        for _ in range(TOKENS):
            await socket.send(f'{{"type":"token","text":"{stamp()}"}}')
        await socket.send(f'{{"type":"note","filler":"{"-" * LONG}"}}')
        await socket.send('{"type":"done","id":9,"metadata":{"status":"success"}}')


async def refuse(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.send('{"type":"error","code":"TOO_MANY","message":"no"}')


async def hang_up(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.send(f'{{"type":"token","text":"{stamp()}"}}')
    await socket.close()


@pytest.fixture
async def serving() -> AsyncIterator[Callable[[Answering], Awaitable[int]]]:
    opened = []

    async def start(answering: Answering) -> int:
        # What it speaks to does not answer when it closes.
        opened.append(await serve(answering, "127.0.0.1", 0, compression=None, close_timeout=0.1))
        return opened[-1].sockets[0].getsockname()[1]

    yield start
    for server in opened:
        server.close()
        await server.wait_closed()


def wave(*ports: int, streams: int = 1, turns: int = 1) -> Wave:
    return Wave(
        ports=list(ports),
        path="/chat/$SESSION",
        headers={},
        body="ask " + "x" * 200,
        socket=True,
        streams=streams,
        turns=turns,
    )


async def test_every_token_of_a_socket_is_counted(serving):
    result = await run_wave(wave(await serving(answer), streams=3, turns=2))

    assert result.errors == []
    assert (result.requests, result.tokens) == (6, 6 * TOKENS)
    assert len(result.first_token_ms) == 6


async def test_each_question_has_a_session_of_its_own(serving):
    paths = Counter()

    async def note_path(socket: ServerConnection) -> None:
        paths[socket.request.path] += 1
        await answer(socket)

    await run_wave(wave(await serving(note_path), streams=2, turns=2))

    assert set(paths.values()) == {1}
    assert len(paths) == 4


async def test_streams_go_to_the_ports_by_turns(serving):
    asked = Counter()

    def counting(name: str) -> Answering:
        async def count_one(socket: ServerConnection) -> None:
            asked[name] += 1
            await answer(socket)

        return count_one

    ports = [await serving(counting(name)) for name in "ab"]
    await run_wave(wave(*ports, streams=4))

    assert asked == {"a": 2, "b": 2}


async def test_an_error_message_is_an_error(serving):
    result = await run_wave(wave(await serving(refuse)))

    assert "TOO_MANY" in result.errors[0]


async def test_a_socket_that_closes_too_early_is_an_error(serving):
    result = await run_wave(wave(await serving(hang_up)))

    assert result.errors == ["the answer was cut off"]


async def test_a_refused_handshake_is_an_error():
    async def say_no(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(say_no, "127.0.0.1", 0) as server:
        result = await run_wave(wave(server.sockets[0].getsockname()[1]))

    assert "403" in result.errors[0]


def test_a_message_has_the_moment_at_which_it_was_whole():
    token = f'{{"type":"token","text":"{stamp()}"}}'.encode()
    done = b'{"type":"done","metadata":{"status":"success"}}'
    sent = bytes([0x81, len(token)]) + token + bytes([0x81, len(done)]) + done
    head = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
    reads = [(1.0, head), (2.0, sent[:5]), (3.0, sent[5:])]

    reading = read_answer(Answer(sent_at=1.5, reads=reads))

    assert (reading.error, reading.first_token_ms) == (None, 1500)
