"""Odd requests at the edge of the API: each gets the answer that fits, in the one form."""

import re
from contextlib import asynccontextmanager

import asyncpg
import pytest

from persistence.errors import InvalidValue
from server.error_responses import translate
from tests.fixtures.product import Product, client_for

BEYOND_64_BITS = 2**63
RESOURCE = re.compile(r"""(?:src|href)=["']([^"']+)["']""")


def fault(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@asynccontextmanager
async def answers_refused(database_url: str):
    """While this is open the database takes no message of the agent."""
    database = await asyncpg.connect(database_url)
    try:
        await database.execute(
            "ALTER TABLE messages ADD CONSTRAINT silent CHECK (role <> 'assistant') NOT VALID"
        )
        yield
    finally:
        await database.execute("ALTER TABLE messages DROP CONSTRAINT IF EXISTS silent")
        await database.close()


async def test_an_id_that_no_row_can_have_is_a_malformed_request(product: Product):
    client = product.client
    for odd in (0, -1, BEYOND_64_BITS, 10**30):
        for answer in (
            await client.get(f"/v1/documents/{odd}"),
            await client.delete(f"/v1/documents/{odd}"),
            await client.delete(f"/v1/api-keys/{odd}"),
            await client.patch(f"/v1/users/{odd}", json={"is_active": True}),
            await client.post(f"/v1/users/{odd}/api-keys", json={"name": "x"}),
            await client.post("/v1/search", json={"query": "x", "document_ids": [odd]}),
        ):
            assert fault(answer) == (400, "VALIDATION_ERROR")
    assert (await client.get(f"/v1/documents/{BEYOND_64_BITS - 1}")).status_code == 404


def test_a_value_that_its_column_cannot_hold_is_a_malformed_request():
    answer = translate(InvalidValue("the value"))
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert "the value" not in str(answer)


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_the_documentation_loads_nothing_from_elsewhere(product: Product, page: str):
    answer = await product.client.get(page)

    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    addresses = RESOURCE.findall(answer.text)
    assert any(address.endswith(".js") for address in addresses)
    for address in addresses:
        assert re.match(r"/[^/]", address), address
        assert (await product.client.get(address)).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_a_body_that_is_not_called_json_is_told_so(product: Product, kind: str | None):
    headers = {"Content-Type": kind} if kind else {}
    answer = await product.client.post("/v1/search", content='{"query": "x"}', headers=headers)
    assert fault(answer) == (400, "VALIDATION_ERROR")
    assert "Content-Type: application/json" in answer.json()["error"]["message"]


async def test_a_slash_too_many_is_a_missing_address_and_never_a_redirect(product: Product):
    answer = await product.client.post(
        "/v1/chat/", json={"text_input": "hi"}, headers={"Host": "elsewhere.example"}
    )
    assert fault(answer) == (404, "RESOURCE_NOT_FOUND")
    assert "location" not in answer.headers


async def test_an_empty_bearer_leaves_the_other_header_to_say_who_calls(product: Product):
    key = product.secrets.root_api_key
    async with client_for(product.url, None) as client:
        for empty in ("Bearer", "bearer"):
            both = {"Authorization": empty, "X-API-Key": key}
            assert (await client.get("/v1/api-keys", headers=both)).status_code == 200
            answer = await client.get("/v1/api-keys", headers={"Authorization": empty})
            assert fault(answer) == (401, "NOT_AUTHENTICATED")


async def test_a_run_fails_with_the_same_code_in_the_stream_and_in_the_whole_answer(
    product: Product, database_url: str
):
    product.model.reply("one")
    product.model.reply("two")
    async with answers_refused(database_url):
        [told] = [event.data for event in await product.stream("q") if event.event == "error"]
        whole = await product.client.post("/v1/chat", json={"text_input": "q"})

    assert told["code"] == "DATABASE_ERROR"
    assert fault(whole) == (500, "DATABASE_ERROR")
    assert whole.json()["error"]["message"] == told["message"]


async def test_a_title_of_white_space_is_refused(product: Product):
    product.model.reply("hello")
    await product.stream("hi", session_id="named")
    for title in ("", " ", "\t\n"):
        answer = await product.client.patch("/v1/chat/sessions/named", json={"title": title})
        assert fault(answer) == (400, "VALIDATION_ERROR")


async def test_health_answers_a_head_request(product: Product):
    async with client_for(product.url, None) as stranger:
        answer = await stranger.head("/health")
    assert (answer.status_code, answer.content) == (200, b"")
