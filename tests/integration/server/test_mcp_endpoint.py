"""YouWorker as an MCP server, driven by the official client over real HTTP."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from mcp import types
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import McpError

from persistence.database import open_database
from persistence.encryption import KeyRing
from persistence.notifications import open_notifications
from server.mcp_endpoint.open_calls import OpenCalls, name_call
from tests.fakes.ollama_server import Turn
from tests.fixtures.browser import browser_for, log_in
from tests.fixtures.product import Product, client_for
from tests.integration.server.people import Person, make_group, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE_SECONDS = 20
CANTEEN = b"The canteen opens at noon. On Fridays there is soup of chestnuts."
HEADERS = {"Accept": "application/json, text/event-stream"}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
NEW_SESSION = "mcp-session-id"


@asynccontextmanager
async def mcp_session(product: Product, client: httpx.AsyncClient) -> AsyncIterator[ClientSession]:
    """A session with the key of a client."""
    key = client.headers["Authorization"].removeprefix("Bearer ")
    async with (
        client_for(product.url, key) as own,
        streamable_http_client(f"{product.url}/mcp", http_client=own) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session


async def restricted_key(person: Person, *scopes: str) -> str:
    made = await person.client.post("/v1/api-keys", json={"name": "t", "scopes": list(scopes)})
    return str(made.json()["key"])


async def give(person: Person, text: bytes = CANTEEN, **fields: str) -> int:
    name = f"{uuid4().hex}.txt"
    answer = await person.client.post(
        "/v1/ingest/upload", files={"files": (name, text)}, data=fields
    )
    assert answer.status_code == 200, answer.text
    document_id: int = answer.json()["files"][0]["document_id"]
    return document_id


def text_of(result: types.CallToolResult) -> str:
    [block] = result.content
    assert isinstance(block, types.TextContent)
    return block.text


def structure_of(result: types.CallToolResult) -> dict[str, Any]:
    assert result.structuredContent is not None
    return result.structuredContent


async def test_a_client_finds_the_tools_and_whether_they_change_anything(
    shared_product: Product, ada: Person
):
    async with mcp_session(shared_product, ada.client) as session:
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}

        assert tools.keys() == {"search", "read", "ask"}
        hints = {name: tool.annotations.readOnlyHint for name, tool in tools.items()}
        assert hints == {"search": True, "read": True, "ask": False}
        assert await session.send_ping() == types.EmptyResult()


async def test_a_search_quotes_passages_that_can_be_read(shared_product: Product, ada: Person):
    await give(ada)
    async with mcp_session(shared_product, ada.client) as session:
        found = await session.call_tool("search", {"query": "When is there soup of chestnuts?"})
        [source] = structure_of(found)["sources"]
        read = await session.call_tool("read", {"source_id": source["id"]})

    assert not found.isError
    assert 'trust="untrusted"' in text_of(found)
    assert "soup of chestnuts" in text_of(found)
    assert "soup of chestnuts" in text_of(read)


async def test_a_search_gives_as_many_passages_as_were_asked_for(
    shared_product: Product, ada: Person
):
    for subject in ("walnuts", "chestnuts", "hazelnuts"):
        await give(ada, f"The {subject} are roasted in the yard by Mr. {subject}.".encode())
    async with mcp_session(shared_product, ada.client) as session:
        query = {"query": "What is roasted in the yard?"}
        all_of_them = await session.call_tool("search", query)
        one = await session.call_tool("search", {**query, "limit": 1})
        too_many = await session.call_tool("search", {**query, "limit": 21})

    assert len(structure_of(all_of_them)["sources"]) > 1
    assert len(structure_of(one)["sources"]) == 1
    assert too_many.isError


async def test_the_documents_of_others_are_neither_found_nor_read_nor_told_from_none(
    shared_product: Product, ada: Person, bob: Person
):
    await give(ada)
    async with mcp_session(shared_product, ada.client) as session:
        found = await session.call_tool("search", {"query": "soup of chestnuts"})
        [source] = structure_of(found)["sources"]

    async with mcp_session(shared_product, bob.client) as session:
        nothing = await session.call_tool("search", {"query": "soup of chestnuts"})
        absurd = await session.call_tool("search", {"query": "zeppelins over Atlantis"})
        foreign = await session.call_tool("read", {"source_id": source["id"]})
        missing = await session.call_tool("read", {"source_id": str(uuid4())})

    assert nothing == absurd
    assert structure_of(nothing) == {"sources": []}
    assert foreign.isError
    assert foreign == missing


async def test_what_a_group_shares_is_found_until_it_is_not_shared(
    shared_product: Product, ada: Person, bob: Person
):
    group_id = await make_group(ada, bob)
    document_id = await give(ada, group_id=str(group_id), is_private="false")
    query = {"query": "soup of chestnuts"}
    async with mcp_session(shared_product, bob.client) as session:
        shared = await session.call_tool("search", query)
        unshared = {"is_private": True}
        await ada.client.patch(f"/v1/documents/{document_id}", json=unshared)
        afterwards = await session.call_tool("search", query)

    assert structure_of(shared)["sources"]
    assert structure_of(afterwards) == {"sources": []}


async def test_the_agent_answers_and_goes_on_with_the_session(shared_product: Product, ada: Person):
    shared_product.model.reply("Nice to meet you, Ada.", when="I am Ada")
    shared_product.model.reply("You are Ada.", when="Who am I")
    async with mcp_session(shared_product, ada.client) as session:
        first = await session.call_tool("ask", {"question": "I am Ada."})
        session_id = structure_of(first)["session_id"]
        second = await session.call_tool("ask", {"question": "Who am I?", "session_id": session_id})

    assert text_of(first) == f"Nice to meet you, Ada.\n\n(session_id: {session_id})"
    assert structure_of(second)["content"] == "You are Ada."
    assert structure_of(second)["status"] == "success"
    history = (await ada.client.get(f"/v1/chat/sessions/{session_id}")).json()
    assert history["total"] == 4


async def test_the_sources_of_an_answer_are_named(shared_product: Product, ada: Person):
    await give(ada)
    asked = "When is there soup of chestnuts?"
    shared_product.model.call("semantic__search", {"query": "soup of chestnuts"}, when=asked)
    label = (await ada.client.post("/v1/search", json={"query": "soup of chestnuts"})).json()[
        "hits"
    ][0]["source"]["label"]
    shared_product.model.reply(f"On Fridays [{label}].", when=asked)
    async with mcp_session(shared_product, ada.client) as session:
        answer = await session.call_tool("ask", {"question": asked})

    assert f"Sources:\n[{label}] " in text_of(answer)
    assert [source["label"] for source in structure_of(answer)["sources"]] == [label]


async def test_progress_tells_what_the_agent_does_and_nothing_that_is_said(
    shared_product: Product, ada: Person
):
    reports: list[tuple[float, str | None]] = []

    async def note(done: float, _: float | None, message: str | None) -> None:
        reports.append((done, message))

    asked = f"What time is it? {uuid4().hex}"
    shared_product.model.call("datetime__now", {"timezone": "Asia/Tokyo"}, when=asked)
    shared_product.model.reply("It is late.", when=asked)
    async with mcp_session(shared_product, ada.client) as session:
        await session.call_tool("ask", {"question": asked}, progress_callback=note)

    assert reports == [
        (1, "The agent has begun."),
        (2, "Calling datetime.now."),
        (3, "Called datetime.now."),
        (4, "The agent is writing."),
    ]


async def test_a_call_that_is_taken_back_ends_its_run(shared_product: Product, ada: Person):
    asked = f"Something long. {uuid4().hex}"
    pause = shared_product.model.hang(when=asked)
    async with mcp_session(shared_product, ada.client) as session:
        calling = asyncio.create_task(session.call_tool("ask", {"question": asked}))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await pause.reached.wait()
            await session.send_notification(_cancelled(1))
            with pytest.raises(McpError, match="cancelled"):
                await calling
            await pause.left.wait()
        afterwards = await session.call_tool("search", {"query": "anything"})

    assert not afterwards.isError
    assert await _status_of_last_run(shared_product, ada) == "cancelled"


async def test_the_calls_of_other_sessions_with_the_same_number_go_on(
    shared_product: Product, ada: Person
):
    asked = f"Something long. {uuid4().hex}"
    pause = shared_product.model.hang(when=asked)
    async with (
        mcp_session(shared_product, ada.client) as session,
        mcp_session(shared_product, ada.client) as other,
    ):
        calling = asyncio.create_task(session.call_tool("ask", {"question": asked}))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await pause.reached.wait()
            await other.send_notification(_cancelled(1))
            await other.send_ping()
            pause.release()
            assert structure_of(await calling)["status"] == "success"


async def test_a_run_ends_when_the_client_leaves(shared_product: Product, ada: Person):
    asked = f"Something long. {uuid4().hex}"
    pause = shared_product.model.hang(when=asked)
    call = {"name": "ask", "arguments": {"question": asked}}
    body = {**PING, "method": "tools/call", "params": call}
    async with asyncio.timeout(PATIENCE_SECONDS):
        async with ada.client.stream("POST", "/mcp", json=body, headers=HEADERS):
            await pause.reached.wait()
        await pause.left.wait()


@pytest.mark.parametrize("ask_for", ["text/event-stream", "application/json"])
async def test_an_answer_comes_in_the_form_that_the_client_takes(
    shared_product: Product, ada: Person, ask_for: str
):
    body = {**PING, "method": "tools/call", "params": {"name": "read", "arguments": {}}}
    answer = await ada.client.post("/mcp", json=body, headers={"Accept": ask_for})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(ask_for)
    assert "is missing" in answer.text


async def test_a_call_is_taken_back_on_another_replica(
    shared_product: Product, ada: Person, tmp_path
):
    async with (
        open_database(
            shared_product.settings.database,
            key_ring=KeyRing(shared_product.secrets.key_list),
            data_dir=tmp_path,
        ) as database,
        open_notifications(database.dsn) as notifications,
    ):
        there = OpenCalls(database, notifications)
        cancelled = asyncio.Event()
        session = uuid4().hex
        me = (await ada.client.get("/v1/auth/me")).json()["id"]
        keys = (await ada.client.get("/v1/api-keys")).json()["api_keys"]
        name = name_call(me, keys[0]["id"], session, 7)
        with there.one(name, cancelled.set):
            notice = {
                "jsonrpc": "2.0",
                "method": "notifications/cancelled",
                "params": {"requestId": 7},
            }
            headers = {**HEADERS, NEW_SESSION: session}
            answer = await ada.client.post("/mcp", json=notice, headers=headers)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await cancelled.wait()
    assert answer.status_code == 202


async def test_a_run_that_waits_for_a_person_says_so(
    shared_product: Product, ada: Person, bob: Person
):
    group_id = await make_group(ada, bob)
    rule = {"group_id": group_id, "tool": "units.*", "verdict": "ask", "approver": "user"}
    made = await ada.client.post("/v1/tool-policies", json=rule)
    assert made.status_code == 201, made.text
    asked = f"How far is it? {uuid4().hex}"
    arguments = {"value": 5, "from_unit": "km", "to_unit": "mile"}
    shared_product.model.call("units__convert", arguments, when=asked)
    async with mcp_session(shared_product, bob.client) as session:
        answer = await session.call_tool("ask", {"question": asked})

    assert "a person has to approve first: units.convert" in text_of(answer)
    assert structure_of(answer)["status"] == "awaiting_approval"
    assert [each["tool"] for each in structure_of(answer)["approvals"]] == ["units.convert"]


async def test_errors_are_told_in_words(shared_product: Product, ada: Person):
    async with mcp_session(shared_product, ada.client) as session:
        unknown = await session.call_tool("nothing", {})
        missing = await session.call_tool("ask", {})
        empty = await session.call_tool("ask", {"question": " "})
        odd = await session.call_tool("ask", {"question": "x", "session_id": "a b"})
        long = await session.call_tool("search", {"query": "x" * 2_001})

    answers = (unknown, missing, empty, odd, long)
    assert all(answer.isError for answer in answers)
    assert [text_of(answer)[:30] for answer in answers] == [
        "There is no tool 'nothing' her",
        "The argument 'question' is mis",
        "The question is empty.",
        "That is no session id: take on",
        "The query is longer than 2000 ",
    ]


async def test_a_model_that_fails_is_told_of_without_its_words(
    shared_product: Product, ada: Person
):
    asked = f"Fail. {uuid4().hex}"
    for _ in range(8):  # it is asked again
        shared_product.model.add(Turn(status=400, error="the walnut broke", when=asked))
    async with mcp_session(shared_product, ada.client) as session:
        answer = await session.call_tool("ask", {"question": asked})

    assert answer.isError
    assert text_of(answer).endswith("(LLM_ERROR)")
    assert "walnut" not in text_of(answer)


async def test_a_session_that_is_busy_says_so(shared_product: Product, ada: Person):
    asked = f"Something long. {uuid4().hex}"
    pause = shared_product.model.hang(when=asked)
    session_id = uuid4().hex
    async with mcp_session(shared_product, ada.client) as session:
        first = asyncio.create_task(
            session.call_tool("ask", {"question": asked, "session_id": session_id})
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            await pause.reached.wait()
            second = await session.call_tool("ask", {"question": "Now?", "session_id": session_id})
            pause.release()
            await first

    assert second.isError
    assert "(RUN_IN_PROGRESS)" in text_of(second)


async def test_every_call_is_in_the_audit_trail(shared_product: Product, ada: Person):
    shared_product.model.reply("Yes.", when="Is it audited?")
    async with mcp_session(shared_product, ada.client) as session:
        await session.call_tool("search", {"query": "anything"})
        await session.call_tool("read", {"source_id": str(uuid4())})
        await session.call_tool("ask", {"question": "Is it audited?"})

    trail = await shared_product.client.get("/v1/audit", params={"actor_id": ada.id, "limit": 100})
    entries = [
        (entry["action"], entry["resource_id"])
        for entry in trail.json()["entries"]
        if entry["action"].startswith("mcp.")
    ]
    assert sorted(entries) == [("mcp.ask", "ask"), ("mcp.read", "read"), ("mcp.search", "search")]
    assert "run.start" in {entry["action"] for entry in trail.json()["entries"]}


@pytest.mark.parametrize(
    ("scope", "usable", "refused"),
    [("documents:read", "search", "ask"), ("chat", "ask", "search")],
)
async def test_a_restricted_key_has_the_tools_of_its_scopes(
    shared_product: Product, ada: Person, scope: str, usable: str, refused: str
):
    arguments = {"ask": {"question": "Hello?"}, "search": {"query": "Hello?"}}
    key = await restricted_key(ada, scope)
    async with (
        client_for(shared_product.url, key) as client,
        mcp_session(shared_product, client) as session,
    ):
        listed = {tool.name for tool in (await session.list_tools()).tools}
        good = await session.call_tool(usable, arguments[usable])
        bad = await session.call_tool(refused, arguments[refused])

    assert usable in listed
    assert refused not in listed
    assert not good.isError
    assert bad.isError
    assert "does not carry the scope" in text_of(bad)


async def test_a_key_that_was_revoked_is_refused_at_once(shared_product: Product, ada: Person):
    made = (await ada.client.post("/v1/api-keys", json={"name": "t"})).json()
    async with client_for(shared_product.url, made["key"]) as client:
        before = await client.post("/mcp", json=PING, headers=HEADERS)
        await ada.client.delete(f"/v1/api-keys/{made['id']}")
        after = await client.post("/mcp", json=PING, headers=HEADERS)
    assert before.status_code == 200
    assert told(after) == (401, "INVALID_API_KEY")


async def test_nobody_comes_in_without_a_key(shared_product: Product):
    async with client_for(shared_product.url, None) as nobody:
        for method in ("POST", "GET", "DELETE"):
            answer = await nobody.request(method, "/mcp", headers=HEADERS)
            assert told(answer) == (401, "NOT_AUTHENTICATED")
            assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_login_is_no_key_neither_as_a_cookie_nor_as_a_header(
    shared_product: Product, ada: Person
):
    key = ada.client.headers["Authorization"].removeprefix("Bearer ")
    async with browser_for(shared_product.url) as browser:
        await log_in(browser, key)
        by_cookie = await browser.post("/mcp", json=PING, headers=HEADERS)
        token = browser.cookies["youworker_token"]
    async with client_for(shared_product.url, token) as client:
        by_header = await client.post("/mcp", json=PING, headers=HEADERS)
    assert told(by_cookie) == (401, "NOT_AUTHENTICATED")
    assert told(by_header) == (401, "NOT_AUTHENTICATED")


async def test_pages_of_other_origins_are_refused(shared_product: Product, ada: Person):
    statuses = {}
    for origin in ("https://evil.example", "null", shared_product.url):
        headers = {**HEADERS, "Origin": origin}
        answer = await ada.client.post("/mcp", json=PING, headers=headers)
        statuses[origin] = answer.status_code
    assert statuses == {"https://evil.example": 403, "null": 403, shared_product.url: 200}


async def test_a_page_whose_name_was_made_to_lead_here_is_refused(
    shared_product: Product, ada: Person
):
    headers = {**HEADERS, "Host": "evil.example", "Origin": "http://evil.example"}
    answer = await ada.client.post("/mcp", json=PING, headers=headers)
    assert told(answer) == (403, "CSRF_VALIDATION_FAILED")


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_there_are_no_streams_beside_answers_and_no_sessions_to_end(
    shared_product: Product, ada: Person, method: str
):
    answer = await ada.client.request(method, "/mcp", headers=HEADERS)
    assert told(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]',
        b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": [], "method": "ping"}',
        b'"\\ud800"',
        b"[" * 100_000,
        b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": ' + b'{"a":' * 5_000,
    ],
    ids=["empty", "cut", "list", "batch", "version", "id", "surrogate", "deep", "deep params"],
)
async def test_what_is_no_message_is_refused(shared_product: Product, ada: Person, body: bytes):
    answer = await ada.client.post(
        "/mcp", content=body, headers={**HEADERS, "Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["jsonrpc"] == "2.0"
    assert answer.json()["error"]["code"] in {-32700, -32600}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"method": "nothing/at-all"}, -32602),
        ({"method": "tools/call"}, -32602),
        ({"method": "tools/call", "params": {"name": 1}}, -32602),
        ({"method": "resources/list"}, -32601),
        ({"method": "tools/call", "params": {"name": "ask", "arguments": {}, "_meta": 1}}, -32602),
    ],
)
async def test_a_message_that_says_nothing_is_answered_with_an_error(
    shared_product: Product, ada: Person, message: dict[str, Any], code: int
):
    answer = await ada.client.post("/mcp", json={**PING, **message}, headers=HEADERS)
    assert answer.status_code == 200
    assert f'"code":{code}' in answer.text


async def test_arguments_that_are_nested_as_deeply_as_json_goes_break_nothing(
    shared_product: Product, ada: Person
):
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    body = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
        b'{"name":"search","arguments":{"query":' + deep + b"}}}"
    )
    headers = {**HEADERS, "Content-Type": "application/json"}
    answer = await ada.client.post("/mcp", content=body, headers=headers)
    assert answer.status_code == 200
    assert "error" in answer.text or "isError" in answer.text


async def test_a_body_that_is_too_large_is_refused(shared_product: Product, ada: Person):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 32_768

    announced = await ada.client.post("/mcp", content=b" " * 1_200_000, headers=HEADERS)
    counted = await ada.client.post("/mcp", content=pieces(), headers=HEADERS)
    assert announced.status_code == counted.status_code == 413


async def test_a_version_of_the_protocol_that_is_unknown_is_refused(
    shared_product: Product, ada: Person
):
    headers = {**HEADERS, "MCP-Protocol-Version": "1999-01-01"}
    answer = await ada.client.post("/mcp", json=PING, headers=headers)
    assert answer.status_code == 400
    assert "2025-11-25" in answer.json()["error"]["message"]


async def test_a_notification_and_an_answer_are_taken_without_an_answer(
    shared_product: Product, ada: Person
):
    notification = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    result = {"jsonrpc": "2.0", "id": 1, "result": {}}
    unknown = {
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": {"a": 1}},
    }
    for body in (notification, result, unknown):
        answer = await ada.client.post("/mcp", json=body, headers={**HEADERS, NEW_SESSION: "mine"})
        assert (answer.status_code, answer.content) == (202, b"")


async def test_requests_count_against_the_limits_of_their_user(
    shared_product: Product, ada: Person
):
    answer = await ada.client.post("/mcp", json=PING, headers=HEADERS)
    assert int(answer.headers["X-RateLimit-Remaining"]) > 0
    assert answer.headers["Cache-Control"] == "no-store"


async def test_nothing_that_is_asked_is_logged(
    shared_product: Product, ada: Person, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO):
        async with mcp_session(shared_product, ada.client) as session:
            await session.call_tool("search", {"query": "the walnut lighthouse"})
            await session.call_tool("ask", {"question": "the walnut lighthouse?"})
    own = [record for record in caplog.records if record.name.startswith(("server", "tools"))]
    assert not [record for record in own if "walnut" in record.getMessage()]


def _cancelled(request_id: int) -> types.ClientNotification:
    params = types.CancelledNotificationParams(requestId=request_id)
    return types.ClientNotification(types.CancelledNotification(params=params))


async def _status_of_last_run(product: Product, person: Person) -> str:
    """When it has ended."""
    started = {"actor_id": person.id, "action": "run.start", "limit": 1}
    [entry] = (await product.client.get("/v1/audit", params=started)).json()["entries"]
    run = f"/v1/runs/{entry['resource_id']}"
    await person.client.get(f"{run}/events")
    return str((await person.client.get(run)).json()["status"])
