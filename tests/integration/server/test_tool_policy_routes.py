"""Rules about tool calls over real HTTP: who makes, sees and changes which."""

from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.fixtures.product import Product, client_for
from tests.integration.server.people import Person, make_group, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICIES = "/v1/tool-policies"
DENY_MAIL = {"tool": "mail.*", "verdict": "deny"}
WHEN = ("before", "after")


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product: Product) -> Product:
    return shared_product


async def make(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post(POLICIES, json={**DENY_MAIL, **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def listed(client: httpx.AsyncClient) -> list[int]:
    answer = await client.get(POLICIES, params={"limit": 100})
    return [each["id"] for each in answer.json()["tool_policies"]]


async def test_a_rule_is_answered_as_it_was_made(product: Product):
    rule = {
        "group_id": None,
        "tool": "mail.send",
        "arguments": {"to": "*@example.com", "copies": 5, "force": True, "since": None, "x": 0.5},
        "verdict": "ask",
        "approver": "user",
        "reason": "Mail leaves the house.",
    }
    made = await make(product.client, **rule)
    assert made.items() >= rule.items()
    found = (await product.client.get(POLICIES)).json()["tool_policies"]
    assert made in found


async def test_the_admins_of_a_group_make_its_rules_and_its_members_see_them(
    ada: Person, bob: Person, eve: Person
):
    group_id = await make_group(ada, bob)
    made = await make(ada.client, group_id=group_id)
    assert made["id"] in await listed(ada.client)
    assert made["id"] in await listed(bob.client)
    assert made["id"] not in await listed(eve.client)
    path = f"{POLICIES}/{made['id']}"
    for person, refusal in (
        (bob, (403, "NOT_GROUP_ADMIN")),
        (eve, (404, "TOOL_POLICY_NOT_FOUND")),
    ):
        assert told(await person.client.patch(path, json={"verdict": "ask"})) == refusal
        assert told(await person.client.delete(path)) == refusal
    changed = await ada.client.patch(path, json={"verdict": "ask", "arguments": {"to": "*"}})
    assert (
        changed.json().items()
        >= {
            "verdict": "ask",
            "arguments": {"to": "*"},
            "tool": "mail.*",
        }.items()
    )
    assert (await ada.client.delete(path)).status_code == 204
    assert told(await ada.client.delete(path)) == (404, "TOOL_POLICY_NOT_FOUND")


async def test_nobody_rules_over_a_group_that_is_not_theirs(ada: Person, bob: Person, eve: Person):
    group_id = await make_group(ada, bob)
    body = {**DENY_MAIL, "group_id": group_id}
    assert told(await bob.client.post(POLICIES, json=body)) == (403, "NOT_GROUP_ADMIN")
    strangers = await eve.client.post(POLICIES, json=body)
    nowhere = await eve.client.post(POLICIES, json={**DENY_MAIL, "group_id": 999_999_999})
    assert told(strangers) == told(nowhere) == (404, "GROUP_NOT_FOUND")
    assert strangers.text == nowhere.text


async def test_root_makes_rules_for_everybody_and_for_any_group(
    product: Product, ada: Person, eve: Person
):
    group_id = await make_group(ada)
    of_group = await make(product.client, group_id=group_id, verdict="ask", approver="either")
    for_all = await make(product.client)
    assert {of_group["id"], for_all["id"]} <= set(await listed(product.client))
    assert for_all["id"] in await listed(eve.client)
    missing = await product.client.post(POLICIES, json={**DENY_MAIL, "group_id": 999_999_999})
    assert told(missing) == (404, "GROUP_NOT_FOUND")


@pytest.mark.parametrize(
    "values",
    [{"verdict": "allow"}, {"verdict": "ask", "approver": "either"}, {"group_id": None}],
    ids=["allows", "shows calls to others", "is for everybody"],
)
async def test_what_loosens_or_shows_is_for_root(
    product: Product, ada: Person, values: dict[str, Any]
):
    group_id = await make_group(ada)
    body = {**DENY_MAIL, "group_id": group_id, **values}
    assert told(await ada.client.post(POLICIES, json=body)) == (403, "NOT_AUTHORIZED")
    own = await make(ada.client, group_id=group_id)
    changes = {name: value for name, value in values.items() if name != "group_id"}
    if changes:
        answer = await ada.client.patch(f"{POLICIES}/{own['id']}", json=changes)
        assert told(answer) == (403, "NOT_AUTHORIZED")
    of_root = f"{POLICIES}/{(await make(product.client, **body))['id']}"
    tightened = {"verdict": "deny", "approver": "user"}
    assert told(await ada.client.patch(of_root, json=tightened)) == (403, "NOT_AUTHORIZED")
    assert told(await ada.client.delete(of_root)) == (403, "NOT_AUTHORIZED")
    assert (await product.client.patch(of_root, json=tightened)).status_code == 200


@pytest.mark.parametrize(
    "values",
    [
        {"tool": ""},
        {"tool": "a\u0000b"},
        {"tool": "x" * 201},
        {"verdict": "maybe"},
        {"approver": "either"},
        {"arguments": {"a..b": "*"}},
        {"arguments": {".".join("abcdefghi"): "*"}},
        {"arguments": {"a": ["*"]}},
        {"arguments": {str(n): "*" for n in range(21)}},
        {"group_id": 0},
        {"priority": 1},
    ],
)
async def test_what_is_no_rule_is_refused(product: Product, values: dict[str, Any]):
    answer = await product.client.post(POLICIES, json={**DENY_MAIL, **values})
    assert told(answer) == (400, "VALIDATION_ERROR")


async def test_a_change_that_changes_nothing_or_asks_nobody_is_refused(product: Product):
    path = f"{POLICIES}/{(await make(product.client))['id']}"
    for change in ({}, {"verdict": None}, {"group_id": 1}, {"approver": "group_admin"}):
        assert told(await product.client.patch(path, json=change)) == (400, "VALIDATION_ERROR")


async def test_the_rules_of_a_group_end_with_it(product: Product, ada: Person):
    group_id = await make_group(ada)
    made = await make(ada.client, group_id=group_id)
    await ada.client.delete(f"/v1/groups/{group_id}")
    assert made["id"] not in await listed(product.client)


async def test_a_group_has_only_so_many_rules(ada: Person):
    group_id = await make_group(ada)
    for _ in range(50):
        await make(ada.client, group_id=group_id)
    answer = await ada.client.post(POLICIES, json={**DENY_MAIL, "group_id": group_id})
    assert told(answer) == (409, "TOOL_POLICY_LIMIT")


async def test_changes_are_in_the_audit_with_what_was_before(ada: Person):
    group_id = await make_group(ada)
    path = f"{POLICIES}/{(await make(ada.client, group_id=group_id))['id']}"
    await ada.client.patch(path, json={"verdict": "ask"})
    await ada.client.delete(path)
    conditions = {"group_id": group_id, "action": "tool_policy"}
    entries = (await ada.client.get("/v1/audit", params=conditions)).json()["entries"]
    verdicts = [
        tuple(entry["details"][when] and entry["details"][when]["verdict"] for when in WHEN)
        for entry in entries
    ]
    assert [entry["action"] for entry in entries] == [
        "tool_policy.delete",
        "tool_policy.change",
        "tool_policy.create",
    ]
    assert verdicts == [("ask", None), ("deny", "ask"), (None, "deny")]


async def test_a_key_needs_the_scope_for_tools(product: Product, ada: Person):
    for scope, status in (("chat", 403), ("tools", 200)):
        issued = await ada.client.post("/v1/api-keys", json={"name": "t", "scopes": [scope]})
        async with client_for(product.url, issued.json()["key"]) as client:
            assert (await client.get(POLICIES)).status_code == status
