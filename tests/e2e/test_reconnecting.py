"""A client whose connection breaks all the time, beside one whose connection holds."""

import asyncio

import aiohttp
import pytest

from bench.soak.transcript import Event, FrameReader, Transcript
from tests.fixtures.product import Product

STEPS = 8
CALLS_PER_STEP = 3
WORDS = 400
EVENTS_PER_CONNECTION = 3
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
