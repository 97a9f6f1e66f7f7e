"""Sessions over real HTTP: history in pages, search, and what a deletion reaches."""

from dataclasses import replace
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from persistence.access import AccessScope
from tests.fixtures.product import Product
from tests.integration.server.people import told

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEPT_TRACES = {"audit_log", "audit_unsealed"}
"""The audit trail goes on saying that there was such a session."""


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product):
    """The shared product as a user of this test's own sees it."""
    async with await shared_product.new_user(f"user-{uuid4().hex}") as client:
        yield replace(shared_product, client=client)


async def say(product: Product, session_id: str, *turns: tuple[str, str]) -> list[str]:
    """Holds a conversation; returns the ids of its runs."""
    run_ids = []
    for question, answer in turns:
        product.model.reply(answer, when=question)
        events = await product.stream(question, session_id=session_id)
        run_ids.append(events[0].data["run_id"])
    return run_ids


async def read(product: Product, session_id: str, **params: object) -> dict:
    answer = await product.client.get(f"/v1/chat/sessions/{session_id}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def search(product: Product, **body: object) -> dict:
    answer = await product.client.post("/v1/chat/sessions/search", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_history_is_read_backwards_page_by_page(product: Product):
    await say(product, "s", ("Q1?", "A1."), ("Q2?", "A2."))
    newest = await read(product, "s", order="desc", limit=3)
    oldest = await read(product, "s", order="desc", limit=3, before=newest["messages"][-1]["id"])

    assert [each["content"] for each in newest["messages"]] == ["A2.", "Q2?", "A1."]
    assert [each["content"] for each in oldest["messages"]] == ["Q1?"]
    assert (newest["total"], oldest["total"]) == (4, 4)


@pytest.mark.parametrize(
    "params",
    [{"order": "sideways"}, {"before": 0}, {"before": 2**63}, {"before": "x"}, {"limit": 101},
     {"offset": -1}, {"include_superseded": "perhaps"}],
)  # fmt: skip
async def test_a_page_that_is_none_is_refused(product: Product, params):
    await say(product, "s", ("Q1?", "A1."))
    answer = await product.client.get("/v1/chat/sessions/s", params=params)
    assert told(answer) == (400, "VALIDATION_ERROR")


async def test_sessions_are_found_by_their_words(product: Product, shared_product: Product):
    await say(product, "rome", ("Wo steht der Nußbaum?", "Im Garten der Villa."))
    await say(product, "bern", ("Und in Bern?", "Dort steht keiner."))

    found = await search(product, query="nussbaum")
    assert [each["session_id"] for each in found["sessions"]] == ["rome"]
    assert found["sessions"][0]["role"] == "user" or found["sessions"][0]["role"] is None
    in_answer = await search(product, query="VILLA garten")
    hit = in_answer["sessions"][0]
    assert (hit["session_id"], hit["role"]) == ("rome", "assistant")
    assert hit["snippet"] == "Im Garten der Villa."
    assert hit["message_id"] in [m["id"] for m in (await read(product, "rome"))["messages"]]

    first = await search(product, query="steht", limit=1)
    second = await search(product, query="steht", limit=1, cursor=first["next_cursor"])
    pages = [first["sessions"], second["sessions"]]
    assert [[each["session_id"] for each in page] for page in pages] == [["bern"], ["rome"]]
    async with await shared_product.new_user(f"other-{uuid4().hex}") as stranger:
        theirs = replace(product, client=stranger)
        assert (await search(theirs, query="nussbaum"))["sessions"] == []
        beyond = await search(theirs, query="steht", cursor=first["next_cursor"])
        assert beyond == {"sessions": [], "next_cursor": None}


@pytest.mark.parametrize(
    "body",
    [{}, {"query": ""}, {"query": "  "}, {"query": "x" * 201}, {"query": "x", "cursor": "y"},
     {"query": "x", "cursor": "1" * 65}, {"cursor": "1.1.1"}, {"query": "x", "offset": 1},
     {"query": "\u0301"}, {"query": "x", "limit": 0}, {"query": "x", "limit": 101},
     {"query": ["x"]}],
)  # fmt: skip
async def test_a_search_that_is_none_is_refused(product: Product, body):
    answer = await product.client.post("/v1/chat/sessions/search", json=body)
    assert told(answer) == (400, "VALIDATION_ERROR")


async def test_words_in_the_address_are_refused_and_not_repeated(product: Product):
    await say(product, "s", ("Where is the walnut?", "Here."))
    answer = await product.client.post("/v1/chat/sessions/search", params={"query": "walnut"})
    assert told(answer) == (400, "VALIDATION_ERROR")
    for words in ("walnut", ""):
        answer = await product.client.get("/v1/chat/sessions", params={"query": words})
        assert told(answer) == (400, "VALIDATION_ERROR")
        assert "POST /v1/chat/sessions/search" in answer.json()["error"]["message"]
        assert "walnut" not in answer.text


async def test_a_session_may_be_called_search(product: Product):
    await say(product, "search", ("Where is the walnut?", "Here."))
    assert (await read(product, "search"))["total"] == 2
    assert (await search(product, query="walnut"))["sessions"][0]["session_id"] == "search"


@pytest.mark.parametrize(
    "query", ["\x00", "%", "'; DROP TABLE messages; --", "🦓", "\ufffd", "a b"]
)
async def test_any_characters_may_be_looked_for(product: Product, query: str):
    await say(product, "s", ("Plain?", "Plain."))
    assert (await search(product, query=query))["sessions"] == []


async def test_a_deletion_reaches_all_that_hangs_on_a_session(product: Product):
    product.model.call("units__convert", {"value": 1, "from_unit": "km", "to_unit": "m"})
    [first] = await say(product, "s", ("1 km in m?", "1000 m."))
    question = (await read(product, "s"))["messages"][0]["id"]
    product.model.reply("Again.")
    events = await product.stream("2 km in m?", session_id="s", message_id=question)
    run_ids = [first, events[0].data["run_id"]]
    thread_id = await thread_of(product, "s")
    last = (await read(product, "s"))["messages"][-1]["id"]
    fork = {"message_id": last, "session_id": "f"}
    await product.client.post("/v1/chat/sessions/s/fork", json=fork)
    dsn = product.settings.database.url.get_secret_value()
    before = await tables_with(dsn, thread_id, *run_ids)
    assert before >= {"chat_sessions", "runs", "messages", "tool_runs", "model_calls", "run_events",
                      "checkpoints"}  # fmt: skip

    assert (await product.client.delete("/v1/chat/sessions/s")).status_code == 204

    assert await tables_with(dsn, thread_id, *run_ids) <= KEPT_TRACES
    assert (await read(product, "f"))["total"] == 2
    for run_id in run_ids:
        answer = await product.client.get(f"/v1/runs/{run_id}")
        assert told(answer) == (404, "RUN_NOT_FOUND")


async def thread_of(product: Product, session_id: str) -> UUID:
    user_id = (await product.client.get("/v1/auth/me")).json()["id"]
    database = product.resources.sessions._database
    async with database.unit_of_work(AccessScope(user_id=user_id)) as uow:
        return (await uow.sessions.get(session_id)).thread_id


async def tables_with(dsn: str, *identifiers: object) -> set[str]:
    """The tables in which one of these stands in clear, in any column."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname NOT IN "
            "('pg_catalog', 'information_schema')"
        )
        found = set()
        for (table,) in tables:
            for row in await connection.fetch(f"SELECT t::text AS line FROM {table} t"):
                if any(str(identifier) in row["line"] for identifier in identifiers):
                    found.add(table)
        return found
    finally:
        await connection.close()
