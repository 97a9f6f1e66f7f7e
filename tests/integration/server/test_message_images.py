"""Images of messages over HTTP: apart from their messages, and with them wherever they are seen."""

import base64
import io
import json
import os
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from persistence.large_values import LARGE_BYTES
from tests.fixtures.images import make_png
from tests.fixtures.product import Product

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURES = (make_png(3, 2), make_png(4, 1, padding=LARGE_BYTES))
FACTS = [
    {"mime": "image/png", "width": 3, "height": 2},
    {"mime": "image/png", "width": 4, "height": 1},
]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


SHOWN = [b64(picture) for picture in PICTURES]
SESSIONS = "/v1/chat/sessions"


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product: Product) -> AsyncIterator[Product]:
    """The shared product as a user of this test's own sees it, with a model that sees."""
    shared_product.model.capabilities = ["completion", "tools", "vision"]
    async with await shared_product.new_user(f"user-{uuid4().hex}") as client:
        yield replace(shared_product, client=client)


@pytest_asyncio.fixture(loop_scope="module")
async def owner(product: Product) -> AsyncIterator[asyncpg.Connection]:
    """Who owns the tables, and may do all that the product may not."""
    url = product.settings.database.url
    assert url is not None
    connection = await asyncpg.connect(url.get_secret_value())
    yield connection
    await connection.close()


async def say(product: Product, text: str, **body: object) -> None:
    answer = await product.client.post(
        "/v1/chat", json={"text_input": text, "session_id": "s", **body}
    )
    assert answer.status_code == 200, answer.text


async def show(product: Product) -> int:
    """Show the pictures, and say something after it; return the message's id."""
    images = [{"mime": "image/png", "data_b64": shown} for shown in SHOWN]
    await say(product, "What is this?", images=images)
    await say(product, "And then?")
    return int((await messages(product))[0]["id"])


async def messages(product: Product, session_id: str = "s") -> list[dict]:
    answer = await product.client.get(f"{SESSIONS}/{session_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()["messages"]


async def pictures(product: Product, session_id: str, message_id: int) -> list[bytes]:
    path = f"{SESSIONS}/{session_id}/messages/{message_id}/images"
    answers = [await product.client.get(f"{path}/{number}") for number in (1, 2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    return [answer.content for answer in answers]


async def forget(owner: asyncpg.Connection) -> None:
    """Take its memory from the agent: what is told to it then comes from the messages."""
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        await owner.execute(f"DELETE FROM {table}")


def seen(product: Product) -> list[list[str]]:
    """Which images the model was shown last, message by message."""
    said = product.model.requests[-1].messages
    return [message.get("images", []) for message in said if message["role"] == "user"]


async def export(product: Product) -> zipfile.ZipFile:
    answer = await product.client.get("/v1/account/export")
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


async def test_a_history_says_of_images_how_large_they_are_and_each_can_be_had(product: Product):
    message_id = await show(product)
    assert [message["images"] for message in await messages(product)] == [FACTS, [], [], []]
    assert await pictures(product, "s", message_id) == list(PICTURES)


async def test_a_fork_shows_the_images_to_the_model_and_outlives_the_original(
    product: Product, owner: asyncpg.Connection
):
    await show(product)
    last = (await messages(product))[-1]["id"]
    await forget(owner)
    body = {"message_id": last, "session_id": "f"}
    assert (await product.client.post(f"{SESSIONS}/s/fork", json=body)).status_code == 201
    await product.client.delete(f"{SESSIONS}/s")

    copied = await messages(product, "f")
    assert [message["images"] for message in copied] == [FACTS, [], [], []]
    assert await pictures(product, "f", copied[0]["id"]) == list(PICTURES)
    await say(product, "What was it?", session_id="f")
    assert seen(product) == [SHOWN, [], []]


async def test_an_answer_that_is_asked_for_again_is_asked_with_the_images(product: Product):
    message_id = await show(product)

    answer = await product.client.post(
        "/v1/chat", json={"session_id": "s", "message_id": message_id}
    )

    assert answer.status_code == 200, answer.text
    assert seen(product) == [SHOWN]
    [asked, _] = await messages(product)
    assert asked["id"] != message_id
    assert asked["images"] == FACTS
    assert await pictures(product, "s", asked["id"]) == list(PICTURES)


async def test_an_edit_leaves_the_images_before_it_to_an_agent_that_has_forgotten(
    product: Product, owner: asyncpg.Connection
):
    await show(product)
    second = (await messages(product))[2]["id"]
    await forget(owner)

    await say(product, "And now?", message_id=second)

    assert seen(product) == [SHOWN, []]


async def test_an_export_holds_the_images(product: Product):
    await show(product)
    with await export(product) as archive:
        session = json.loads(archive.read("sessions/1.json"))
        assert "left_out.json" not in archive.namelist()
    assert [message["content"] for message in session["messages"][::2]] == [
        "What is this?",
        "And then?",
    ]
    exported = [message["images"] for message in session["messages"]]
    whole = [{**facts, "data_b64": shown} for facts, shown in zip(FACTS, SHOWN, strict=True)]
    assert exported == [whole, [], [], []]
    assert session["messages"][0].keys() == session["messages"][1].keys()


async def test_an_image_that_was_tampered_with_is_refused_and_disturbs_nothing_else(
    product: Product, owner: asyncpg.Connection
):
    message_id = await show(product)
    await owner.execute(
        "UPDATE message_images SET body = $1 WHERE message_id = $2 AND number = 2",
        os.urandom(100),
        message_id,
    )

    assert [message["images"] for message in await messages(product)] == [FACTS, [], [], []]
    await say(product, "Go on.")
    assert seen(product) == [SHOWN, [], []]
    path = f"{SESSIONS}/s/messages/{message_id}/images"
    answers = [await product.client.get(f"{path}/{number}") for number in (1, 2, 3)]
    assert [answer.status_code for answer in answers] == [200, 500, 404]
    with await export(product) as archive:
        exported = json.loads(archive.read("sessions/1.json"))["messages"][0]["images"]
        left_out = json.loads(archive.read("left_out.json"))
    assert exported == [{**FACTS[0], "data_b64": SHOWN[0]}, FACTS[1]]
    assert left_out == [{"kind": "image", "id": f"{message_id}/2", "reason": "cannot be read"}]
