"""Reading NDJSON from a server that sends its bytes exactly as the test says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from graph.errors import ModelError, ModelUnavailable
from graph.llm.ollama_wire import AnswerTimeouts, OllamaWire, open_ollama_wire

DONE = b'{"done": true}\n'
TIMEOUTS = AnswerTimeouts(connect_seconds=5, first_seconds=5, next_seconds=5)


@asynccontextmanager
async def _wire_to(pieces: Sequence[bytes], *, hang_ups: int = 0) -> AsyncIterator[OllamaWire]:
    """A wire to a server that sends these pieces one by one and closes the connection.

    It hangs up on the first requests without a word.
    """
    requests = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        if requests <= hang_ups:
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        async with open_ollama_wire(url, api_key=None, timeouts=TIMEOUTS) as wire:
            yield wire


async def _read(pieces: Sequence[bytes]) -> list[dict]:
    async with _wire_to(pieces) as wire:
        return [line async for lines in wire.stream_chat({"model": "m"}) for line in lines]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_lines_are_read_wherever_the_bytes_are_cut(size):
    sent = '{"message": {"content": "perché 日本 🙂"}}\n\n'.encode() * 3 + DONE
    pieces = [sent[place : place + size] for place in range(0, len(sent), size)]

    lines = await _read(pieces)

    assert [line["message"]["content"] for line in lines[:-1]] == ["perché 日本 🙂"] * 3
    assert lines[-1] == {"done": True}


async def test_a_last_line_without_an_end_is_read():
    assert await _read([DONE.rstrip()]) == [{"done": True}]


async def test_lines_that_arrive_together_come_together():
    async with _wire_to([b'{"a": 1}\n' * 50 + DONE]) as wire:
        batches = [lines async for lines in wire.stream_chat({"model": "m"})]

    assert len(batches) < 10
    assert sum(map(len, batches)) == 51


@pytest.mark.parametrize("line", [b"<html>\n", b"[1]\n", b'"text"\n', b"\xff\n"])
async def test_anything_but_json_objects_is_a_model_error(line):
    with pytest.raises(ModelError, match="not"):
        await _read([line])


async def test_a_stream_that_ends_before_it_is_done_is_broken_off():
    with pytest.raises(ModelUnavailable, match="broke off"):
        await _read([b'{"a": 1}\n'])


async def test_what_came_before_an_error_is_read_first():
    async with _wire_to([b'{"a": 1}\n{"error": "no memory"}\n']) as wire:
        stream = wire.stream_chat({"model": "m"})

        assert await anext(stream) == [{"a": 1}]
        with pytest.raises(ModelError, match="no memory"):
            await anext(stream)


async def test_a_connection_that_is_closed_as_it_is_taken_up_is_replaced_once():
    async with _wire_to([DONE], hang_ups=1) as wire:
        assert [lines async for lines in wire.stream_chat({"model": "m"})] == [[{"done": True}]]
    async with _wire_to([DONE], hang_ups=2) as wire:
        with pytest.raises(ModelUnavailable):
            await anext(wire.stream_chat({"model": "m"}))
