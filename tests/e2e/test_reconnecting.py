"""A client whose connection breaks all the time, beside one whose connection holds."""

import asyncio
import json
from collections.abc import Awaitable
from contextlib import suppress

import aiohttp
import pytest

from bench.soak.transcript import Event, FrameReader, Transcript
from server.runs.wire import message
from tests.fixtures.product import Product
from tests.fixtures.sockets import Socket, open_socket

STEPS = 6
CALLS_PER_STEP = 3
WORDS = 400
EVENTS_PER_CONNECTION = 3
CUT_SECONDS = 0.3
CUTS = 8
PACED_WORDS, PACE_SECONDS = 250, 0.01
ANSWER = "".join(f"word{number} " for number in range(WORDS))

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_client_that_is_cut_off_after_every_few_events_hears_every_byte_once(
    shared_product,
):
    product: Product = shared_product
    for step in range(STEPS):  # words that come at once may be told in one event, calls are not
        lengths = range(CALLS_PER_STEP * step, CALLS_PER_STEP * (step + 1))
        product.model.calls(*(_conversion(km) for km in lengths), text=f"Step {step}. ")
    pause = product.model.hang(text=ANSWER, after=WORDS // 2)
    async with aiohttp.ClientSession(headers=product.client.headers) as http:
        run_id = await _begin(product, http)
        whole = asyncio.create_task(_hear(product, http, run_id, after=0))
        cut = asyncio.create_task(_hear_in_pieces(product, http, run_id))
        await pause.reached.wait()  # half of it is told while both listen, half of it later
        pause.release()
        heard, (transcript, connections) = await whole, await cut
        again = await _hear(product, http, run_id, after=0)

    assert transcript.faults == []
    assert transcript.events == heard == again
    assert transcript.answer().endswith(ANSWER)
    assert connections >= 2 * STEPS * CALLS_PER_STEP // EVENTS_PER_CONNECTION


async def test_clients_that_are_cut_off_every_300_ms_hear_every_byte_once(shared_product):
    product: Product = shared_product
    pause = product.model.hang(text=ANSWER, after=PACED_WORDS, pace_seconds=PACE_SECONDS)
    over_http, over_socket = _Cuts(), _Cuts()
    async with aiohttp.ClientSession(headers=product.client.headers) as http:
        run_id = await _begin(product, http)
        whole = asyncio.create_task(_hear(product, http, run_id, after=0))
        cut = asyncio.create_task(_hear_cut_by_time(product, http, run_id, over_http))
        resumed = asyncio.create_task(_resume_cut_by_time(product, run_id, over_socket))
        await pause.reached.wait()
        for cuts in (over_http, over_socket):
            await cuts.are_enough.wait()
        pause.release()
        heard, transcript, messages = await whole, await cut, await resumed
        again = await _hear(product, http, run_id, after=0)

    assert transcript.faults == []
    assert transcript.events == heard == again
    assert messages == [message((each.number, each.name, each.data)) for each in again]
    assert transcript.answer() == ANSWER


class _Cuts:
    """Counts the connections of one client that were cut off."""

    def __init__(self) -> None:
        self._count = 0
        self.are_enough = asyncio.Event()

    async def cut(self, reading: Awaitable[None]) -> None:
        """Reads until the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CUT_SECONDS):
                await reading
                return
        self._count += 1
        if self._count >= CUTS:
            self.are_enough.set()


def _conversion(km: int) -> tuple[str, dict[str, object]]:
    return "units__convert", {"value": km, "from_unit": "km", "to_unit": "mile"}


async def _begin(product: Product, http: aiohttp.ClientSession) -> str:
    async with http.post(f"{product.url}/v1/chat/stream", json={"text_input": "?"}) as answer:
        reader = FrameReader()
        async for data in answer.content.iter_any():
            for event in reader.feed(data):
                return str(event.content()["run_id"])
    raise AssertionError("no run")


async def _hear_in_pieces(
    product: Product, http: aiohttp.ClientSession, run_id: str
) -> tuple[Transcript, int]:
    """Cuts each connection after a few events; what else had come over it is thrown away."""
    transcript, connections = Transcript(), 0
    while transcript.end() is None:
        heard = await _hear(
            product,
            http,
            run_id,
            after=transcript.last_number,
            most=EVENTS_PER_CONNECTION,
        )
        connections += 1
        for event in heard:
            transcript.take(event)
    return transcript, connections


async def _hear(
    product: Product,
    http: aiohttp.ClientSession,
    run_id: str,
    *,
    after: int,
    most: int | None = None,
) -> list[Event]:
    """The events of one connection, up to its end or so many."""
    events: list[Event] = []
    reader = FrameReader()
    headers = {"Last-Event-ID": str(after)}
    async with http.get(f"{product.url}/v1/runs/{run_id}/events", headers=headers) as answer:
        assert answer.status == 200
        async for data in answer.content.iter_any():
            events += reader.feed(data)
            if most is not None and len(events) >= most:
                answer.close()
                return events[:most]
    return events


async def _hear_cut_by_time(
    product: Product, http: aiohttp.ClientSession, run_id: str, cuts: _Cuts
) -> Transcript:
    transcript = Transcript()
    url = f"{product.url}/v1/runs/{run_id}/events"
    while transcript.end() is None:
        headers = {"Last-Event-ID": str(transcript.last_number)}
        async with http.get(url, headers=headers) as answer:
            await cuts.cut(_take_events(answer, transcript))
            answer.close()
    return transcript


async def _take_events(answer: aiohttp.ClientResponse, transcript: Transcript) -> None:
    reader = FrameReader()
    async for data in answer.content.iter_any():
        for event in reader.feed(data):
            transcript.take(event)


async def _resume_cut_by_time(product: Product, run_id: str, cuts: _Cuts) -> list[str]:
    """What sockets say of the run, but for the notes that it was resumed."""
    heard: list[str] = []
    while not _is_end(heard):
        async with open_socket(product.url, key=product.secrets.root_api_key) as socket:
            resume = {"run_id": run_id, "last_event_id": len(heard)}
            await socket.send(type="resume", **resume)
            assert await socket.next() == {"type": "resumed", **resume}
            await cuts.cut(_take_messages(socket, heard))
            socket.connection.transport.abort()
    return heard


async def _take_messages(socket: Socket, heard: list[str]) -> None:
    while not _is_end(heard):
        heard.append(str(await socket.connection.recv()))


def _is_end(heard: list[str]) -> bool:
    return bool(heard) and json.loads(heard[-1])["type"] == "done"
