"""Every act that must be in the audit trail, done over HTTP and looked up there."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.fakes import indiscreet_mcp_server
from tests.fakes.ollama_server import ScriptedOllama
from tests.fakes.prompting_mcp_server import open_prompting_server
from tests.fixtures.browser import browser_for
from tests.fixtures.browser import log_in as log_in_browser
from tests.fixtures.product import Product, client_for, new_secrets, open_product, settings_for
from tests.integration.server.people import Person, make_group, new_group_name, open_person

pytestmark = pytest.mark.asyncio(loop_scope="module")

AGENT = "coverage/1.0"
ASKING = "asking"
"""A server whose tools ask."""
WAIT_SECONDS = 30.0
REFRESH = "/v1/auth/refresh"
RULE = {"tool": "units.*", "arguments": {}, "verdict": "ask", "reason": ""}
LIMIT = {"tool": "mail.*", "max_seconds": None, "max_result_chars": None, "max_calls_per_run": 1}
CANTEEN = b"The canteen is open from 12:30 to 14:15."


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where an act takes place: a product, a user, and another one."""

    product: Product
    ada: Person
    bob: Person

    @property
    def root(self) -> httpx.AsyncClient:
        return self.product.client


@dataclass(frozen=True, kw_only=True)
class Done:
    """What an act must have left in the trail."""

    answer: httpx.Response
    resource_id: str | None = None
    group_id: int | None = None
    details: dict[str, Any] | None = None
    """Those that must be there; there may be more."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(postgres_server, tmp_path_factory) -> AsyncIterator[Product]:
    database_url = postgres_server.lend()
    folder = tmp_path_factory.mktemp("product")
    entry = {"command": sys.executable, "args": [indiscreet_mcp_server.__file__], "session": "user"}
    (folder / "mcp.json").write_text(json.dumps({"mcpServers": {ASKING: entry}}), "utf-8")
    async with ScriptedOllama() as model:
        settings = settings_for(folder, database_url, model)
        chosen = {"unmarked_tools": "allow", "start_wait_seconds": WAIT_SECONDS}
        settings = settings.model_copy(update={"mcp": settings.mcp.model_copy(update=chosen)})
        async with open_product(settings, new_secrets(), model) as running:
            running.client.headers["User-Agent"] = AGENT
            yield running
    postgres_server.take_back(database_url)


Act = Callable[[Stage], Awaitable[Done]]


async def make_user(stage: Stage) -> Done:
    name = f"eve-{uuid4().hex[:8]}"
    answer = await stage.root.post("/v1/users", json={"username": name})
    user_id = str(answer.json()["id"])
    return Done(answer=answer, resource_id=user_id, details={"after": {"username": name}})


async def list_users(stage: Stage) -> Done:
    return Done(answer=await stage.root.get("/v1/users"))


async def lock_out(stage: Stage) -> Done:
    answer = await stage.root.patch(f"/v1/users/{stage.bob.id}", json={"is_active": False})
    change = {"before": {"is_active": True}, "after": {"is_active": False}}
    return Done(answer=answer, resource_id=str(stage.bob.id), details=change)


async def let_in(stage: Stage) -> Done:
    await stage.root.patch(f"/v1/users/{stage.bob.id}", json={"is_active": False})
    answer = await stage.root.patch(f"/v1/users/{stage.bob.id}", json={"is_active": True})
    change = {"before": {"is_active": False}, "after": {"is_active": True}}
    return Done(answer=answer, resource_id=str(stage.bob.id), details=change)


async def make_key(stage: Stage) -> Done:
    answer = await stage.ada.client.post("/v1/api-keys", json={"name": "x", "scopes": ["chat"]})
    details = {"user_id": stage.ada.id, "scopes": ["chat"]}
    return Done(answer=answer, resource_id=str(answer.json()["id"]), details=details)


async def make_key_for_another(stage: Stage) -> Done:
    path = f"/v1/users/{stage.bob.id}/api-keys"
    answer = await stage.root.post(path, json={"name": "x"})
    details = {"user_id": stage.bob.id}
    return Done(answer=answer, resource_id=str(answer.json()["id"]), details=details)


async def end_key(stage: Stage) -> Done:
    made = (await stage.ada.client.post("/v1/api-keys", json={"name": "x"})).json()
    answer = await stage.ada.client.delete(f"/v1/api-keys/{made['id']}")
    return Done(answer=answer, resource_id=str(made["id"]))


async def log_in(stage: Stage) -> Done:
    key = stage.product.secrets.root_api_key
    return Done(answer=await stage.root.post("/v1/auth/login", json={"api_key": key}))


async def log_in_with_a_wrong_key(stage: Stage) -> Done:
    return Done(answer=await stage.root.post("/v1/auth/login", json={"api_key": "yw_wrong"}))


async def log_out(stage: Stage) -> Done:
    key = stage.product.secrets.root_api_key
    async with client_for(stage.product.url, None) as browser:
        opened = await browser.post("/v1/auth/login", json={"api_key": key})
        headers = {"X-CSRF-Token": opened.json()["csrf_token"], "User-Agent": AGENT}
        return Done(answer=await browser.post("/v1/auth/logout", headers=headers))


async def refresh_login(stage: Stage) -> Done:
    async with browser_for(stage.product.url) as browser:
        await log_in_browser(browser, stage.product.secrets.root_api_key)
        return Done(answer=await browser.post(REFRESH, headers={"User-Agent": AGENT}))


async def use_a_refresh_token_again(stage: Stage) -> Done:
    async with browser_for(stage.product.url) as browser:
        await log_in_browser(browser, stage.product.secrets.root_api_key)
        stale = browser.cookies["youworker_refresh"]
        await browser.post(REFRESH)
        browser.cookies.set("youworker_refresh", stale, domain="127.0.0.1", path="/v1/auth")
        return Done(answer=await browser.post(REFRESH, headers={"User-Agent": AGENT}))


async def found_group(stage: Stage) -> Done:
    answer = await stage.ada.client.post("/v1/groups", json={"name": new_group_name()})
    group_id = answer.json()["id"]
    return Done(answer=answer, resource_id=str(group_id), group_id=group_id)


async def rename_group(stage: Stage) -> Done:
    group_id = await make_group(stage.ada)
    answer = await stage.ada.client.patch(f"/v1/groups/{group_id}", json={"name": new_group_name()})
    return Done(answer=answer, resource_id=str(group_id), group_id=group_id)


async def end_group(stage: Stage) -> Done:
    group_id = await make_group(stage.ada)
    answer = await stage.ada.client.delete(f"/v1/groups/{group_id}")
    return Done(answer=answer, resource_id=str(group_id), group_id=group_id)


async def take_in(stage: Stage) -> Done:
    group_id = await make_group(stage.ada)
    body = {"user_id": stage.bob.id, "role": "member"}
    answer = await stage.ada.client.post(f"/v1/groups/{group_id}/members", json=body)
    name = f"{group_id}/{stage.bob.id}"
    return Done(answer=answer, resource_id=name, group_id=group_id, details={"after": "member"})


async def promote(stage: Stage) -> Done:
    group_id = await make_group(stage.ada, stage.bob)
    path = f"/v1/groups/{group_id}/members/{stage.bob.id}"
    answer = await stage.ada.client.patch(path, json={"role": "admin"})
    change = {"before": "member", "after": "admin"}
    name = f"{group_id}/{stage.bob.id}"
    return Done(answer=answer, resource_id=name, group_id=group_id, details=change)


async def expel(stage: Stage) -> Done:
    group_id = await make_group(stage.ada, stage.bob)
    answer = await stage.ada.client.delete(f"/v1/groups/{group_id}/members/{stage.bob.id}")
    name = f"{group_id}/{stage.bob.id}"
    return Done(answer=answer, resource_id=name, group_id=group_id, details={"before": "member"})


async def upload(client: httpx.AsyncClient, data: bytes = CANTEEN) -> httpx.Response:
    return await client.post("/v1/ingest/upload", files={"files": ("a.txt", data)})


async def ingest(stage: Stage) -> Done:
    answer = await upload(stage.ada.client)
    document_id = str(answer.json()["files"][0]["document_id"])
    details = {"mime": "text/plain", "size_bytes": len(CANTEEN)}
    return Done(answer=answer, resource_id=document_id, details=details)


async def ingest_rubbish(stage: Stage) -> Done:
    answer = await upload(stage.ada.client, b"%PDF-1.7 broken")
    return Done(answer=answer, details={"code": "UNREADABLE_DOCUMENT"})


async def cancel_ingest(stage: Stage) -> Done:
    run_id = (await upload(stage.ada.client)).json()["run_id"]
    answer = await stage.ada.client.post(f"/v1/ingest/runs/{run_id}/cancel")
    return Done(answer=answer, resource_id=run_id)


async def delete_document(stage: Stage) -> Done:
    uploaded = await upload(stage.ada.client)
    document_id = str(uploaded.json()["files"][0]["document_id"])
    answer = await stage.ada.client.delete(f"/v1/documents/{document_id}")
    return Done(answer=answer, resource_id=document_id)


async def share_document(stage: Stage) -> Done:
    group_id, document_id = await make_group(stage.ada), await document_of(stage.ada)
    answer = await share(stage.ada, document_id, group_id)
    change = {"before": {"group_id": None}, "after": {"group_id": group_id}}
    return Done(answer=answer, resource_id=document_id, group_id=group_id, details=change)


async def relabel_document(stage: Stage) -> Done:
    document_id = await document_of(stage.ada)
    body = {"title": f"Canteen {uuid4().hex}", "tags": ["food"]}
    answer = await stage.ada.client.patch(f"/v1/documents/{document_id}", json=body)
    details = {"title_changed": True, "tags_added": 1, "tags_removed": 0}
    return Done(answer=answer, resource_id=document_id, details=details)


async def unshare_document(stage: Stage) -> Done:
    group_id, document_id = await make_group(stage.ada), await document_of(stage.ada)
    await share(stage.ada, document_id, group_id)
    return unshared(await share(stage.ada, document_id, None), document_id, group_id)


async def leave_with_a_document(stage: Stage) -> Done:
    group_id, document_id = await make_group(stage.bob, stage.ada), await document_of(stage.ada)
    await share(stage.ada, document_id, group_id)
    path = f"/v1/groups/{group_id}/members/{stage.ada.id}"
    return unshared(await stage.ada.client.delete(path), document_id, group_id)


async def expel_with_a_document(stage: Stage) -> Done:
    group_id, document_id = await make_group(stage.ada, stage.bob), await document_of(stage.bob)
    await share(stage.bob, document_id, group_id)
    path = f"/v1/groups/{group_id}/members/{stage.bob.id}"
    return unshared(await stage.ada.client.delete(path), document_id, group_id)


async def end_group_with_a_document(stage: Stage) -> Done:
    group_id, document_id = await make_group(stage.ada, stage.bob), await document_of(stage.bob)
    await share(stage.bob, document_id, group_id)
    answer = await stage.ada.client.delete(f"/v1/groups/{group_id}")
    return unshared(answer, document_id, group_id)


async def document_of(person: Person) -> str:
    return str((await upload(person.client)).json()["files"][0]["document_id"])


async def share(person: Person, document_id: str, group_id: int | None) -> httpx.Response:
    body = {"is_private": True} if group_id is None else {"group_id": group_id}
    return await person.client.patch(f"/v1/documents/{document_id}", json=body)


def unshared(answer: httpx.Response, document_id: str, group_id: int) -> Done:
    change = {"before": {"group_id": group_id}, "after": {"group_id": None}}
    return Done(answer=answer, resource_id=document_id, group_id=group_id, details=change)


async def ask(stage: Stage) -> Done:
    stage.product.model.reply("Hello.")
    answer = await stage.ada.client.post("/v1/chat", json={"text_input": "Hi", "session_id": "s"})
    return Done(answer=answer, resource_id=answer.json()["run_id"])


async def ask_a_broken_model(stage: Stage) -> Done:
    stage.product.model.fail("broken")
    return Done(answer=await stage.ada.client.post("/v1/chat", json={"text_input": "Hi"}))


async def have_a_tool_called(stage: Stage) -> Done:
    stage.product.model.call("datetime__now", {"timezone": "Asia/Tokyo"})
    stage.product.model.reply("Late.")
    answer = await stage.ada.client.post("/v1/chat", json={"text_input": "What time is it?"})
    details = {"run_id": answer.json()["run_id"]}
    return Done(answer=answer, resource_id="datetime.now", details=details)


async def make_policy(stage: Stage) -> Done:
    group_id = await make_group(stage.ada)
    answer = await post_policy(stage.ada.client, group_id)
    after = {"before": None, "after": {**RULE, "approver": "user"}}
    policy_id = str(answer.json()["id"])
    return Done(answer=answer, resource_id=policy_id, group_id=group_id, details=after)


async def change_policy(stage: Stage) -> Done:
    group_id = await make_group(stage.ada)
    policy_id = str((await post_policy(stage.ada.client, group_id)).json()["id"])
    path = f"/v1/tool-policies/{policy_id}"
    answer = await stage.ada.client.patch(path, json={"reason": "Because."})
    before = {**RULE, "approver": "user"}
    change = {"before": before, "after": {**before, "reason": "Because."}}
    return Done(answer=answer, resource_id=policy_id, group_id=group_id, details=change)


async def end_policy(stage: Stage) -> Done:
    group_id = await make_group(stage.ada)
    policy_id = str((await post_policy(stage.ada.client, group_id)).json()["id"])
    answer = await stage.ada.client.delete(f"/v1/tool-policies/{policy_id}")
    details = {"before": {**RULE, "approver": "user"}, "after": None}
    return Done(answer=answer, resource_id=policy_id, group_id=group_id, details=details)


async def post_policy(client: httpx.AsyncClient, group_id: int, **values: Any) -> httpx.Response:
    return await client.post("/v1/tool-policies", json={**RULE, "group_id": group_id, **values})


async def make_limit(stage: Stage) -> Done:
    group_id = await make_group(stage.ada)
    answer = await post_limit(stage.ada.client, group_id)
    details = {"before": None, "after": LIMIT}
    limit_id = str(answer.json()["id"])
    return Done(answer=answer, resource_id=limit_id, group_id=group_id, details=details)


async def change_limit(stage: Stage) -> Done:
    group_id = await make_group(stage.ada)
    limit_id = str((await post_limit(stage.ada.client, group_id)).json()["id"])
    answer = await stage.ada.client.patch(f"/v1/tool-limits/{limit_id}", json={"max_seconds": 3})
    details = {"before": LIMIT, "after": {**LIMIT, "max_seconds": 3}}
    return Done(answer=answer, resource_id=limit_id, group_id=group_id, details=details)


async def end_limit(stage: Stage) -> Done:
    group_id = await make_group(stage.ada)
    limit_id = str((await post_limit(stage.ada.client, group_id)).json()["id"])
    answer = await stage.ada.client.delete(f"/v1/tool-limits/{limit_id}")
    details = {"before": LIMIT, "after": None}
    return Done(answer=answer, resource_id=limit_id, group_id=group_id, details=details)


async def post_limit(client: httpx.AsyncClient, group_id: int) -> httpx.Response:
    return await client.post("/v1/tool-limits", json={**LIMIT, "group_id": group_id})


async def add_server(stage: Stage) -> Done:
    body = {"name": f"s{uuid4().hex[:8]}", "config": {"url": "http://127.0.0.1:1/mcp"}}
    answer = await stage.root.post("/v1/mcp/servers", json={**body, "enabled": False})
    after = {"name": body["name"], "source": "api", "transport": "http", "groups": None}
    details = {"name": body["name"], "after": {**after, "enabled": False}}
    return Done(answer=answer, resource_id=str(answer.json()["id"]), details=details)


async def change_server(stage: Stage) -> Done:
    added = await add_server(stage)
    path = f"/v1/mcp/servers/{added.resource_id}"
    answer = await stage.root.patch(path, json={"groups": []})
    return Done(answer=answer, resource_id=added.resource_id)


async def refresh_server(stage: Stage) -> Done:
    added = await add_server(stage)
    answer = await stage.root.post(f"/v1/mcp/servers/{added.resource_id}/refresh")
    return Done(answer=answer, resource_id=added.resource_id)


async def remove_server(stage: Stage) -> Done:
    added = await add_server(stage)
    answer = await stage.root.delete(f"/v1/mcp/servers/{added.resource_id}")
    return Done(answer=answer, resource_id=added.resource_id)


async def switch_a_tool_on(stage: Stage) -> Done:
    tool = (await stage.root.get("/v1/tools")).json()["tools"][0]
    answer = await stage.root.patch(f"/v1/tools/{tool['id']}", json={"enabled": True})
    details = {"tool": tool["name"], "before": {"enabled": True}, "after": {"enabled": True}}
    return Done(answer=answer, resource_id=str(tool["id"]), details=details)


async def have_a_prompt_filled_in(stage: Stage) -> Done:
    async with open_prompting_server() as fake:
        body = {"name": f"s{uuid4().hex[:8]}", "config": {"url": fake.url}}
        made = (await stage.root.post("/v1/mcp/servers", json=body)).json()
        answer = await stage.ada.client.post(f"/v1/prompts/{made['name']}/close", json={})
        await stage.root.delete(f"/v1/mcp/servers/{made['id']}")
    return Done(answer=answer, resource_id=f"{made['name']}.close")


async def ask_people(stage: Stage) -> Done:
    group_id = await make_group(stage.ada)
    await post_policy(stage.root, group_id, approver="either")
    stage.product.model.call("units__convert", {"value": 1, "from_unit": "m", "to_unit": "km"})
    answer = await stage.ada.client.post("/v1/chat", json={"text_input": "Convert it."})
    [approval] = answer.json()["approvals"]
    details = {"run_id": answer.json()["run_id"], "tool": "units.convert", "approver": "either"}
    return Done(
        answer=answer, resource_id=approval["approval_id"], group_id=group_id, details=details
    )


async def answer_approval(stage: Stage) -> Done:
    asked = await ask_people(stage)
    assert asked.details is not None
    decisions = {asked.resource_id: {"decision": "refuse"}}
    path = f"/v1/runs/{asked.details['run_id']}/resume"
    answer = await stage.ada.client.post(path, json={"decisions": decisions})
    details = {**asked.details, "decision": "refuse"}
    return Done(
        answer=answer, resource_id=asked.resource_id, group_id=asked.group_id, details=details
    )


async def have_a_server_ask(stage: Stage) -> Done:
    return (await _asked_by_a_server(stage))[0]


async def answer_a_server(stage: Stage) -> Done:
    return (await _asked_by_a_server(stage))[1]


async def _asked_by_a_server(stage: Stage) -> tuple[Done, Done]:
    """The question of a tool's server, and the answer to it."""
    client, params = stage.ada.client, {"status": "open"}
    stage.product.model.call(f"{ASKING}__ask", {"text": "Who are you?"})
    asking = asyncio.create_task(client.post("/v1/chat", json={"text_input": "Ask me."}))
    async with asyncio.timeout(WAIT_SECONDS):
        while not (asked := (await client.get("/v1/questions", params=params)).json()["questions"]):
            assert not asking.done(), asking.result().text
    [question] = asked
    about = {each: question[each] for each in ("run_id", "call_id", "tool", "server", "kind")}
    given = {"action": "accept", "content": {"Who are you?": "Ada"}}
    body = {"answers": {question["question_id"]: given}}
    answered = await client.post(f"/v1/runs/{question['run_id']}/answers", json=body)
    assert answered.status_code == 202, answered.text
    return (
        Done(answer=await asking, resource_id=question["question_id"], details=about),
        Done(
            answer=answered,
            resource_id=question["question_id"],
            details={**about, "action": "accept"},
        ),
    )


async def cancel_run(stage: Stage) -> Done:
    run_id = (await ask(stage)).resource_id
    answer = await stage.ada.client.post(f"/v1/runs/{run_id}/cancel")
    return Done(answer=answer, resource_id=run_id)


async def rename_session(stage: Stage) -> Done:
    await ask(stage)
    return Done(answer=await stage.ada.client.patch("/v1/chat/sessions/s", json={"title": "T"}))


async def fork_session(stage: Stage) -> Done:
    await ask(stage)
    session = (await stage.ada.client.get("/v1/chat/sessions/s")).json()
    body = {"message_id": session["messages"][0]["id"]}
    return Done(answer=await stage.ada.client.post("/v1/chat/sessions/s/fork", json=body))


async def delete_session(stage: Stage) -> Done:
    await ask(stage)
    return Done(answer=await stage.ada.client.delete("/v1/chat/sessions/s"))


async def export_account(stage: Stage) -> Done:
    return Done(answer=await stage.ada.client.get("/v1/account/export"))


async def wipe_history(stage: Stage) -> Done:
    await ask(stage)
    return Done(answer=await stage.ada.client.delete("/v1/account/history"))


async def read_audit(stage: Stage) -> Done:
    return Done(answer=await stage.root.get("/v1/audit", params={"limit": 1}))


async def export_audit(stage: Stage) -> Done:
    return Done(answer=await stage.root.get("/v1/audit/export", params={"action": "login"}))


ACTS: list[tuple[Act, str, str, bool]] = [
    # act, action, kind of resource, success
    (make_user, "user.create", "user", True),
    (list_users, "user.list", "user", True),
    (lock_out, "user.deactivate", "user", True),
    (let_in, "user.activate", "user", True),
    (make_key, "api_key.create", "api_key", True),
    (make_key_for_another, "api_key.create", "api_key", True),
    (end_key, "api_key.revoke", "api_key", True),
    (log_in, "login.open", "login", True),
    (log_in_with_a_wrong_key, "login.refuse", "login", False),
    (refresh_login, "login.refresh", "login", True),
    (use_a_refresh_token_again, "login.reuse", "login", False),
    (log_out, "login.close", "login", True),
    (found_group, "group.create", "group", True),
    (rename_group, "group.update", "group", True),
    (end_group, "group.delete", "group", True),
    (take_in, "membership.create", "membership", True),
    (promote, "membership.change", "membership", True),
    (expel, "membership.delete", "membership", True),
    (ingest, "document.ingest", "document", True),
    (ingest_rubbish, "document.ingest", "document", False),
    (cancel_ingest, "ingest.cancel", "ingest", True),
    (share_document, "document.share", "document", True),
    (relabel_document, "document.update", "document", True),
    (unshare_document, "document.unshare", "document", True),
    (leave_with_a_document, "document.unshare", "document", True),
    (expel_with_a_document, "document.unshare", "document", True),
    (end_group_with_a_document, "document.unshare", "document", True),
    (delete_document, "document.delete", "document", True),
    (ask, "run.start", "run", True),
    (ask, "run.finish", "run", True),
    (ask_a_broken_model, "run.finish", "run", False),
    (have_a_tool_called, "tool.call", "tool", True),
    (make_policy, "tool_policy.create", "tool_policy", True),
    (change_policy, "tool_policy.change", "tool_policy", True),
    (end_policy, "tool_policy.delete", "tool_policy", True),
    (make_limit, "tool_limit.create", "tool_limit", True),
    (change_limit, "tool_limit.change", "tool_limit", True),
    (end_limit, "tool_limit.delete", "tool_limit", True),
    (add_server, "mcp_server.create", "mcp_server", True),
    (change_server, "mcp_server.change", "mcp_server", True),
    (refresh_server, "mcp_server.refresh", "mcp_server", True),
    (remove_server, "mcp_server.delete", "mcp_server", True),
    (switch_a_tool_on, "tool.change", "tool", True),
    (have_a_prompt_filled_in, "prompt.get", "prompt", True),
    (ask_people, "approval.ask", "approval", True),
    (answer_approval, "approval.decide", "approval", True),
    (have_a_server_ask, "question.ask", "question", True),
    (answer_a_server, "question.answer", "question", True),
    (cancel_run, "run.cancel", "run", True),
    (rename_session, "session.rename", "session", True),
    (fork_session, "session.fork", "session", True),
    (delete_session, "session.delete", "session", True),
    (export_account, "account.export", "user", True),
    (wipe_history, "history.delete", "user", True),
    (read_audit, "audit.read", "audit", True),
    (export_audit, "audit.export", "audit", True),
]
ACTORLESS = {"login.refuse"}
"""Nobody knows who was refused."""


@pytest.mark.parametrize(
    ("act", "action", "kind", "success"),
    ACTS,
    ids=[f"{act.__name__}-{action}" for act, action, _, _ in ACTS],
)
async def test_an_act_leaves_an_entry_that_says_who_what_and_from_where(
    product: Product, act: Act, action: str, kind: str, success: bool
):
    async with open_person(product, "ada") as ada, open_person(product, "bob") as bob:
        ada.client.headers["User-Agent"] = AGENT
        done = await act(Stage(product=product, ada=ada, bob=bob))
        by_ada = (
            done.answer.request.headers.get("authorization")
            == (ada.client.headers["authorization"])
        )
    correlation_id = done.answer.headers["X-Correlation-ID"]
    conditions = {"correlation_id": correlation_id, "action": action}
    found = await product.client.get("/v1/audit", params=conditions)
    [entry] = found.json()["entries"]

    assert entry["resource_type"] == kind
    assert entry["success"] is success
    assert (entry["ip"], entry["user_agent"]) == ("127.0.0.1", AGENT)
    assert entry["correlation_id"] == correlation_id
    if action not in ACTORLESS:
        assert entry["actor_name"] == (ada.name if by_ada else "root")
        assert (entry["actor_id"] == ada.id) is by_ada
    if done.resource_id is not None:
        assert entry["resource_id"] == done.resource_id
    assert entry["group_id"] == done.group_id
    details = entry["details"] or {}
    assert details.items() >= (done.details or {}).items()


async def test_the_deletion_of_an_account_is_in_the_trail_that_outlives_it(product: Product):
    async with open_person(product, "ada") as ada:
        answer = await ada.client.request(
            "DELETE", "/v1/account", json={"confirm": ada.name}, headers={"User-Agent": AGENT}
        )
        assert answer.status_code == 204, answer.text
        found = await product.client.get("/v1/audit", params={"actor_id": ada.id})
    done = [entry["action"] for entry in found.json()["entries"]]
    assert done[:2] == ["account.delete", "account.close"]


async def test_who_deletes_the_account_is_seen_to_leave_by_the_groups_that_lose_a_document(
    product: Product,
):
    async with open_person(product, "ada") as ada, open_person(product, "bob") as bob:
        ours, alone = await make_group(bob, ada), await make_group(ada)
        shared, private = await document_of(ada), str(await another_document_of(ada))
        await share(ada, shared, ours)
        await ada.client.request("DELETE", "/v1/account", json={"confirm": ada.name})
        seen = (await bob.client.get("/v1/audit", params={"actor_id": ada.id})).json()["entries"]
        found = await product.client.get("/v1/audit", params={"actor_id": ada.id})
    assert [(each["action"], each["resource_id"]) for each in seen] == [
        ("membership.delete", f"{ours}/{ada.id}"),
        ("document.unshare", shared),
        ("document.share", shared),
    ]
    told = {(each["action"], each["resource_id"]) for each in found.json()["entries"]}
    assert told >= {
        ("group.delete", str(alone)),
        ("document.delete", shared),
        ("document.delete", private),
    }


async def another_document_of(person: Person) -> int:
    answer = await upload(person.client, b"The library is closed on Mondays.")
    document_id: int = answer.json()["files"][0]["document_id"]
    return document_id
