"""How the command line reads runs from a server that is made by hand."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from server.cli.connection import Api, Connection
from server.cli.run_events import RunEvents

WAIT_SECONDS = 20


@dataclass
class EventServer:
    """Answers each request with one run, over as many connections as are opened."""

    status: str
    ends: bool = True
    """Whether the stream ends after `done`."""
    serving: list[asyncio.Task[None]] = field(default_factory=list)
    """One for each connection."""
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.append(asyncio.current_task())
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        try:
            while True:
                asked = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                size = next(each for each in asked.splitlines() if "content-length" in each)
                await reader.readexactly(int(size.split(":")[1]))
                writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n" + self._events())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever asked has gone
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _events(self) -> bytes:
        run = {"run_id": "r", "session_id": "s"}
        done = {"metadata": {"status": self.status}}
        told = [("run", run), ("done", done)]
        text = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in told)
        last = b"0\r\n\r\n" if self.ends else b""
        return f"{len(text):x}\r\n{text}\r\n".encode() + last


@asynccontextmanager
async def serving(events: EventServer):
    server = await asyncio.start_server(events.answer, "127.0.0.1", 0)
    events.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    api = Api(Connection(url=events.url, key="k"))
    try:
        yield api
    finally:
        api.close()
        await asyncio.wait_for(asyncio.gather(*events.serving), WAIT_SECONDS)
        server.close()


async def ask(api):
    events = RunEvents(api, on_lost=lambda: None)
    asking = asyncio.to_thread(lambda: [each.event for each in events.ask({"text_input": "?"})])
    return await asyncio.wait_for(asking, WAIT_SECONDS)


async def test_one_question_after_the_other_goes_over_one_connection():
    server = EventServer(status="success")
    async with serving(server) as api:
        for _ in range(3):
            assert await ask(api) == ["run", "done"]
    assert len(server.serving) == 1


@pytest.mark.parametrize("ends", [True, False])
async def test_a_stream_that_waits_for_an_approval_is_not_read_on(ends):
    async with serving(EventServer(status="awaiting_approval", ends=ends)) as api:
        assert await ask(api) == ["run", "done"]
