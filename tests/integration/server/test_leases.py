"""Who has many runs keeps them, and takes no more than it has room for."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from server.runs.leases import RunLeases
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.product import Product, new_secrets, open_product, settings_for

ENDS_SECONDS = 20
LAPSE = "UPDATE runs SET lease_until = now() - interval '1 second'"
LASTS = "SELECT lease_until > now() FROM runs"


def leases_of(product: Product) -> RunLeases:
    return RunLeases(
        database=product.resources.chat._database,
        executor=product.resources.executor,
        owner=product.resources.chat._owner,
        lease_seconds=15,
    )


@pytest.mark.parametrize("locked", [False, True])
async def test_leases_are_renewed_also_of_a_run_whose_row_was_locked_for_a_moment(
    product: Product, database_url: str, locked: bool
):
    pause = product.model.hang()
    asking = asyncio.create_task(product.stream("wait", session_id="s"))
    await pause.reached.wait()
    connection = await asyncpg.connect(database_url)
    await connection.execute(LAPSE)
    locking = connection.transaction()
    await locking.start()
    if locked:
        await connection.execute("SELECT FROM runs FOR UPDATE")
    renewing = asyncio.create_task(leases_of(product).renew())
    if locked:
        await asyncio.wait({renewing}, timeout=0.01)
        assert not renewing.done()
    await locking.rollback()
    await renewing
    assert await connection.fetchval(LASTS)
    await connection.close()
    pause.release()
    assert (await asking)[-1].data["metadata"]["status"] == "success"


async def test_a_run_that_others_have_taken_is_dropped(product: Product, database_url: str):
    pause = product.model.hang()
    asking = asyncio.create_task(product.stream("wait", session_id="s"))
    await pause.reached.wait()
    [live] = product.resources.executor._live.values()
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE runs SET attempt = 2, lease_owner = 'another'")
    await leases_of(product).renew()
    assert await live.outcome() is None
    await connection.execute("DELETE FROM runs")
    await connection.close()
    await asking


async def test_a_server_that_is_full_takes_a_waiting_run_when_another_has_ended(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
):
    settings = settings_for(tmp_path, database_url, scripted_model)
    runs = settings.runs.model_copy(update={"max_live": 1})
    settings = settings.model_copy(update={"runs": runs})
    async with open_product(settings, new_secrets(), scripted_model) as product:
        pauses = [scripted_model.hang(text="done", after=1, when=name) for name in ("one", "two")]
        asking = [
            asyncio.create_task(product.stream(name, session_id=name)) for name in ("one", "two")
        ]
        for pause in pauses:
            await pause.reached.wait()
        scripted_model.reply("three", when="three")
        waiting = asyncio.create_task(
            product.stream("three", session_id="two", multitask="enqueue")
        )
        connection = await asyncpg.connect(database_url)
        queued = "SELECT count(*) FROM runs WHERE status = 'queued'"
        async with asyncio.timeout(ENDS_SECONDS):
            while not await connection.fetchval(queued):
                await asyncio.sleep(0)
            pauses[1].release()
            await asking[1]
            await product.resources.keeper.take()
            assert await connection.fetchval(queued) == 1
            pauses[0].release()
            await asking[0]
            events = await waiting
        await connection.close()
        assert events[-1].data["metadata"]["status"] == "success"
