"""Limits of tool calls over real HTTP: who makes, sees and changes which, and that they hold."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from mcp import types

from tests.fixtures.product import Product, client_for
from tests.integration.server.people import Person, make_group, told
from tests.integration.server.serving_tools import AddedServer, open_added_server, results_told

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = "/v1/tool-limits"
ONE_MAIL = {"tool": "mail.*", "max_calls_per_run": 1}
KM = {"value": 5, "from_unit": "km", "to_unit": "mile"}


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product: Product) -> Product:
    return shared_product


@pytest_asyncio.fixture(loop_scope="module")
async def added(product: Product) -> AsyncIterator[AddedServer]:
    async with open_added_server(product) as server:
        yield server


async def make(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post(LIMITS, json={**ONE_MAIL, **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def listed(client: httpx.AsyncClient) -> list[int]:
    answer = await client.get(LIMITS, params={"limit": 100})
    return [each["id"] for each in answer.json()["tool_limits"]]


async def test_a_limit_is_answered_as_it_was_made_and_changed(product: Product):
    limit = {"group_id": None, "tool": "web.fetch", "max_seconds": 2.5, "max_result_chars": 900}
    made = await make(product.client, **limit)
    assert made.items() >= {**limit, "max_calls_per_run": 1}.items()
    assert made in (await product.client.get(LIMITS, params={"limit": 100})).json()["tool_limits"]
    path = f"{LIMITS}/{made['id']}"
    answer = await product.client.patch(path, json={"max_seconds": None, "max_calls_per_run": 7})
    changed = answer.json()
    assert (changed["max_seconds"], changed["max_calls_per_run"]) == (None, 7)
    assert (changed["tool"], changed["max_result_chars"]) == ("web.fetch", 900)
    assert (await product.client.delete(path)).status_code == 204


async def test_the_admins_of_a_group_limit_it_and_its_members_see_that(
    product: Product, ada: Person, bob: Person, eve: Person
):
    group_id = await make_group(ada, bob)
    made = await make(ada.client, group_id=group_id)
    assert made["id"] in await listed(ada.client)
    assert made["id"] in await listed(bob.client)
    assert made["id"] in await listed(product.client)
    assert made["id"] not in await listed(eve.client)
    await make_group(eve)  # an admin, but of another group
    path = f"{LIMITS}/{made['id']}"
    for person, refusal in (
        (bob, (403, "NOT_GROUP_ADMIN")),
        (eve, (404, "TOOL_LIMIT_NOT_FOUND")),
    ):
        assert told(await person.client.patch(path, json={"max_calls_per_run": 2})) == refusal
        assert told(await person.client.delete(path)) == refusal
    changed = await ada.client.patch(path, json={"max_calls_per_run": 2})
    assert changed.json()["max_calls_per_run"] == 2
    assert (await ada.client.delete(path)).status_code == 204
    assert told(await ada.client.delete(path)) == (404, "TOOL_LIMIT_NOT_FOUND")


async def test_nobody_limits_everybody_or_a_group_that_is_not_theirs(
    product: Product, ada: Person, bob: Person, eve: Person
):
    group_id = await make_group(ada, bob)
    body = {**ONE_MAIL, "group_id": group_id}
    assert told(await bob.client.post(LIMITS, json=body)) == (403, "NOT_GROUP_ADMIN")
    strangers = await eve.client.post(LIMITS, json=body)
    nowhere = await eve.client.post(LIMITS, json={**ONE_MAIL, "group_id": 999_999_999})
    assert told(strangers) == told(nowhere) == (404, "GROUP_NOT_FOUND")
    assert strangers.text == nowhere.text
    assert told(await ada.client.post(LIMITS, json=ONE_MAIL)) == (403, "NOT_AUTHORIZED")
    for_all = await make(product.client)
    assert for_all["id"] in await listed(eve.client)
    path = f"{LIMITS}/{for_all['id']}"
    assert told(await ada.client.delete(path)) == (403, "NOT_AUTHORIZED")
    assert (await make(product.client, group_id=group_id))["group_id"] == group_id


@pytest.mark.parametrize(
    "values",
    [
        {"tool": ""},
        {"tool": "a\u0000b"},
        {"tool": "x" * 201},
        {"max_calls_per_run": None},
        {"max_calls_per_run": 0},
        {"max_calls_per_run": 1.5},
        {"max_calls_per_run": 10_001},
        {"max_seconds": 0},
        {"max_seconds": 3601},
        {"max_seconds": "soon"},
        {"max_result_chars": 199},
        {"group_id": 0},
        {"verdict": "deny"},
    ],
)
async def test_what_is_no_limit_is_refused(product: Product, values: dict[str, Any]):
    answer = await product.client.post(LIMITS, json={**ONE_MAIL, **values})
    assert told(answer) == (400, "VALIDATION_ERROR")


async def test_a_change_that_changes_nothing_or_leaves_nothing_is_refused(product: Product):
    path = f"{LIMITS}/{(await make(product.client))['id']}"
    for change in ({}, {"tool": None}, {"group_id": 1}, {"max_calls_per_run": None}):
        assert told(await product.client.patch(path, json=change)) == (400, "VALIDATION_ERROR")


async def test_changes_at_the_same_time_lose_nothing_and_leave_no_empty_rule(product: Product):
    both = {"max_seconds": 5, "max_result_chars": 500, "max_calls_per_run": 5}
    path = f"{LIMITS}/{(await make(product.client, **both))['id']}"
    answers = await asyncio.gather(
        *(product.client.patch(path, json={name: None}) for name in both)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 400]
    found = (await product.client.get(LIMITS, params={"limit": 100})).json()["tool_limits"]
    [left] = [each for each in found if path.endswith(f"/{each['id']}")]
    assert sum(left[name] is not None for name in both) == 1


async def test_a_group_has_only_so_many_limits_and_they_end_with_it(product: Product, ada: Person):
    group_id = await make_group(ada)
    made = [await make(ada.client, group_id=group_id) for _ in range(50)]
    answer = await ada.client.post(LIMITS, json={**ONE_MAIL, "group_id": group_id})
    assert told(answer) == (409, "TOOL_LIMIT_LIMIT")
    await ada.client.delete(f"/v1/groups/{group_id}")
    assert made[0]["id"] not in await listed(product.client)


async def test_changes_are_in_the_audit_with_what_was_before(ada: Person):
    group_id = await make_group(ada)
    path = f"{LIMITS}/{(await make(ada.client, group_id=group_id))['id']}"
    await ada.client.patch(path, json={"max_calls_per_run": 2})
    await ada.client.delete(path)
    conditions = {"group_id": group_id, "action": "tool_limit"}
    entries = (await ada.client.get("/v1/audit", params=conditions)).json()["entries"]
    said = [
        (
            entry["action"],
            *(
                entry["details"][when] and entry["details"][when]["max_calls_per_run"]
                for when in ("before", "after")
            ),
        )
        for entry in entries
    ]
    assert said == [
        ("tool_limit.delete", 2, None),
        ("tool_limit.change", 1, 2),
        ("tool_limit.create", None, 1),
    ]


async def test_a_key_needs_the_scope_for_tools(product: Product, ada: Person):
    for scope, status in (("chat", 403), ("tools", 200)):
        issued = await ada.client.post("/v1/api-keys", json={"name": "t", "scopes": [scope]})
        async with client_for(product.url, issued.json()["key"]) as client:
            assert (await client.get(LIMITS)).status_code == status


async def test_a_run_makes_as_many_calls_as_it_may_and_answers_with_what_there_is(
    product: Product, ada: Person
):
    group_id = await make_group(ada)
    await make(ada.client, group_id=group_id, tool="units.convert")
    for value in (5, 6):
        product.model.call("units__convert", {**KM, "value": value})
    product.model.reply("Five of them are 3.1 miles.")
    answer = await ada.client.post("/v1/chat", json={"text_input": "How many miles?"})
    assert answer.json()["content"] == "Five of them are 3.1 miles."
    first, second = results_told(product)
    assert "3.1" in first
    assert "units.convert may be called once in a run, and was." in second


async def test_a_limit_of_a_results_length_holds_for_the_next_call(
    product: Product, added: AddedServer, ada: Person
):
    group_id = await make_group(ada)
    said = types.TextContent(type="text", text="long " * 1000)
    added.fake.answers["read"] = types.CallToolResult(content=[said])
    for limit in (300, 200):
        limits = {"max_result_chars": limit, "max_calls_per_run": None}
        await make(ada.client, group_id=group_id, tool=f"{added.name}.*", **limits)
        product.model.call(added.called("read"), {})
        product.model.reply("It is long.")
        await ada.client.post("/v1/chat", json={"text_input": "Read it."})
        [result] = results_told(product)
        assert f"[Cut: the first {limit} of 5000 characters.]" in result


async def test_of_a_denied_tool_only_those_hear_who_may_use_its_server(
    product: Product, added: AddedServer, ada: Person
):
    rule = {"tool": f"{added.name}.*", "verdict": "deny", "reason": "Not for anybody."}
    made = await product.client.post("/v1/tool-policies", json=rule)

    async def hear() -> str:
        product.model.call(added.called("read"), {})
        product.model.reply("I may not.")
        await ada.client.post("/v1/chat", json={"text_input": "Read it."})
        [result] = results_told(product)
        return result

    assert "Not for anybody." in await hear()
    await product.client.patch(added.path, json={"groups": []})
    unknown = await hear()
    assert f"There is no tool named {added.called('read')}" in unknown
    assert "Not for anybody." not in unknown
    await product.client.delete(f"/v1/tool-policies/{made.json()['id']}")
    assert added.fake.called == []
