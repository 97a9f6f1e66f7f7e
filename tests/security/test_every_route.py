"""Every route of the OpenAPI document, walked by those who must not get through."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from persistence.access import AccessScope, ScopedStatement
from persistence.statements import Statement
from server.policy import POLICIES
from tests.fixtures.product import Product, client_for

MARK = "walnut-lighthouse"
"""Stands in everything that the owner said or named."""

BODIES: Mapping[str, dict[str, Any]] = {
    "POST /v1/chat": {"json": {"text_input": "hello"}},
    "POST /v1/chat/stream": {"json": {"text_input": "hello"}},
    "POST /v1/chat/sessions/search": {"json": {"query": MARK}},
    "PATCH /v1/chat/sessions/{session_id}": {"json": {"title": "taken over"}},
    "POST /v1/chat/sessions/{session_id}/fork": {"json": {"message_id": 1}},
    "POST /v1/runs/{run_id}/cancel": {},
    "POST /v1/runs/{run_id}/resume": {
        "json": {"decisions": {str(UUID(int=1)): {"decision": "allow"}}}
    },
    "POST /v1/runs/{run_id}/answers": {
        "json": {"answers": {str(UUID(int=1)): {"action": "accept"}}}
    },
    "POST /v1/ingest/upload": {"files": {"files": ("b.txt", b"The words of somebody else.")}},
    "POST /v1/ingest/path": {"json": {"path_or_url": "/nowhere"}},
    "POST /v1/ingest/runs/{ingest_run_id}/cancel": {},
    "PUT /v1/documents/{document_id}/content": {
        "files": {"file": ("b.txt", b"The words of somebody else.")}
    },
    "PATCH /v1/documents/{document_id}": {"json": {"is_private": True}},
    "POST /v1/search": {"json": {"query": MARK}},
    "POST /v1/auth/login": {"json": {"api_key": "yw_of_nobody"}},
    "POST /v1/auth/auto-login": {"json": {}},
    "POST /v1/auth/refresh": {},
    "POST /v1/auth/logout": {},
    "POST /v1/api-keys": {"json": {"name": "mine"}},
    "POST /v1/users": {"json": {"username": "made-by-a-stranger"}},
    "PATCH /v1/users/{user_id}": {"json": {"is_active": False}},
    "POST /v1/users/{user_id}/api-keys": {"json": {"name": "stolen"}},
    "POST /v1/groups": {"json": {"name": "others"}},
    "PATCH /v1/groups/{group_id}": {"json": {"name": "taken over"}},
    "POST /v1/groups/{group_id}/members": {"json": {"user_id": 1, "role": "admin"}},
    "PATCH /v1/groups/{group_id}/members/{user_id}": {"json": {"role": "member"}},
    "POST /v1/tool-policies": {"json": {"tool": "*", "verdict": "deny"}},
    "PATCH /v1/tool-policies/{policy_id}": {"json": {"verdict": "ask"}},
    "POST /v1/tool-limits": {"json": {"tool": "*", "max_calls_per_run": 1}},
    "PATCH /v1/tool-limits/{limit_id}": {"json": {"max_calls_per_run": 1}},
    "PATCH /v1/tools/{tool_id}": {"json": {"enabled": False}},
    "POST /v1/prompts/{server}/{name}": {"json": {"arguments": {}}},
    "POST /v1/mcp/servers": {
        "json": {"name": "stolen", "config": {"url": "http://127.0.0.1:1/mcp"}}
    },
    "PATCH /v1/mcp/servers/{server_id}": {"json": {"enabled": False}},
    "POST /v1/mcp/servers/{server_id}/refresh": {},
    "POST /v1/mcp/servers/{server_id}/authorization": {},
    "POST /v1/mcp/servers/{server_id}/approve": {"json": {"fingerprint": "1"}},
    "DELETE /v1/account": {"json": {"confirm": "nobody"}},
}
"""What a route that changes something is sent; a new one fails the walk until it is here."""

GROUP_ADMIN_ROUTES = {
    "PATCH /v1/groups/{group_id}",
    "DELETE /v1/groups/{group_id}",
    "POST /v1/groups/{group_id}/members",
    "PATCH /v1/groups/{group_id}/members/{user_id}",
    "PATCH /v1/tool-policies/{policy_id}",
    "DELETE /v1/tool-policies/{policy_id}",
    "PATCH /v1/tool-limits/{limit_id}",
    "DELETE /v1/tool-limits/{limit_id}",
}


@dataclass(frozen=True)
class Owner:
    """Somebody with one of everything, and the ids of it."""

    client: httpx.AsyncClient
    ids: Mapping[str, str]

    async def belongings(self) -> Any:
        """All that the owner sees of what is theirs."""
        paths = (
            "/v1/auth/me",
            "/v1/chat/sessions",
            f"/v1/chat/sessions/{self.ids['session_id']}",
            f"/v1/runs/{self.ids['run_id']}",
            "/v1/documents",
            "/v1/ingest/runs",
            f"/v1/ingest/runs/{self.ids['ingest_run_id']}",
            f"/v1/sources/{self.ids['source_id']}",
            "/v1/api-keys",
            "/v1/approvals",
            "/v1/questions",
            "/v1/tool-policies",
            "/v1/tool-limits",
            "/v1/tools",
            "/v1/mcp/authorizations",
            "/v1/prompts",
            f"/v1/groups/{self.ids['group_id']}",
        )
        answers = [await self.client.get(path) for path in paths]
        assert {answer.status_code for answer in answers} == {200}
        return [_without_times(answer.json()) for answer in answers]


@pytest.fixture
async def owner(product: Product) -> AsyncIterator[Owner]:
    client = await product.new_user("anna")
    product.model.reply(f"Of the {MARK} I know nothing.")
    chat = await client.post(
        "/v1/chat", json={"text_input": f"What of the {MARK}?", "session_id": f"{MARK}-session"}
    )
    upload = await client.post(
        "/v1/ingest/upload", files={"files": (f"{MARK}.txt", f"The {MARK} shines.".encode())}
    )
    key = await client.post("/v1/api-keys", json={"name": MARK})
    group = await client.post("/v1/groups", json={"name": MARK, "description": MARK})
    policy = await client.post(
        "/v1/tool-policies",
        json={
            "group_id": group.json()["id"],
            "tool": MARK,
            "arguments": {MARK: MARK},
            "verdict": "deny",
            "reason": MARK,
        },
    )
    limit = await client.post(
        "/v1/tool-limits",
        json={"group_id": group.json()["id"], "tool": MARK, "max_calls_per_run": 9},
    )
    await product.client.post(
        "/v1/tool-policies",
        json={
            "group_id": group.json()["id"],
            "tool": "units.*",
            "verdict": "ask",
            "approver": "either",
        },
    )
    product.model.call("units__convert", {"value": 1, "from_unit": MARK, "to_unit": MARK})
    waiting = await client.post("/v1/chat", json={"text_input": f"How far is the {MARK}?"})
    assert waiting.json()["status"] == "awaiting_approval"
    history = await client.get(f"/v1/chat/sessions/{chat.json()['session_id']}")
    found = await client.post("/v1/search", json={"query": f"The {MARK} shines."})
    me = await client.get("/v1/auth/me")
    tools = await client.get("/v1/tools")
    server = await product.client.post(
        "/v1/mcp/servers",
        json={"name": MARK, "enabled": False, "config": {"url": f"http://{MARK}.invalid/mcp"}},
    )
    yield Owner(
        client=client,
        ids={
            "session_id": chat.json()["session_id"],
            "run_id": chat.json()["run_id"],
            "message_id": str(history.json()["messages"][0]["id"]),
            "number": "1",
            "ingest_run_id": upload.json()["run_id"],
            "document_id": str(upload.json()["files"][0]["document_id"]),
            "source_id": found.json()["hits"][0]["source"]["id"],
            "key_id": str(key.json()["id"]),
            "group_id": str(group.json()["id"]),
            "policy_id": str(policy.json()["id"]),
            "limit_id": str(limit.json()["id"]),
            "user_id": str(me.json()["id"]),
            "tool_id": str(tools.json()["tools"][0]["id"]),
            "content_id": await add_content(product, chat.json()["run_id"]),
            "server_id": str(server.json()["id"]),
            "server": MARK,
            "name": "greet",
        },
    )
    await client.aclose()


async def add_content(product: Product, run_id: str) -> str:
    """Something that a tool of the run might have brought."""
    url = product.settings.database.url
    assert url is not None
    connection = await asyncpg.connect(url.get_secret_value())
    try:
        content_id = await connection.fetchval(
            "INSERT INTO tool_contents (id, run_id, call_id, kind, size_bytes, facts, body) "
            "VALUES (gen_random_uuid(), $1, 'c', 'image', 1, '', '') RETURNING id",
            UUID(run_id),
        )
    finally:
        await connection.close()
    return str(content_id)


CALLBACK = "GET /v1/mcp/authorization/callback/{server_id}"
"""Anybody may come back; without what was begun all are refused alike."""

NOWHERE = {
    "session_id": "a-session-that-is-not",
    "run_id": str(uuid4()),
    "message_id": "999999999",
    "number": "1",
    "ingest_run_id": str(uuid4()),
    "document_id": "999999999",
    "source_id": str(uuid4()),
    "key_id": "999999999",
    "group_id": "999999999",
    "policy_id": "999999999",
    "limit_id": "999999999",
    "user_id": "999999999",
    "tool_id": "999999999",
    "content_id": str(uuid4()),
    "server_id": "999999999",
    "server": "a-server-that-is-not",
    "name": "nothing",
}


def routes(product: Product) -> Iterator[str]:
    """Every operation that the OpenAPI document names, as `METHOD /path`."""
    document = product.app.openapi()
    for path, operations in document["paths"].items():
        for method in operations:
            yield f"{method.upper()} {path}"


async def ask(
    client: httpx.AsyncClient, route: str, ids: Mapping[str, str], **more: Any
) -> httpx.Response:
    method, _, path = route.partition(" ")
    body = BODIES.get(route)
    if body is None:
        assert method in {"GET", "DELETE", "HEAD"}, f"say in BODIES what {route} is sent"
    return await client.request(method, path.format(**ids), **(body or {}), **more)


def _without_times(value: Any) -> Any:
    """What a request of the owner's own may change: when a key was last used."""
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if k != "last_used_at"}
    if isinstance(value, list):
        return [_without_times(each) for each in value]
    return value


def _names_an_id(route: str) -> bool:
    return "{" in route


async def walk_as_another(product: Product, owner: Owner) -> list[str]:
    """Try every route with the owner's ids as another user; return what went wrong."""
    before = await owner.belongings()
    faults = []
    for number, route in enumerate(routes(product)):
        stranger = await product.new_user(f"stranger-{number}")
        async with stranger:
            answer = await ask(stranger, route, owner.ids)
            if MARK in answer.text:
                faults.append(f"{route} shows it: {answer.text[:200]}")
            if _names_an_id(route):
                other = await ask(stranger, route, NOWHERE)
                if answer.status_code not in ({400} if route == CALLBACK else {403, 404}):
                    faults.append(f"{route} answers {answer.status_code}")
                if (answer.status_code, answer.text) != (other.status_code, other.text):
                    faults.append(f"{route} tells what exists from what does not: {answer.text}")
    if await owner.belongings() != before:
        faults.append("something of the owner's was changed")
    return faults


async def test_another_user_reads_changes_and_infers_nothing(product: Product, owner: Owner):
    assert await walk_as_another(product, owner) == []


@pytest.fixture
def access_clauses_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The access clause switched off in every repository."""

    def unrestricted(statement: ScopedStatement, _: AccessScope) -> Statement:
        return statement._unrestricted

    monkeypatch.setattr(ScopedStatement, "under", unrestricted)
    monkeypatch.setattr(ScopedStatement, "administered_by", unrestricted)


async def test_row_level_security_alone_holds(
    product: Product, owner: Owner, access_clauses_off: None
):
    assert await walk_as_another(product, owner) == []


async def test_nobody_gets_through(product: Product, owner: Owner):
    before = await owner.belongings()
    answers = {}
    async with client_for(product.url, None) as nobody:
        for route in routes(product):
            if POLICIES[route].access != "public":
                answers[route] = (await ask(nobody, route, owner.ids)).status_code
    assert set(answers.values()) == {401}, answers
    assert await owner.belongings() == before


async def test_a_user_gets_through_no_door_of_roots(product: Product, owner: Owner):
    guarded = [route for route in routes(product) if POLICIES[route].access == "root"]
    answers = {route: (await ask(owner.client, route, owner.ids)).status_code for route in guarded}
    assert answers == dict.fromkeys(guarded, 403)
    assert len(guarded) >= 5


async def test_a_member_does_nothing_that_is_for_admins(product: Product, owner: Owner):
    member = await product.new_user("bert")
    async with member:
        member_id = (await member.get("/v1/auth/me")).json()["id"]
        members = f"/v1/groups/{owner.ids['group_id']}/members"
        await owner.client.post(members, json={"user_id": member_id, "role": "member"})
        before = await owner.belongings()
        answers = {}
        for route in sorted(GROUP_ADMIN_ROUTES):
            answer = await ask(member, route, owner.ids)
            answers[route] = (answer.status_code, answer.json()["error"]["code"])
        assert answers == dict.fromkeys(sorted(GROUP_ADMIN_ROUTES), (403, "NOT_GROUP_ADMIN"))
        kick = await ask(member, "DELETE /v1/groups/{group_id}/members/{user_id}", owner.ids)
        assert (kick.status_code, kick.json()["error"]["code"]) == (403, "NOT_GROUP_ADMIN")
        assert await owner.belongings() == before


async def test_every_route_has_a_policy_and_every_policy_a_route(product: Product):
    walked = set(routes(product))
    hidden = {"HEAD /health", "WS /v1/ws/chat/{session_id}", "POST /mcp"}
    assert walked | hidden == set(POLICIES)


@pytest.mark.parametrize(
    "session_id",
    ["%2e%2e", "..%2f..%2fdocuments", "a%00b", "%2e%2e%2fusers%2f1", "x" * 10_000],
)
async def test_a_path_inside_an_id_leads_nowhere(product: Product, session_id: str):
    answer = await product.client.get(f"/v1/chat/sessions/{session_id}")
    assert answer.status_code in {400, 404}
    assert json.loads(answer.text)["error"]["code"]
