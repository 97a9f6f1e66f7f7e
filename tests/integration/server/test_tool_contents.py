"""Pictures, sounds and files of tool results: shown to the model, and in the person's hands."""

import io
import json
import os
import zipfile
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from mcp import types

from server.cli.events import ServerSentEvent, read_events
from tests.fixtures.images import make_png
from tests.fixtures.plaintext_scan import search_database, written_forms_of
from tests.fixtures.product import Product, client_for
from tests.integration.server.people import Person, told
from tests.integration.server.serving_tools import AddedServer, open_added_server, results_told

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = b"hagebutten-walross"
PNG = make_png(3, 2, padding=5) + SECRET
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert('" + SECRET + b"')</script></svg>"


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def drawn(*blocks: types.ContentBlock) -> types.CallToolResult:
    picture = types.ImageContent(type="image", data=b64(PNG), mimeType="image/gif")
    return types.CallToolResult(
        content=[types.TextContent(type="text", text="Here:"), picture, *blocks]
    )


SVG_FILE = types.EmbeddedResource(
    type="resource",
    resource=types.BlobResourceContents(
        uri="demo://shelf/a%22b.svg", blob=b64(SVG), mimeType="image/svg+xml"
    ),
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def product(shared_product: Product) -> Product:
    """With a model that sees, as it says when it is asked for the first time."""
    shared_product.model.capabilities = ["completion", "tools", "vision"]
    return shared_product


@pytest_asyncio.fixture(loop_scope="module")
async def server(product: Product) -> AsyncIterator[AddedServer]:
    async with open_added_server(product) as added:
        yield added


async def ask(
    product: Product, server: AddedServer, client: httpx.AsyncClient, session_id: str = "s"
) -> list[ServerSentEvent]:
    product.model.call(server.called("read"), {})
    product.model.reply("There it is.")
    answer = await client.post(
        "/v1/chat/stream", json={"text_input": "Draw.", "session_id": session_id}
    )
    assert answer.status_code == 200, answer.text
    return list(read_events(answer.text.split("\n")))


def contents_of(events: list[ServerSentEvent]) -> list[dict[str, Any]]:
    [end] = [e.data for e in events if e.event == "tool" and e.data["status"] == "end"]
    contents: list[dict[str, Any]] = end["contents"]
    return contents


async def test_an_image_reaches_the_model_and_the_person_who_asked(
    product: Product, server: AddedServer, ada: Person
) -> None:
    server.fake.answers["read"] = drawn()

    [content] = contents_of(await ask(product, server, ada.client))

    [result] = [m for m in product.model.requests[-1].messages if m["role"] == "tool"]
    assert result["images"] == [b64(PNG)]
    assert result["content"].startswith("Here:\n\n[An image, image/png, 3 × 2 pixels")
    assert content == {
        "id": content["id"],
        "kind": "image",
        "mime": "image/png",
        "bytes": len(PNG),
        "url": f"/v1/tool-contents/{content['id']}",
    }
    got = await ada.client.get(content["url"])
    assert (got.status_code, got.content) == (200, PNG)
    assert got.headers["content-type"] == "image/png"
    assert got.headers["content-disposition"].startswith('attachment; filename="image.png"')
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]


async def test_a_file_with_a_script_is_a_row_of_bytes_to_keep(
    product: Product, server: AddedServer, ada: Person
) -> None:
    server.fake.answers["read"] = drawn(SVG_FILE)

    _, file = contents_of(await ask(product, server, ada.client))

    assert (file["kind"], file["mime"], file["name"]) == ("resource", "image/svg+xml", "a'b.svg")
    got = await ada.client.get(file["url"])
    assert got.content == SVG
    assert got.headers["content-type"] == "application/octet-stream"
    assert "attachment" in got.headers["content-disposition"]
    assert "script" not in results_told(product)[-1]


async def test_nobody_else_has_it_and_who_may_not_chat_neither(
    product: Product, server: AddedServer, ada: Person, bob: Person
) -> None:
    server.fake.answers["read"] = drawn()
    [content] = contents_of(await ask(product, server, ada.client))

    nowhere = f"/v1/tool-contents/{uuid4()}"
    not_there = (404, "TOOL_CONTENT_NOT_FOUND")
    assert told(await bob.client.get(content["url"])) == not_there
    assert told(await product.client.get(content["url"])) == not_there
    assert told(await ada.client.get(nowhere)) == not_there
    body = {"name": "reader", "scopes": ["documents:read"]}
    key = (await ada.client.post("/v1/api-keys", json=body)).json()["key"]
    async with client_for(product.url, key) as reader:
        assert (await reader.get(content["url"])).status_code == 403


async def test_the_history_names_it_the_export_has_it_and_it_goes_with_its_session(
    product: Product, server: AddedServer, ada: Person
) -> None:
    server.fake.answers["read"] = drawn()
    [content] = contents_of(await ask(product, server, ada.client, "kept"))

    history = (await ada.client.get("/v1/chat/sessions/kept")).json()["messages"]
    assert history[-1]["tool_events"][0]["contents"] == [content]
    archive = zipfile.ZipFile(io.BytesIO((await ada.client.get("/v1/account/export")).content))
    sessions = [json.loads(archive.read(n)) for n in archive.namelist() if "sessions/" in n]
    [brought] = [each for s in sessions for run in s["runs"] for each in run["tool_contents"]]
    assert (brought["id"], brought["mime"]) == (content["id"], "image/png")
    assert archive.read(brought["path"]) == PNG

    assert (await ada.client.delete("/v1/chat/sessions/kept")).status_code == 204
    assert (await ada.client.get(content["url"])).status_code == 404


async def test_a_whole_answer_says_where_it_is(
    product: Product, server: AddedServer, ada: Person
) -> None:
    server.fake.answers["read"] = drawn()
    product.model.call(server.called("read"), {})
    product.model.reply("There it is.")

    answer = (await ada.client.post("/v1/chat", json={"text_input": "Draw."})).json()

    [content] = answer["tool_events"][0]["contents"]
    assert (await ada.client.get(content["url"])).content == PNG


async def test_the_next_turn_sees_the_image_again_and_no_checkpoint_holds_it(
    product: Product, server: AddedServer, ada: Person
) -> None:
    large = make_png(3, 2) + os.urandom(400_000)
    picture = types.ImageContent(type="image", data=b64(large), mimeType="image/png")
    server.fake.answers["read"] = types.CallToolResult(content=[picture])
    before = await checkpointed_bytes(product)
    await ask(product, server, ada.client, "twice")
    product.model.reply("Red.")

    await ada.client.post("/v1/chat", json={"text_input": "Which colour?", "session_id": "twice"})

    [result] = [m for m in product.model.requests[-1].messages if m["role"] == "tool"]
    assert result["images"] == [b64(large)]
    assert await checkpointed_bytes(product) - before < 100_000


async def checkpointed_bytes(product: Product) -> int:
    url = product.settings.database.url
    assert url is not None
    connection = await asyncpg.connect(url.get_secret_value())
    try:
        size = "SELECT coalesce(sum(octet_length(blob)), 0) FROM"
        tables = ("checkpoint_blobs", "checkpoint_writes")
        return sum([await connection.fetchval(f"{size} {table}") for table in tables])
    finally:
        await connection.close()


async def test_an_answer_that_is_not_what_its_tool_declares_is_told_to_the_model(
    product: Product, server: AddedServer, ada: Person
) -> None:
    [_, read] = server.fake.tools
    schema = {"type": "object", "properties": {"degrees": {"type": "number"}}}
    server.fake.tools[1] = read.model_copy(update={"outputSchema": schema})
    server.fake.answers["read"] = types.CallToolResult(
        content=[], structuredContent={"degrees": "ignore all of this"}
    )
    await server.refresh()

    events = await ask(product, server, ada.client)

    assert [e.data["status"] for e in events if e.event == "tool"] == ["start", "error"]
    [said] = results_told(product)[-1:]
    assert said.endswith("does not fit what it declares: degrees: does not fit 'type': number.")


async def test_nothing_of_it_is_anywhere_in_clear(
    product: Product, server: AddedServer, ada: Person
) -> None:
    server.fake.answers["read"] = drawn(SVG_FILE)
    await ask(product, server, ada.client)
    url = product.settings.database.url
    assert url is not None
    needles = {"bytes": SECRET, **written_forms_of(SECRET)}
    assert await search_database(url.get_secret_value(), needles) == []
