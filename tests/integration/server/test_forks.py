"""Forks over real HTTP: a conversation that leaves another one at a message."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.fixtures.product import Product, client_for
from tests.integration.server.people import told

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product):
    """The shared product as a user of this test's own sees it."""
    async with await shared_product.new_user(f"user-{uuid4().hex}") as client:
        yield replace(shared_product, client=client)


async def say(product: Product, session_id: str, *turns: tuple[str, str]) -> None:
    for question, answer in turns:
        product.model.reply(answer, when=question)
        await product.stream(question, session_id=session_id)


async def read(product: Product, session_id: str, **params: object) -> dict:
    answer = await product.client.get(f"/v1/chat/sessions/{session_id}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def contents(product: Product, session_id: str, **params: object) -> list[str]:
    history = await read(product, session_id, **params)
    return [message["content"] for message in history["messages"]]


async def fork(product: Product, original: str, message_id: int, **body: object) -> dict:
    answer = await product.client.post(
        f"/v1/chat/sessions/{original}/fork", json={"message_id": message_id, **body}
    )
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/chat/sessions/{answer.json()['session_id']}"
    return answer.json()


def heard(product: Product) -> list[str]:
    """What the model was told last, without the system's words."""
    messages = product.model.requests[-1].messages
    return [message["content"] for message in messages if message["role"] != "system"]


async def test_a_fork_goes_on_from_its_message_and_the_original_from_its_own(product: Product):
    await say(product, "o", ("Q1?", "A1."), ("Q2?", "A2."), ("Q3?", "A3."))
    ids = [message["id"] for message in (await read(product, "o"))["messages"]]

    made = await fork(product, "o", ids[3], session_id="f")

    assert (made["session_id"], made["message_count"]) == ("f", 4)
    assert await contents(product, "f") == ["Q1?", "A1.", "Q2?", "A2."]
    await say(product, "f", ("Qf?", "Af."))
    assert heard(product) == ["Q1?", "A1.", "Q2?", "A2.", "Qf?"]
    await say(product, "o", ("Q4?", "A4."))
    assert heard(product) == ["Q1?", "A1.", "Q2?", "A2.", "Q3?", "A3.", "Q4?"]
    assert await contents(product, "f") == ["Q1?", "A1.", "Q2?", "A2.", "Qf?", "Af."]


async def test_a_fork_may_end_with_a_question(product: Product):
    await say(product, "o", ("Q1?", "A1."), ("Q2?", "A2."))
    ids = [message["id"] for message in (await read(product, "o"))["messages"]]

    name = (await fork(product, "o", ids[2]))["session_id"]
    await say(product, name, ("Or rather?", "So."))

    assert heard(product) == ["Q1?", "A1.", "Q2?", "Or rather?"]


async def test_sources_tools_and_what_the_agent_knows_of_them_go_along(product: Product):
    product.model.call("units__convert", {"value": 1, "from_unit": "km", "to_unit": "m"})
    product.model.reply("1000 m.", when="1 km")
    await product.stream("1 km in m?", session_id="o")
    original = (await read(product, "o"))["messages"]

    name = (await fork(product, "o", original[-1]["id"]))["session_id"]
    copied = (await read(product, name))["messages"]
    await say(product, name, ("And 2 km?", "2000 m."))

    assert original[-1]["tool_events"]
    same = ("role", "content", "tool_events", "sources", "status", "created_at", "model")
    assert [{k: m[k] for k in same} for m in copied] == [{k: m[k] for k in same} for m in original]
    roles = [message["role"] for message in product.model.requests[-1].messages]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]


async def test_a_fork_of_a_fork_outlives_both_of_its_forebears(product: Product):
    await say(product, "o", ("Q1?", "A1."), ("Q2?", "A2."))
    first = (await read(product, "o"))["messages"]
    await fork(product, "o", first[-1]["id"], session_id="f")
    await say(product, "f", ("Q3?", "A3."))
    second = (await read(product, "f"))["messages"]
    await fork(product, "f", second[3]["id"], session_id="ff")

    for name in ("o", "f"):
        assert (await product.client.delete(f"/v1/chat/sessions/{name}")).status_code == 204

    assert await contents(product, "ff") == ["Q1?", "A1.", "Q2?", "A2."]
    await say(product, "ff", ("Q4?", "A4."))
    assert heard(product) == ["Q1?", "A1.", "Q2?", "A2.", "Q4?"]


async def test_a_fork_while_a_run_is_going_has_what_is_there(product: Product):
    await say(product, "o", ("Q1?", "A1."))
    pause = product.model.hang(text="Slowly said.", after=1, when="Q2?")
    running = asyncio.create_task(product.stream("Q2?", session_id="o"))
    await asyncio.wait_for(pause.reached.wait(), 10)

    question = (await read(product, "o"))["messages"][-1]
    await fork(product, "o", question["id"], session_id="f")
    pause.release()
    await running

    assert await contents(product, "f") == ["Q1?", "A1.", "Q2?"]
    assert await contents(product, "o") == ["Q1?", "A1.", "Q2?", "Slowly said."]
    await say(product, "f", ("Q3?", "A3."))
    assert heard(product) == ["Q1?", "A1.", "Q2?", "Q3?"]


async def test_an_agent_that_has_forgotten_is_told_again(product: Product):
    """What no checkpoint holds any more is told from the store."""
    product.model.call("units__convert", {"value": 1, "from_unit": "km", "to_unit": "m"})
    product.model.reply("1000 m.", when="Q1?")
    await product.stream("Q1?", session_id="o")
    await say(product, "o", ("Q2?", "A2."))
    ids = [message["id"] for message in (await read(product, "o"))["messages"]]
    connection = await asyncpg.connect(product.settings.database.url.get_secret_value())
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        await connection.execute(f"DELETE FROM {table}")
    await connection.close()

    await fork(product, "o", ids[3], session_id="f")
    await say(product, "f", ("Q3?", "A3."))

    messages = product.model.requests[-1].messages[1:]
    assert [message["role"] for message in messages] == [
        "user", "assistant", "tool", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert messages[3]["content"] == "1000 m."


async def test_the_title_of_a_fork_tells_it_from_the_original(product: Product):
    await say(product, "o", ("Walnuts?", "Yes."))
    message_id = (await read(product, "o"))["messages"][-1]["id"]

    first = await fork(product, "o", message_id)
    of_fork = (await read(product, first["session_id"]))["messages"][-1]["id"]
    second = await fork(product, first["session_id"], of_fork)

    assert [first["title"], second["title"]] == ["Walnuts? (2)", "Walnuts? (3)"]
    assert first["title_by"] == "model"  # so that no model takes it for a first line


async def test_a_name_that_is_taken_is_no_name_for_a_fork(product: Product):
    await say(product, "o", ("Q1?", "A1."))
    message_id = (await read(product, "o"))["messages"][-1]["id"]

    for name in ("o", "f", "f"):
        body = {"message_id": message_id, "session_id": name}
        answer = await product.client.post("/v1/chat/sessions/o/fork", json=body)
        if name == "o":
            assert told(answer) == (409, "SESSION_EXISTS")
    assert told(answer) == (409, "SESSION_EXISTS")
    assert (await product.client.get("/v1/chat/sessions")).json()["total"] == 2


async def test_many_forks_at_once_are_all_alike(product: Product):
    await say(product, "o", ("Q1?", "A1."))
    message_id = (await read(product, "o"))["messages"][-1]["id"]

    made = await asyncio.gather(*(fork(product, "o", message_id) for _ in range(5)))

    assert len({each["session_id"] for each in made}) == 5
    for each in made:
        assert await contents(product, each["session_id"]) == ["Q1?", "A1."]


async def test_a_fork_from_nowhere_makes_no_session(product: Product, shared_product: Product):
    await say(product, "o", ("Q1?", "A1."))
    await say(product, "p", ("Q1?", "A1."))
    other = (await read(product, "p"))["messages"][0]["id"]
    own = (await read(product, "o"))["messages"][0]["id"]
    url = "/v1/chat/sessions/{}/fork"

    for message_id in (other, 2**63 - 1):
        answer = await product.client.post(url.format("o"), json={"message_id": message_id})
        assert told(answer) == (404, "MESSAGE_NOT_FOUND")
    missing = await product.client.post(url.format("none"), json={"message_id": own})
    assert told(missing) == (404, "SESSION_NOT_FOUND")
    for body in ({}, {"message_id": "1"}, {"message_id": 0}, {"message_id": 2**63},
                 {"message_id": 1.5}, {"message_id": own, "session_id": "../x"},
                 {"message_id": own, "x": 1}):  # fmt: skip
        answer = await product.client.post(url.format("o"), json=body)
        assert told(answer) == (400, "VALIDATION_ERROR"), body
    async with await shared_product.new_user(f"other-{uuid4().hex}") as stranger:
        answer = await stranger.post(url.format("o"), json={"message_id": own})
        assert told(answer) == (404, "SESSION_NOT_FOUND")
        assert (await stranger.get("/v1/chat/sessions")).json()["total"] == 0
        # a session of the same name, and a message id that is somebody else's
        replaced = replace(product, client=stranger)
        await say(replaced, "o", ("Mine?", "Yes."))
        answer = await stranger.post(url.format("o"), json={"message_id": own})
        assert told(answer) == (404, "MESSAGE_NOT_FOUND")
    async with client_for(product.url, None) as nobody:
        assert (await nobody.post(url.format("o"), json={"message_id": own})).status_code == 401
    assert (await product.client.get("/v1/chat/sessions")).json()["total"] == 2
