"""Prompts of MCP servers over HTTP: who may use which, what they say, and what can go wrong."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from mcp import types

from tests.fakes.prompting_mcp_server import (
    PromptingServer,
    open_prompting_server,
    prompt,
    say,
)
from tests.fixtures.listening import PAUSE_SECONDS
from tests.fixtures.product import Product
from tests.integration.server.people import Person, make_group, told
from tests.integration.server.serving_tools import AddedServer, add_server
from tools import prompts as asking

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPTS = "/v1/prompts"
SECRET = "walnut-argument"
WAIT_SECONDS = 20


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product: Product) -> Product:
    return shared_product


@asynccontextmanager
async def open_added(
    product: Product, fake: PromptingServer | None = None, **body: Any
) -> AsyncIterator[AddedServer]:
    async with open_prompting_server() as own:
        added = await add_server(product, fake or own, **body)
        try:
            yield added
        finally:
            await product.client.delete(added.path)


@pytest_asyncio.fixture(loop_scope="module")
async def added(product: Product) -> AsyncIterator[AddedServer]:
    async with open_added(product) as server:
        yield server


def fake_of(added: AddedServer) -> PromptingServer:
    assert isinstance(added.fake, PromptingServer)
    return added.fake


async def listed(client: httpx.AsyncClient, added: AddedServer | None = None) -> dict[str, Any]:
    answer = await client.get(PROMPTS, params={"server": added.name} if added else {})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def names(client: httpx.AsyncClient, added: AddedServer) -> list[str]:
    return [each["name"] for each in (await listed(client, added))["prompts"]]


async def get(
    client: httpx.AsyncClient, added: AddedServer, name: str, /, **arguments: str
) -> httpx.Response:
    path = f"{PROMPTS}/{added.name}/{quote(name, safe='')}"
    return await client.post(path, json={"arguments": arguments})


def text_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    [message] = answer.json()["messages"]
    [part] = message["content"]
    assert part["type"] == "text"
    return str(part["text"])


async def test_prompts_are_listed_with_their_blanks_and_filled_in(added: AddedServer, ada: Person):
    fake_of(added).prompts = [
        prompt("greet", "name", title="Greeting", description="Says hello."),
        prompt("close"),
    ]
    assert await listed(ada.client, added) == {
        "prompts": [
            {
                "id": f"{added.name}.greet",
                "server": added.name,
                "name": "greet",
                "title": "Greeting",
                "description": "Says hello.",
                "arguments": [{"name": "name", "description": None, "required": True}],
            },
            {
                "id": f"{added.name}.close",
                "server": added.name,
                "name": "close",
                "title": None,
                "description": None,
                "arguments": [],
            },
        ],
        "total": 2,
        "limit": 50,
        "offset": 0,
        "unavailable": [],
    }
    page = await ada.client.get(PROMPTS, params={"server": added.name, "limit": 1, "offset": 1})
    assert [each["name"] for each in page.json()["prompts"]] == ["close"]
    assert (await get(ada.client, added, "greet", name="Ada")).json() == {
        "description": None,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "greet: [('name', 'Ada')]"}]}
        ],
    }
    assert text_of(await get(ada.client, added, "close")) == "close: []"


async def test_who_is_not_in_its_groups_neither_sees_nor_gets_a_prompt(
    product: Product, ada: Person, bob: Person
):
    group = await make_group(ada)
    async with open_added(product, groups=[group]) as added:
        assert await names(ada.client, added) == ["greet", "close"]
        everything = await listed(bob.client)
        assert added.name not in {each["server"] for each in everything["prompts"]}
        assert added.name not in everything["unavailable"]
        assert await listed(bob.client, added) == {
            "prompts": [], "total": 0, "limit": 50, "offset": 0, "unavailable": [],
        }  # fmt: skip
        denied = await get(bob.client, added, "close")
        missing = await bob.client.post(f"{PROMPTS}/nowhere/close", json={})
        assert told(denied) == told(missing) == (404, "PROMPT_NOT_FOUND")
        assert denied.json() == missing.json()
        await product.client.patch(added.path, json={"groups": []})
        assert told(await get(ada.client, added, "close")) == (404, "PROMPT_NOT_FOUND")


async def test_a_prompt_that_is_not_there_is_not_found(added: AddedServer, ada: Person):
    for name in ("nothing", "\x00", "../../tools", "greet/", "x" * 128, "\u202egreet"):
        assert told(await get(ada.client, added, name)) == (404, "PROMPT_NOT_FOUND")
    for name in ("", "x" * 129):
        assert told(await get(ada.client, added, name)) == (400, "VALIDATION_ERROR")
    no_text = await ada.client.post(f"{PROMPTS}/{added.name}/%FF", json={})
    assert told(no_text) == (404, "PROMPT_NOT_FOUND")


@pytest.mark.parametrize("name", ["a/b", "a/../b", "%2F", "50 % off?#x", "東京", "a.b", "{name}"])
async def test_names_travel_percent_encoded(added: AddedServer, ada: Person, name: str):
    fake_of(added).prompts = [prompt(name)]
    [shown] = (await listed(ada.client, added))["prompts"]
    assert (shown["name"], shown["id"]) == (name, f"{added.name}.{name}")
    assert text_of(await get(ada.client, added, name)) == f"{name}: []"


async def test_a_prompt_whose_name_hides_something_is_not_offered(added: AddedServer, ada: Person):
    fake_of(added).prompts = [prompt("a\u200bb"), prompt("c", "d\n"), prompt("e")]
    assert await names(ada.client, added) == ["e"]
    assert told(await get(ada.client, added, "a\u200bb")) == (404, "PROMPT_NOT_FOUND")


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({}, {"body.arguments.name"}),
        ({"name": "x", "other": "y"}, {"body.arguments.other"}),
        ({"other": "y"}, {"body.arguments.name", "body.arguments.other"}),
        ({"name": 1}, {"body.arguments.name"}),
        ({"name": "x" * 10_001}, {"body.arguments.name"}),
        ({"name": "\ud800"}, {"body.arguments.name"}),
        ({"\ud800": "x"}, {"body.arguments.\ufffd\ufffd\ufffd.[key]"}),
        ({f"n{number}": "" for number in range(65)}, {"body.arguments"}),
    ],
)
async def test_arguments_that_a_prompt_does_not_take_are_named(
    added: AddedServer, ada: Person, arguments: dict[str, Any], fields: set[str]
):
    path = f"{PROMPTS}/{added.name}/greet"
    body = json.dumps({"arguments": arguments})  # in ASCII, which half an emoji needs
    headers = {"Content-Type": "application/json"}
    answer = await ada.client.post(path, content=body, headers=headers)
    assert told(answer) == (400, "VALIDATION_ERROR")
    assert {each["field"] for each in answer.json()["error"]["details"]["errors"]} == fields


async def test_what_the_server_says_of_arguments_is_told_without_what_does_not_show(
    added: AddedServer, ada: Person
):
    message = "No such\x1b[31m city.\u202e" + "!" * 4_000
    fake_of(added).error = types.ErrorData(code=types.INVALID_PARAMS, message=message)
    answer = await get(ada.client, added, "close")
    assert told(answer) == (400, "VALIDATION_ERROR")
    reason = answer.json()["error"]["details"]["reason"]
    assert "No such[31m city.!!!" in reason
    assert len(reason) <= 600
    fake_of(added).error = types.ErrorData(code=types.INTERNAL_ERROR, message="Broken.")
    answer = await get(ada.client, added, "close")
    assert told(answer) == (502, "PROMPT_FAILED")
    assert "Broken." in answer.json()["error"]["details"]["reason"]


async def test_every_kind_of_content_is_given_and_nothing_hidden(added: AddedServer, ada: Person):
    picture = types.ImageContent(type="image", data="AAAA", mimeType="image/png")
    text = types.TextResourceContents.model_validate({"uri": "demo://a/1", "text": "T\u200b"})
    link = types.ResourceLink.model_validate(
        {"type": "resource_link", "uri": "demo://a/2", "name": "two"}
    )
    fake_of(added).result = types.GetPromptResult(
        description="D\u202e",
        messages=[
            types.PromptMessage(role="user", content=picture),
            types.PromptMessage(
                role="assistant", content=types.EmbeddedResource(type="resource", resource=text)
            ),
            types.PromptMessage(role="user", content=link),
        ],
    )
    answer = (await get(ada.client, added, "close")).json()
    assert answer["description"] == "D"
    assert [(each["role"], each["content"]) for each in answer["messages"]] == [
        ("user", [{"type": "image", "data": "AAAA", "mime_type": "image/png"}]),
        (
            "assistant",
            [
                {
                    "type": "resource",
                    "uri": "demo://a/1",
                    "mime_type": None,
                    "text": "T",
                    "data": None,
                }
            ],
        ),
        (
            "user",
            [
                {
                    "type": "resource_link",
                    "uri": "demo://a/2",
                    "name": "two",
                    "title": None,
                    "description": None,
                    "mime_type": None,
                }
            ],
        ),
    ]
    fake_of(added).result = say("x" * 100_001)
    refused = await get(ada.client, added, "close")
    assert told(refused) == (502, "PROMPT_FAILED")
    reason = {"reason": "it has more than 100000 characters of text"}
    assert refused.json()["error"]["details"] == reason


async def test_a_list_is_kept_until_the_server_says_that_it_has_changed(
    added: AddedServer, ada: Person
):
    fake = fake_of(added)
    assert await names(ada.client, added) == ["greet", "close"]
    await names(ada.client, added)
    assert fake.lists == 1
    fake.prompts = [prompt("other")]
    await fake.tell_of_prompts()
    async with asyncio.timeout(WAIT_SECONDS):
        while await names(ada.client, added) != ["other"]:
            await asyncio.sleep(PAUSE_SECONDS)


async def test_many_who_ask_at_once_ask_the_server_once(added: AddedServer, ada: Person):
    found = await asyncio.gather(*(names(ada.client, added) for _ in range(30)))
    assert found == [["greet", "close"]] * 30
    assert fake_of(added).lists == 1
    filled = await asyncio.gather(
        *(get(ada.client, added, "greet", name=str(number)) for number in range(30))
    )
    assert [text_of(each) for each in filled] == [
        f"greet: [('name', '{number}')]" for number in range(30)
    ]


async def test_a_server_that_is_away_is_said_to_be(
    product: Product, ada: Person, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(asking, "FAILURE_KEPT_SECONDS", 0.0)
    nowhere = {"config": {"url": "http://127.0.0.1:1/mcp"}}
    async with open_added(product, **nowhere) as away:
        assert (await listed(ada.client, away))["unavailable"] == [away.name]
        refused = await get(ada.client, away, "close")
        assert told(refused) == (503, "MCP_SERVER_AWAY")
        assert refused.headers["Retry-After"] == "5"
        assert (await listed(ada.client, away))["unavailable"] == [away.name]


async def test_a_server_without_prompts_has_none(product: Product, ada: Person):
    shown = await ada.client.get(PROMPTS, params={"server": "datetime"})
    assert shown.json()["prompts"] == []
    assert shown.json()["unavailable"] == []
    nothing = await ada.client.post(f"{PROMPTS}/datetime/now", json={})
    assert told(nothing) == (404, "PROMPT_NOT_FOUND")


async def test_where_people_have_sessions_of_their_own_prompts_come_over_these(
    product: Product, ada: Person, bob: Person
):
    async with open_prompting_server() as fake:
        config = {"url": fake.url, "session": "user"}
        async with open_added(product, fake, config=config) as added:
            assert await names(ada.client, added) == ["greet", "close"]
            assert await names(bob.client, added) == ["greet", "close"]
            for person in (ada, bob, ada):
                assert text_of(await get(person.client, added, "close")) == "close: []"
            of_ada, of_bob, of_ada_again = fake.sessions_given
            assert of_ada == of_ada_again != of_bob
            assert fake.lists == 1, "a list is no reason to open a session for somebody"


async def test_that_somebody_had_a_prompt_is_in_the_trail_without_the_arguments(
    product: Product, added: AddedServer, ada: Person
):
    await get(ada.client, added, "greet", name=SECRET)
    fake_of(added).error = types.ErrorData(code=types.INTERNAL_ERROR, message=SECRET)
    await get(ada.client, added, "greet", name=SECRET)
    await get(ada.client, added, "greet")
    conditions = {"actor_id": ada.id, "action": "prompt.get"}
    found = await product.client.get("/v1/audit", params=conditions)
    seen = [
        (each["resource_type"], each["resource_id"], each["success"])
        for each in found.json()["entries"]
    ]
    name = f"{added.name}.greet"
    assert seen == [("prompt", name, False), ("prompt", name, True)]
    assert SECRET not in found.text


async def test_a_restricted_key_needs_the_scope_of_tools(added: AddedServer, ada: Person):
    body = {"name": "t", "scopes": ["chat"]}
    key = (await ada.client.post("/v1/api-keys", json=body)).json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    refused = await ada.client.get(PROMPTS, headers=headers)
    assert told(refused) == (403, "NOT_AUTHORIZED")
