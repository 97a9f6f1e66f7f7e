"""Users and API keys over real HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from persistence.repositories.api_keys import GOOD_KEYS_MAX
from tests.fixtures.plaintext_scan import find_in_database
from tests.fixtures.product import Product, client_for


async def test_a_user_made_by_root_calls_with_the_key_that_was_shown(product: Product):
    async with await product.new_user("ada") as ada:
        assert (await ada.get("/v1/chat/sessions")).status_code == 200
        keys = (await ada.get("/v1/api-keys")).json()["api_keys"]
    assert len(keys) == 1
    assert keys[0]["prefix"].startswith("yw_")
    assert "key" not in keys[0]
    assert keys[0]["last_used_at"] is not None


async def test_only_root_makes_and_lists_users(product: Product):
    async with await product.new_user("ada") as ada:
        for answer in (
            await ada.post("/v1/users", json={"username": "eve"}),
            await ada.get("/v1/users"),
            await ada.patch("/v1/users/1", json={"is_active": False}),
            await ada.post("/v1/users/1/api-keys", json={"name": "x"}),
            await ada.get("/health/detailed"),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "NOT_AUTHORIZED")
    names = [user["username"] for user in (await product.client.get("/v1/users")).json()["users"]]
    assert names == ["root", "ada"]


async def test_a_username_is_taken_once_whatever_its_case(product: Product):
    await product.client.post("/v1/users", json={"username": "ada"})
    again = await product.client.post("/v1/users", json={"username": "Ada"})
    assert (again.status_code, again.json()["error"]["code"]) == (400, "USERNAME_EXISTS")


async def test_a_revoked_key_is_refused_on_the_next_request(product: Product):
    async with await product.new_user("ada") as ada:
        [key] = (await ada.get("/v1/api-keys")).json()["api_keys"]
        assert (await ada.delete(f"/v1/api-keys/{key['id']}")).status_code == 204
        answer = await ada.get("/v1/chat/sessions")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "INVALID_API_KEY")


async def test_a_deactivated_user_is_refused_on_the_next_request(product: Product):
    async with await product.new_user("ada") as ada:
        users = (await product.client.get("/v1/users")).json()["users"]
        path = f"/v1/users/{users[-1]['id']}"
        await product.client.patch(path, json={"is_active": False})
        assert (await ada.get("/v1/chat/sessions")).status_code == 401
        await product.client.patch(path, json={"is_active": True})
        assert (await ada.get("/v1/chat/sessions")).status_code == 200


async def test_the_root_user_cannot_be_locked_out(product: Product):
    [root] = (await product.client.get("/v1/users")).json()["users"]
    answer = await product.client.patch(f"/v1/users/{root['id']}", json={"is_active": False})
    assert answer.status_code == 400


async def test_a_user_cannot_end_another_users_key(product: Product):
    async with await product.new_user("ada") as ada, await product.new_user("eve") as eve:
        [key] = (await ada.get("/v1/api-keys")).json()["api_keys"]
        theirs = await eve.delete(f"/v1/api-keys/{key['id']}")
        missing = await eve.delete("/v1/api-keys/999999")
        assert theirs.status_code == 404
        assert theirs.json() == missing.json()
        assert (await ada.get("/v1/api-keys")).status_code == 200


async def test_keys_come_in_pages(product: Product):
    async with await product.new_user("ada") as ada:
        for name in ("second", "third"):
            await ada.post("/v1/api-keys", json={"name": name})
        page = (await ada.get("/v1/api-keys", params={"limit": 2, "offset": 1})).json()
        assert [key["name"] for key in page.pop("api_keys")] == ["second", "third"]
        assert page == {"total": 3, "limit": 2, "offset": 1}
        for odd in ({"limit": 0}, {"limit": 101}, {"offset": -1}):
            assert (await ada.get("/v1/api-keys", params=odd)).status_code == 400


async def test_a_user_has_so_many_keys_and_no_more(product: Product):
    user = (await product.client.post("/v1/users", json={"username": "ada"})).json()
    path = f"/v1/users/{user['id']}/api-keys"
    answers = [
        await product.client.post(path, json={"name": "x"}) for _ in range(GOOD_KEYS_MAX + 1)
    ]
    assert {answer.status_code for answer in answers[:-1]} == {201}
    refused = answers[-1]
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "API_KEY_LIMIT")


async def test_an_expiry_in_the_past_or_without_a_zone_is_refused(product: Product):
    past = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    for expires_at in (past, "2999-01-01T00:00:00"):
        body = {"name": "x", "expires_at": expires_at}
        answer = await product.client.post("/v1/api-keys", json=body)
        assert answer.status_code == 400


async def test_an_expiry_that_no_calendar_needs_is_refused(product: Product):
    for expires_at in (
        "9999-12-31T23:59:59-12:00",
        "9000-01-01T00:00:00Z",
        "0001-01-01T00:00+14:00",
    ):
        body = {"name": "x", "expires_at": expires_at}
        answer = await product.client.post("/v1/api-keys", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    late = {"name": "x", "expires_at": "8999-12-31T23:59:59Z"}
    assert (await product.client.post("/v1/api-keys", json=late)).status_code == 201


async def test_keys_are_stored_as_hashes_alone(product: Product, database_url: str):
    issued = (await product.client.post("/v1/api-keys", json={"name": "x"})).json()
    async with client_for(product.url, issued["key"]) as client:
        assert (await client.get("/v1/api-keys")).status_code == 200
    assert await find_in_database(database_url, issued["key"]) == []


@pytest.mark.parametrize("username", ["", "a b", "é", "x" * 101, "a\x00b", "../x"])
async def test_a_malformed_username_is_refused(product: Product, username: str):
    answer = await product.client.post("/v1/users", json={"username": username})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_health_tells_strangers_only_that_the_server_is_up(product: Product):
    async with client_for(product.url, None) as stranger:
        live = await stranger.get("/health")
        detailed = await stranger.get("/health/detailed")
    assert live.status_code == 200
    assert set(live.json()) == {"status", "timestamp"}
    assert detailed.status_code == 401


async def test_detailed_health_names_each_part_and_sees_one_go_down(product: Product):
    well = (await product.client.get("/health/detailed")).json()
    await product.model.stop()
    ill = (await product.client.get("/health/detailed")).json()

    assert well["status"] == "healthy"
    assert {"database", "qdrant", "llm", "mcp:datetime", "mcp:units"} <= set(well["components"])
    assert ill["status"] == "unhealthy"
    assert ill["components"]["llm"]["status"] == "unhealthy"
    assert ill["components"]["database"]["status"] == "healthy"


async def test_openapi_documents_every_route_with_its_error_codes(product: Product):
    document = (await product.client.get("/openapi.json")).json()
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            assert route.get("summary"), (method, path)
            if path != "/health":
                assert "503" in route["responses"], (method, path)
            if "security" in route:
                assert "401" in route["responses"], (method, path)
    codes = document["paths"]["/v1/chat"]["post"]["responses"]["409"]["description"]
    assert "RUN_IN_PROGRESS" in codes
    assert (await product.client.get("/docs")).status_code == 200
