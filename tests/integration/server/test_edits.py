"""Edited messages and answers that are asked for again, over real HTTP."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

from tests.fixtures.product import Product
from tests.integration.server.people import told

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAIT_SECONDS = 10


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product):
    """The shared product as a user of this test's own sees it."""
    async with await shared_product.new_user(f"user-{uuid4().hex}") as client:
        yield replace(shared_product, client=client)


async def ask(product: Product, session_id: str, **body: object) -> httpx.Response:
    return await product.client.post("/v1/chat", json={"session_id": session_id, **body})


async def say(product: Product, session_id: str, *turns: tuple[str, str]) -> None:
    for question, reply in turns:
        product.model.reply(reply, when=question)
        answer = await ask(product, session_id, text_input=question)
        assert answer.status_code == 200, answer.text


async def messages(product: Product, session_id: str, **params: object) -> list[dict]:
    answer = await product.client.get(f"/v1/chat/sessions/{session_id}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["messages"]


async def contents(product: Product, session_id: str, **params: object) -> list[str]:
    return [message["content"] for message in await messages(product, session_id, **params)]


def heard(product: Product) -> list[str]:
    said = product.model.requests[-1].messages
    return [message["content"] for message in said if message["role"] != "system"]


async def test_an_edited_message_is_answered_in_the_place_of_the_first(product: Product):
    await say(product, "s", ("Q1?", "A1."), ("Q2?", "A2."), ("Q3?", "A3."))
    second = (await messages(product, "s"))[2]["id"]
    product.model.reply("A2 anew.", when="Q2 again?")

    answer = await ask(product, "s", text_input="Q2 again?", message_id=second)

    assert answer.json()["content"] == "A2 anew."
    assert heard(product) == ["Q1?", "A1.", "Q2 again?"]
    assert await contents(product, "s") == ["Q1?", "A1.", "Q2 again?", "A2 anew."]
    session = (await product.client.get("/v1/chat/sessions/s")).json()
    assert (session["message_count"], session["total"]) == (4, 4)
    everything = await messages(product, "s", include_superseded=True)
    assert len(everything) == 8
    assert {each["superseded_by"] for each in everything[2:6]} == {answer.json()["run_id"]}
    await say(product, "s", ("Q4?", "A4."))
    assert heard(product) == ["Q1?", "A1.", "Q2 again?", "A2 anew.", "Q4?"]


async def test_the_first_message_can_be_edited_too(product: Product):
    await say(product, "s", ("Q1?", "A1."), ("Q2?", "A2."))
    first = (await messages(product, "s"))[0]["id"]
    product.model.reply("From the start.")

    await ask(product, "s", text_input="Anew?", message_id=first)

    assert heard(product) == ["Anew?"]
    assert await contents(product, "s") == ["Anew?", "From the start."]


@pytest.mark.parametrize("which", ["answer", "question"])
async def test_an_answer_is_asked_for_again(product: Product, which: str):
    await say(product, "s", ("Q1?", "A1."), ("Q2?", "A2."), ("Q3?", "A3."))
    second = (await messages(product, "s"))[3 if which == "answer" else 2]["id"]
    product.model.reply("A2, another one.", when="Q2?")

    answer = await ask(product, "s", message_id=second)

    assert answer.json()["content"] == "A2, another one."
    assert heard(product) == ["Q1?", "A1.", "Q2?"]
    assert await contents(product, "s") == ["Q1?", "A1.", "Q2?", "A2, another one."]


async def test_an_answer_is_asked_for_again_as_often_as_one_likes(product: Product):
    await say(product, "s", ("Q1?", "A1."), ("Q2?", "A2."))
    for number in range(3):
        last = (await messages(product, "s"))[-1]["id"]
        product.model.reply(f"A2, number {number}.", when="Q2?")
        await ask(product, "s", message_id=last)
        assert heard(product) == ["Q1?", "A1.", "Q2?"]
    assert await contents(product, "s") == ["Q1?", "A1.", "Q2?", "A2, number 2."]
    assert len(await messages(product, "s", include_superseded=True)) == 10


async def test_a_message_in_a_fork_can_be_edited_when_the_original_is_gone(product: Product):
    await say(product, "o", ("Q1?", "A1."), ("Q2?", "A2."))
    last = (await messages(product, "o"))[-1]["id"]
    body = {"message_id": last, "session_id": "f"}
    await product.client.post("/v1/chat/sessions/o/fork", json=body)
    await product.client.delete("/v1/chat/sessions/o")
    second = (await messages(product, "f"))[2]["id"]
    product.model.reply("So.", when="Q2b?")

    await ask(product, "f", text_input="Q2b?", message_id=second)

    assert heard(product) == ["Q1?", "A1.", "Q2b?"]
    assert await contents(product, "f") == ["Q1?", "A1.", "Q2b?", "So."]


async def test_a_superseded_conversation_can_be_forked(product: Product):
    await say(product, "s", ("Q1?", "A1."), ("Q2?", "A2."))
    old = await messages(product, "s")
    product.model.reply("Other.", when="Q2b?")
    await ask(product, "s", text_input="Q2b?", message_id=old[2]["id"])

    body = {"message_id": old[3]["id"], "session_id": "f"}
    await product.client.post("/v1/chat/sessions/s/fork", json=body)
    await say(product, "f", ("Q3?", "A3."))

    assert await contents(product, "f") == ["Q1?", "A1.", "Q2?", "A2.", "Q3?", "A3."]
    assert heard(product) == ["Q1?", "A1.", "Q2?", "A2.", "Q3?"]


async def test_an_agent_that_has_forgotten_is_told_again_before_an_edit(product: Product):
    await say(product, "s", ("Q1?", "A1."), ("Q2?", "A2."))
    second = (await messages(product, "s"))[2]["id"]
    connection = await asyncpg.connect(product.settings.database.url.get_secret_value())
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        await connection.execute(f"DELETE FROM {table}")
    await connection.close()
    product.model.reply("So.", when="Q2b?")

    await ask(product, "s", text_input="Q2b?", message_id=second)

    assert heard(product) == ["Q1?", "A1.", "Q2b?"]


async def test_a_failed_edit_can_be_tried_again(product: Product):
    await say(product, "s", ("Q1?", "A1."))
    first = (await messages(product, "s"))[0]["id"]
    product.model.fail("broken", status=500)
    failed = await ask(product, "s", text_input="Q1b?", message_id=first)
    assert failed.status_code == 502

    edited = (await messages(product, "s"))[0]
    product.model.reply("Now.", when="Q1b?")
    answer = await ask(product, "s", message_id=edited["id"])

    assert answer.json()["content"] == "Now."
    assert heard(product) == ["Q1b?"]


async def test_what_is_not_there_cannot_be_edited(product: Product, shared_product: Product):
    await say(product, "s", ("Q1?", "A1."))
    await say(product, "t", ("Q1?", "A1."))
    mine = (await messages(product, "s"))[0]["id"]
    other = (await messages(product, "t"))[0]["id"]
    product.model.reply("So.", when="Q1b?")
    await ask(product, "s", text_input="Q1b?", message_id=mine)
    asked = len(product.model.requests)

    for message_id in (mine, other, 2**63 - 1):
        answer = await ask(product, "s", text_input="x", message_id=message_id)
        assert told(answer) == (404, "MESSAGE_NOT_FOUND"), message_id
    nowhere = await ask(product, "no-session", text_input="x", message_id=other)
    assert told(nowhere) == (404, "MESSAGE_NOT_FOUND")
    for body in ({"message_id": 0}, {"message_id": 2**63}, {"message_id": "x"}, {}):
        assert told(await ask(product, "s", **body)) == (400, "VALIDATION_ERROR"), body
    alone = await product.client.post("/v1/chat", json={"text_input": "x", "message_id": other})
    assert told(alone) == (400, "VALIDATION_ERROR")
    async with await shared_product.new_user(f"other-{uuid4().hex}") as stranger:
        theirs = replace(product, client=stranger)
        answer = await ask(theirs, "t", text_input="x", message_id=other)
        assert told(answer) == (404, "MESSAGE_NOT_FOUND")
        assert (await stranger.get("/v1/chat/sessions")).json()["total"] == 0
    assert len(product.model.requests) == asked
    assert await contents(product, "s") == ["Q1b?", "So."]
    assert (await product.client.get("/v1/chat/sessions")).json()["total"] == 2


async def test_nothing_is_edited_while_the_session_is_answering(product: Product):
    await say(product, "s", ("Q1?", "A1."))
    first = (await messages(product, "s"))[0]["id"]
    pause = product.model.hang(text="Slowly.", after=1, when="Q2?")
    running = asyncio.create_task(ask(product, "s", text_input="Q2?"))
    await asyncio.wait_for(pause.reached.wait(), WAIT_SECONDS)

    for body in ({"text_input": "Q1b?"}, {}):
        answer = await ask(product, "s", message_id=first, **body)
        assert told(answer) == (409, "RUN_IN_PROGRESS")
    pause.release()
    await running

    assert await contents(product, "s") == ["Q1?", "A1.", "Q2?", "Slowly."]


async def test_of_many_edits_at_once_one_comes_about(product: Product):
    await say(product, "s", ("Q1?", "A1."))
    first = (await messages(product, "s"))[0]["id"]

    answers = await asyncio.gather(
        *(ask(product, "s", text_input=f"Edit {n}", message_id=first) for n in range(6))
    )

    outcomes = [answer.status_code for answer in answers]
    assert outcomes.count(200) == 1, outcomes
    assert set(outcomes) <= {200, 404, 409}
    shown = await contents(product, "s")
    assert len(shown) == 2
    assert len(await messages(product, "s", include_superseded=True)) == 4
