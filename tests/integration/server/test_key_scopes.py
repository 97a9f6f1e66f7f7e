"""Restricted keys, over real HTTP."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from server.policy import KEY_SCOPES
from tests.fixtures.browser import browser_for, log_in
from tests.fixtures.product import Product, client_for


async def make_key(client: httpx.AsyncClient, **body: object) -> dict[str, object]:
    answer = await client.post("/v1/api-keys", json={"name": "t", **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, object] = answer.json()
    return made


async def test_answers_show_what_a_key_is_restricted_to(product: Product):
    async with await product.new_user("ada") as ada:
        made = await make_key(ada, scopes=["documents:read", "chat", "chat"])
        listed = (await ada.get("/v1/api-keys")).json()["api_keys"]
    assert made["scopes"] == ["chat", "documents:read"]
    assert [key["scopes"] for key in listed] == [[], ["chat", "documents:read"]]


async def test_every_scope_that_routes_ask_for_can_be_given(product: Product):
    made = await make_key(product.client, scopes=list(KEY_SCOPES))
    assert made["scopes"] == sorted(KEY_SCOPES)


async def test_scopes_that_no_route_asks_for_are_refused(product: Product):
    for scopes in (["root"], ["*"], [""], ["CHAT"], "chat", [["chat"]], [], None):
        answer = await product.client.post("/v1/api-keys", json={"name": "t", "scopes": scopes})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_a_restricted_key_does_what_it_carries_and_nothing_else(product: Product):
    async with await product.new_user("ada") as ada:
        key = str((await make_key(ada, scopes=["chat"]))["key"])
    async with client_for(product.url, key) as restricted:
        assert (await restricted.get("/v1/chat/sessions")).status_code == 200
        assert (await restricted.get("/v1/auth/me")).status_code == 200
        for path in ("/v1/documents", "/v1/api-keys"):
            answer = await restricted.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "NOT_AUTHORIZED")


async def test_a_restricted_key_of_root_administers_nothing(product: Product):
    key = str((await make_key(product.client, scopes=["chat", "account"]))["key"])
    async with client_for(product.url, key) as restricted:
        assert (await restricted.get("/v1/users")).status_code == 403
        assert (await restricted.post("/v1/users", json={"username": "eve"})).status_code == 403


async def test_root_restricts_the_key_that_it_makes_for_another(product: Product):
    user = (await product.client.post("/v1/users", json={"username": "ada"})).json()
    path = f"/v1/users/{user['id']}/api-keys"
    issued = await product.client.post(path, json={"name": "t", "scopes": ["chat"]})
    assert issued.json()["scopes"] == ["chat"]
    async with client_for(product.url, issued.json()["key"]) as client:
        assert (await client.get("/v1/documents")).status_code == 403


async def test_a_login_opened_with_a_restricted_key_is_restricted_alike(product: Product):
    async with await product.new_user("ada") as ada:
        key = str((await make_key(ada, scopes=["chat"]))["key"])
    async with browser_for(product.url) as browser:
        await log_in(browser, key)
        for _ in range(2):
            assert (await browser.get("/v1/chat/sessions")).status_code == 200
            assert (await browser.get("/v1/documents")).status_code == 403
            assert (await browser.post("/v1/auth/refresh")).status_code == 200


async def test_a_key_that_ends_makes_keys_that_end_no_later(product: Product):
    soon = datetime.now(UTC) + timedelta(hours=1)
    async with await product.new_user("ada") as ada:
        key = str((await make_key(ada, expires_at=soon.isoformat()))["key"])
    async with client_for(product.url, key) as ending, browser_for(product.url) as browser:
        await log_in(browser, key)
        for client in (ending, browser):
            inherited = await make_key(client)
            assert datetime.fromisoformat(str(inherited["expires_at"])) == soon
            later = (soon + timedelta(seconds=1)).isoformat()
            answer = await client.post("/v1/api-keys", json={"name": "t", "expires_at": later})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "NOT_AUTHORIZED")


async def test_a_chat_of_a_key_that_may_not_read_documents_does_not_read_them(product: Product):
    async with await product.new_user("ada") as ada:
        note = {"files": ("plan.txt", b"The walnut lighthouse opens in March.")}
        assert (await ada.post("/v1/ingest/upload", files=note)).status_code == 200
        chats = str((await make_key(ada, scopes=["chat"]))["key"])
        reads = str((await make_key(ada, scopes=["chat", "documents:read"]))["key"])
    found = {}
    for key in (chats, reads):
        product.model.call("semantic__search", {"query": "walnut lighthouse"})
        product.model.reply("done")
        async with client_for(product.url, key) as client:
            answer = await client.post("/v1/chat", json={"text_input": "what opens?"})
        offered = product.model.requests[-1].tool_names
        told = "lighthouse opens" in str(product.model.requests[-1].messages)
        found[key] = (len(answer.json()["sources"]), told, "semantic__search" in offered)
    assert found == {chats: (0, False, False), reads: (1, True, True)}


ACCOUNT_ROUTES = {
    "GET /v1/account/export": ["account", "chat", "documents:read", "groups:read"],
    "DELETE /v1/account/history": ["account", "chat"],
    "DELETE /v1/account": ["account", "chat", "documents:write", "groups:write"],
}


@pytest.mark.parametrize("route", ACCOUNT_ROUTES)
async def test_a_key_exports_and_deletes_nothing_that_its_scopes_leave_out(
    product: Product, route: str
):
    method, path = route.split()
    needed = ACCOUNT_ROUTES[route]
    async with await product.new_user("ada") as ada:
        for left_out in needed:
            scopes = [scope for scope in KEY_SCOPES if scope != left_out]
            key = str((await make_key(ada, scopes=scopes))["key"])
            async with client_for(product.url, key) as restricted:
                answer = await restricted.request(method, path, json={"confirm": "ada"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "NOT_AUTHORIZED")
            assert left_out in answer.json()["error"]["message"]
        key = str((await make_key(ada, scopes=needed))["key"])
    async with client_for(product.url, key) as restricted:
        answer = await restricted.request(method, path, json={"confirm": "ada"})
    assert answer.status_code in {200, 204}, answer.text
