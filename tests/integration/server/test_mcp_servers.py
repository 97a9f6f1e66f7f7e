"""MCP servers over real HTTP: root adds and changes them, and runs follow at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from persistence.database import Database, open_database
from persistence.encryption import KeyRing
from tests.fakes.mutable_mcp_server import tool
from tests.fixtures.listening import PAUSE_SECONDS
from tests.fixtures.product import Product
from tests.fixtures.rows import SYSTEM
from tests.integration.server.people import told
from tests.integration.server.serving_tools import (
    SECRET,
    SERVERS,
    AddedServer,
    ask,
    new_name,
    open_added_server,
    results_told,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOWHERE = "http://127.0.0.1:1/mcp"


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product: Product) -> Product:
    return shared_product


@pytest_asyncio.fixture(loop_scope="module")
async def added(product: Product) -> AsyncIterator[AddedServer]:
    async with open_added_server(product) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def database(product: Product, tmp_path: Path) -> AsyncIterator[Database]:
    """What another replica would have open."""
    ring = KeyRing(product.secrets.key_list)
    opening = open_database(product.settings.database, key_ring=ring, data_dir=tmp_path)
    async with opening as opened:
        yield opened


async def test_a_server_that_root_adds_is_used_at_once_and_not_after_it_is_removed(
    product: Product, added: AddedServer
):
    state = {"healthy": True, "error": None, "tools": 2, "breaker": "closed"}
    assert added.made["status"] == state
    shown = {name: added.made[name] for name in ("source", "transport", "groups", "held")}
    assert shown == {"source": "api", "transport": "http", "groups": None, "held": []}
    assert added.fake.headers[-1]["authorization"] == f"Bearer {SECRET}"
    mine = {added.called("send"), added.called("read")}
    assert mine <= await ask(product, product.client)
    health = (await product.client.get("/health/detailed")).json()
    assert health["components"][f"mcp:{added.name}"]["status"] == "healthy"

    assert (await product.client.delete(added.path)).status_code == 204
    assert not mine & await ask(product, product.client)
    for gone in (await product.client.get(added.path), await product.client.delete(added.path)):
        assert told(gone) == (404, "MCP_SERVER_NOT_FOUND")


async def test_secrets_are_never_shown_again(product: Product):
    url = f"https://user:{SECRET}@tools.example.com/{SECRET}/mcp?key={SECRET}"
    body = {"name": new_name(), "config": {"url": url, "headers": {"X-Key": SECRET}}}
    made = await product.client.post(SERVERS, json={**body, "enabled": False})
    path = f"{SERVERS}/{made.json()['id']}"
    shown = await product.client.get(path)
    everywhere = [
        made,
        shown,
        await product.client.get(SERVERS),
        await product.client.patch(path, json={"groups": []}),
        await product.client.get("/v1/audit", params={"action": "mcp_server.create"}),
        await product.client.get("/v1/audit", params={"action": "mcp_server.change"}),
    ]
    assert all(answer.is_success for answer in everywhere)
    assert not any(SECRET in answer.text for answer in everywhere)
    config = shown.json()["config"]
    assert config["url"] == "https://tools.example.com:443/***"
    assert config["headers"] == {"X-Key": "***"}
    assert shown.json()["status"]["error"] == "it is switched off"
    await product.client.delete(path)


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"config": {}}, (400, "BAD_SERVER_CONFIG")),
        ({"config": {"url": f"no url {SECRET}"}}, (400, "BAD_SERVER_CONFIG")),
        ({"config": {"url": NOWHERE, "command": "x"}}, (400, "BAD_SERVER_CONFIG")),
        ({"config": {"url": NOWHERE, "type": "sse"}}, (400, "BAD_SERVER_CONFIG")),
        ({"config": {"url": NOWHERE, "headers": {"a b": SECRET}}}, (400, "BAD_SERVER_CONFIG")),
        ({"config": {"url": NOWHERE, "headers": {"a": f"\n{SECRET}"}}}, (400, "BAD_SERVER_CONFIG")),
        ({"name": "semantic"}, (400, "BAD_SERVER_CONFIG")),
        ({"name": "a__b"}, (400, "BAD_SERVER_CONFIG")),
        ({"name": "a.b"}, (400, "BAD_SERVER_CONFIG")),
        ({"config": {"command": "sh", "args": [SECRET]}}, (400, "STDIO_BY_API_REFUSED")),
        ({"groups": [999_999_999]}, (404, "GROUP_NOT_FOUND")),
        ({"more": 1}, (400, "VALIDATION_ERROR")),
    ],
)
async def test_what_is_no_server_is_refused(
    product: Product, body: dict[str, Any], refusal: tuple[int, str]
):
    before = (await product.client.get(SERVERS)).json()["total"]
    whole = {"name": new_name(), "config": {"url": NOWHERE}, **body}
    answer = await product.client.post(SERVERS, json=whole)
    assert told(answer) == refusal
    assert SECRET not in answer.text
    assert (await product.client.get(SERVERS)).json()["total"] == before


async def test_a_name_is_there_once(product: Product, added: AddedServer):
    body = {"name": added.name.upper(), "config": {"url": NOWHERE}}
    assert told(await product.client.post(SERVERS, json=body)) == (409, "SERVER_NAME_EXISTS")


async def test_a_server_that_is_switched_off_is_let_go_and_comes_back(
    product: Product, added: AddedServer
):
    off = (await product.client.patch(added.path, json={"enabled": False})).json()
    assert (off["enabled"], off["status"]["error"]) == (False, "it is switched off")
    assert added.called("send") not in await ask(product, product.client)
    on = (await product.client.patch(added.path, json={"enabled": True})).json()
    assert on["status"]["healthy"]
    assert added.called("send") in await ask(product, product.client)


async def test_a_changed_configuration_counts_at_once(product: Product, added: AddedServer):
    config = {"url": added.fake.url, "headers": {"Authorization": "Bearer another"}}
    changed = await product.client.patch(added.path, json={"config": config})
    assert changed.json()["status"]["healthy"]
    assert added.fake.headers[-1]["authorization"] == "Bearer another"
    refused = await product.client.patch(added.path, json={"config": {"command": "sh"}})
    assert told(refused) == (400, "STDIO_BY_API_REFUSED")
    for empty in ({}, {"config": None}, {"enabled": None}):
        assert (await product.client.patch(added.path, json=empty)).status_code == 400


async def test_a_server_that_cannot_be_reached_is_kept_and_says_why(product: Product):
    body = {"name": new_name(), "config": {"url": NOWHERE}}
    made = (await product.client.post(SERVERS, json=body)).json()
    assert not made["status"]["healthy"]
    assert made["status"]["error"]
    path = f"{SERVERS}/{made['id']}"
    refreshed = await product.client.post(f"{path}/refresh")
    assert not refreshed.json()["status"]["healthy"]
    assert (await product.client.delete(path)).status_code == 204


async def test_a_refresh_finds_new_tools(product: Product, added: AddedServer):
    added.fake.tools.append(tool("new"))
    assert (await added.refresh())["status"]["tools"] == 3
    assert added.called("new") in await ask(product, product.client)


async def test_a_run_whose_tool_is_gone_goes_on_with_an_error_that_the_model_can_read(
    product: Product, added: AddedServer
):
    name = added.called("send")
    added.fake.may_answer.clear()
    product.model.call(name, {})
    product.model.call(name, {})
    product.model.reply("It is gone.")
    running = asyncio.create_task(product.stream("Send it twice."))
    async with asyncio.timeout(20):
        await added.fake.is_called.wait()
        await product.client.delete(added.path)
        added.fake.may_answer.set()
        events = await running
    first, second = results_told(product)
    assert f"The tool {name} failed" in first
    assert f"The tool {name} cannot be used: its server was removed or set up anew." in second
    assert events[-1].data["metadata"]["status"] == "success"


async def test_a_replica_follows_what_another_one_has_committed(
    product: Product, added: AddedServer, database: Database
):
    async with database.unit_of_work(SYSTEM) as uow:
        row = await uow.mcp_servers.get(added.made["id"])
        await uow.mcp_servers.change(row, config=row.config, groups=None, enabled=False)
        await uow.commit()
    async with asyncio.timeout(10):
        while (await product.client.get(added.path)).json()["status"]["healthy"]:
            await asyncio.sleep(PAUSE_SECONDS)
