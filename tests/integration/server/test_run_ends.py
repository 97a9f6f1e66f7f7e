"""However a run is disturbed, it ends: its stream says `done`, and its session goes on."""

import asyncio

import asyncpg
import pytest

from server.chat.answers import AnswerService
from server.chat.service import AcceptedRun
from server.errors import RunGoesOn
from tests.fakes.model_turns import ScriptedCall, Turn
from tests.fixtures.plaintext_scan import find_in_database
from tests.fixtures.product import Product

ENDS_SECONDS = 20


async def cancel(product: Product, run_id: str):
    return await product.client.post(f"/v1/runs/{run_id}/cancel")


async def run_id_of(product: Product) -> str:
    async with asyncio.timeout(ENDS_SECONDS):
        while not product.resources.executor.live_ids():
            await asyncio.sleep(0)
    return str(product.resources.executor.live_ids()[0])


@pytest.mark.parametrize("attempt", range(5))
async def test_cancelling_many_times_at_once_is_cancelling_once(product: Product, attempt: int):
    pause = product.model.hang()
    asking = asyncio.create_task(product.stream("wait", session_id="s"))
    await pause.reached.wait()
    run_id = await run_id_of(product)

    answers = await asyncio.gather(*(cancel(product, run_id) for _ in range(6)))

    assert [answer.status_code for answer in answers] == [200] * 6
    assert {answer.json()["status"] for answer in answers} == {"cancelled"}
    events = await asking
    assert events[-1].data["metadata"]["status"] == "cancelled"


async def test_cancelling_while_the_answer_is_written_down_changes_nothing(product: Product):
    pause = product.model.hang(text="the whole answer", after=1)
    asking = asyncio.create_task(product.stream("go", session_id="s"))
    await pause.reached.wait()
    run_id = await run_id_of(product)
    pause.release()

    while product.resources.executor.live_ids():
        answer = await cancel(product, run_id)
        assert answer.status_code == 200

    events = await asking
    assert events[-1].event == "done"
    state = (await product.client.get(f"/v1/runs/{run_id}")).json()
    assert state["status"] == events[-1].data["metadata"]["status"]


async def test_a_run_that_is_cancelled_before_its_first_step_ends_too(product: Product):
    asking = asyncio.create_task(product.stream("hello", session_id="early"))
    await run_id_of(product)
    for live in list(product.resources.executor._live.values()):
        live.cancel()

    async with asyncio.timeout(ENDS_SECONDS):
        events = await asking

    assert events[-1].data["metadata"]["status"] == "cancelled"
    product.model.reply("still here")
    again = await product.stream("hello again", session_id="early")
    assert again[-1].data["metadata"]["status"] == "success"


async def test_what_a_model_calls_a_tool_or_a_call_leaves_no_trace(
    product: Product, database_url: str
):
    phrase = "what is the salary of Zebra Quartz?"
    product.model.call(phrase, {"a": 1})
    product.model.call("no\x00such", {"a": 1})
    named = ScriptedCall(tool="datetime__now", args={}, id="the.salary.of.Zebra.Quartz")
    product.model.add(Turn(calls=(named,)))
    product.model.reply("Sorry.")

    events = await product.stream("hi", session_id="odd")

    tools = {event.data["tool"] for event in events if event.event == "tool"}
    assert tools == {"unknown", "datetime.now"}
    assert events[-1].data["metadata"]["status"] == "success"
    assert await find_in_database(database_url, phrase) == []
    assert named.id not in str([event.data for event in events])
    assert await find_in_database(database_url, named.id) == []


async def test_arguments_nested_too_deep_do_not_end_the_run(product: Product):
    deep: dict[str, object] = {}
    for _ in range(400):
        deep = {"a": deep}
    product.model.call("datetime__now", {"timezone": deep})
    product.model.reply("I cannot do that.")

    events = await product.stream("hi", session_id="deep")

    assert events[-1].data["metadata"]["status"] == "success"
    assert product.model.requests[-1].messages[-1]["role"] == "tool"


async def test_silence_leaves_nothing_behind_in_the_stream(product: Product):
    pause = product.model.hang()
    asking = asyncio.create_task(product.stream("wait", session_id="quiet"))
    await pause.reached.wait()
    run_id = await run_id_of(product)
    [live] = product.resources.executor._live.values()
    feed = product.resources.feed.follow(
        live.request.principal.scope, live.request.run_id, heartbeat_seconds=0.001
    )
    for _ in range(20):
        await anext(feed)
    assert len(live.stream._readers) <= 2
    await feed.aclose()
    await cancel(product, run_id)
    await asking


async def test_a_run_that_was_to_replace_a_turn_and_was_not_executed_has_replaced_it(
    product: Product, database_url: str
):
    product.model.reply("It is red.")
    await product.stream("What colour is it?", session_id="s")
    session = (await product.client.get("/v1/chat/sessions/s")).json()
    edited = session["messages"][0]["id"]
    pause = product.model.hang()
    asking = asyncio.create_task(product.stream("And the other?", session_id="s"))
    await pause.reached.wait()
    first = await run_id_of(product)
    editing = asyncio.create_task(
        product.stream("How big is it?", session_id="s", message_id=edited, multitask="enqueue")
    )
    connection = await asyncpg.connect(database_url)
    async with asyncio.timeout(ENDS_SECONDS):
        while (
            await connection.execute("UPDATE runs SET cancel_at = now() WHERE status = 'queued'")
            != "UPDATE 1"
        ):
            await asyncio.sleep(0)
        await connection.close()
        await cancel(product, first)
        await asking
        events = await editing
    assert events[-1].data["metadata"]["status"] == "cancelled"

    product.model.reply("Fine.")
    await product.stream("How old is it?", session_id="s")

    said = [message["content"] for message in product.model.requests[-1].messages]
    assert "It is red." not in said
    assert "What colour is it?" not in said


async def test_who_waits_for_a_whole_answer_does_not_wait_for_ever(product: Product):
    pause = product.model.hang()
    asking = asyncio.create_task(product.stream("wait", session_id="s"))
    await pause.reached.wait()
    [live] = product.resources.executor._live.values()
    async with product.resources.chat._database.unit_of_work(live.request.principal.scope) as uow:
        run = await uow.runs.get(live.request.run_id)
    elsewhere = AcceptedRun(run=run, session_id="s", live=None)
    answers = AnswerService(
        database=product.resources.chat._database,
        executor=product.resources.executor,
        feed=product.resources.feed,
        revocation=product.resources.revocation,
        patience_seconds=0.05,
    )
    never = asyncio.get_running_loop().create_future()
    leaving: list[None] = []
    with pytest.raises(RunGoesOn) as impatient:
        await answers.wait(
            live.request.principal, elsewhere, left=never, on_left=lambda: leaving.append(None)
        )
    assert impatient.value.details == {"run_id": str(run.id), "status": "running"}
    assert leaving == []

    left = asyncio.get_running_loop().create_future()
    left.set_result(None)
    with pytest.raises(RunGoesOn):
        await product.resources.answers.wait(
            live.request.principal, elsewhere, left=left, on_left=lambda: leaving.append(None)
        )
    assert leaving == [None]
    await cancel(product, str(run.id))
    await asking
