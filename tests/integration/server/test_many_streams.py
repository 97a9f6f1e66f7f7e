"""Hundreds of open streams over a handful of database connections."""

import asyncio

import aiohttp
import asyncpg
import pytest

from bench.soak.transcript import Event, FrameReader
from server.settings import Settings
from tests.fakes.model_turns import Pause, Turn
from tests.fixtures.product import Product, new_secrets, open_product, settings_for

STREAMS = 500
CONNECTIONS = 5
PATIENCE_SECONDS = 250.0
FIRST, LAST = "first ", "last"

_AT_WORK = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND (state <> 'idle' OR xact_start IS NOT NULL)
"""


@pytest.mark.timeout(300)
async def test_500_streams_wait_without_a_connection_and_complete_over_five(
    tmp_path, database_url, scripted_model
):
    settings = _with_few_connections(settings_for(tmp_path, database_url, scripted_model))
    silence = Pause()
    hanging = Turn(text=FIRST + LAST, ending="hang", sent_pieces=1, pause=silence)
    for _ in range(STREAMS):
        scripted_model.add(hanging)
    async with (
        open_product(settings, new_secrets(), scripted_model) as product,
        aiohttp.ClientSession(
            headers=product.client.headers, connector=aiohttp.TCPConnector(limit=0)
        ) as http,
        asyncio.TaskGroup() as tasks,
    ):
        begun = await asyncio.gather(*(_begin(product, http, number) for number in range(STREAMS)))
        all_wait = asyncio.Barrier(STREAMS + 1)
        readers = [tasks.create_task(_follow(product, http, run, all_wait)) for run in begun]
        await all_wait.wait()
        await _until_no_connection_works(database_url)
        # More at once than there are connections: none of these is held by a stream.
        answers = await asyncio.gather(
            *(product.client.get("/v1/chat/sessions") for _ in range(3 * CONNECTIONS))
        )
        assert {answer.status_code for answer in answers} == {200}
        silence.release()
        for events in await asyncio.gather(*readers):
            assert [event.number for event in events] == [*range(1, len(events) + 1)]
            told = "".join(event.content()["text"] for event in events if event.name == "token")
            assert told == FIRST + LAST
            assert events[-1].content()["metadata"]["status"] == "success"


def _with_few_connections(settings: Settings) -> Settings:
    database = {
        "pool_size": CONNECTIONS,
        "max_overflow": 0,
        "pool_timeout_seconds": PATIENCE_SECONDS,
    }
    # The first of the streams waits in silence until the last one has begun.
    llm = {
        "connect_timeout_seconds": PATIENCE_SECONDS,
        "next_token_timeout_seconds": PATIENCE_SECONDS,
    }
    return settings.model_copy(
        update={
            "database": settings.database.model_copy(update=database),
            "llm": settings.llm.model_copy(update=llm),
        }
    )


async def _begin(product: Product, http: aiohttp.ClientSession, number: int) -> str:
    """Sends a message and leaves when its run is known; the run goes on."""
    body = {"text_input": "?", "session_id": f"s{number}", "enable_tools": False}
    async with http.post(f"{product.url}/v1/chat/stream", json=body) as answer:
        reader = FrameReader()
        async for data in answer.content.iter_any():
            for event in reader.feed(data):
                return str(event.content()["run_id"])
    raise AssertionError("no run")


async def _follow(
    product: Product, http: aiohttp.ClientSession, run_id: str, all_wait: asyncio.Barrier
) -> list[Event]:
    events: list[Event] = []
    reader = FrameReader()
    async with http.get(f"{product.url}/v1/runs/{run_id}/events") as answer:
        async for data in answer.content.iter_any():
            fresh = reader.feed(data)
            events += fresh
            if any(event.content() == {"text": FIRST} for event in fresh):
                await all_wait.wait()
                return events + await _rest(reader, answer)
    raise AssertionError(f"the run ended before its time: {events}")


async def _rest(reader: FrameReader, answer: aiohttp.ClientResponse) -> list[Event]:
    return [event async for data in answer.content.iter_any() for event in reader.feed(data)]


async def _until_no_connection_works(database_url: str) -> None:
    """Waits until what the streams had to write is written."""
    connection = await asyncpg.connect(database_url)
    try:
        async with asyncio.timeout(30):
            while await connection.fetchval(_AT_WORK):
                pass
    finally:
        await connection.close()
