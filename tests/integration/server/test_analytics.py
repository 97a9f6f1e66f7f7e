"""What was used, as those are told who may see it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from persistence.database import open_database
from persistence.encryption import KeyRing
from persistence.settings import DatabaseSettings
from server.analytics.rolling import roll_up
from tests.fixtures.product import Product
from tests.integration.server.people import Person, make_group, open_person, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = ["dashboard", "tokens", "tools", "ingestion"]


async def ask(client: Any, kind: str, **query: object) -> dict[str, Any]:
    answer = await client.get(f"/v1/analytics/{kind}", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def chat(product: Product, person: Person, session_id: str) -> None:
    """A question that takes a tool call, and so the model twice."""
    product.model.call("datetime__now", {"timezone": "Asia/Tokyo"})
    product.model.reply("Noon.")
    answer = await person.client.post(
        "/v1/chat", json={"text_input": "What time is it in Tokyo?", "session_id": session_id}
    )
    assert answer.status_code == 200, answer.text


async def roll_up_all(product: Product) -> None:
    key_ring = KeyRing(product.secrets.key_list)
    settings = DatabaseSettings(url=product.settings.database.url)
    folder = product.settings.data_dir
    async with open_database(settings, key_ring=key_ring, data_dir=folder) as database:
        await roll_up(database)


@pytest.mark.parametrize("rolled", [False, True])
async def test_what_somebody_has_used_is_told_at_once_and_once(
    shared_product: Product, ada: Person, *, rolled: bool
) -> None:
    await chat(shared_product, ada, "first")
    await chat(shared_product, ada, "first")
    if rolled:
        await roll_up_all(shared_product)
    dashboard = await ask(ada.client, "dashboard")
    metrics = dashboard["metrics"]
    assert (metrics["total_sessions"], metrics["total_messages"]) == (1, 4)
    assert (metrics["total_tool_calls"], metrics["avg_session_length"]) == (2, 4.0)
    assert metrics["total_tokens"] > 0
    assert metrics["avg_response_time_ms"] > 0
    [tool] = dashboard["top_tools"]
    assert (tool["tool_name"], tool["count"], tool["failures"]) == ("datetime.now", 2, 0)
    today = datetime.now(UTC).date().isoformat()
    assert dashboard["daily_breakdown"] == [
        {
            "date": today,
            "sessions": 1,
            "messages": 4,
            "tokens": metrics["total_tokens"],
            "tool_calls": 2,
        }
    ]
    assert dashboard["end_date"] == today


async def test_tokens_are_told_by_model(shared_product: Product, ada: Person) -> None:
    await chat(shared_product, ada, "first")
    tokens = await ask(ada.client, "tokens")
    [model] = tokens["by_model"]
    assert (model["model"], model["calls"]) == ("scripted", 2)
    assert (tokens["tokens_in"], tokens["tokens_out"]) == (model["tokens_in"], model["tokens_out"])
    assert tokens["breakdown"][0]["tokens_in"] == model["tokens_in"]
    assert (await ask(ada.client, "tokens", model="scripted"))["by_model"] == [model]
    other = await ask(ada.client, "tokens", model="another")
    assert (other["by_model"], other["breakdown"], other["tokens_in"]) == ([], [], 0)


async def test_a_session_has_figures_of_its_own(shared_product: Product, ada: Person) -> None:
    await chat(shared_product, ada, "first")
    figures = await ask(ada.client, "sessions/first")
    assert (figures["session_id"], figures["messages"]) == ("first", 2)
    assert figures["runs"] == {"success": 1}
    assert figures["tokens_in"] > 0
    [tool] = figures["tools"]
    assert (tool["tool_name"], tool["count"]) == ("datetime.now", 1)


async def test_nobody_is_told_of_anothers_session(
    shared_product: Product, ada: Person, bob: Person
) -> None:
    await chat(shared_product, ada, "hers")
    for client in (bob.client, shared_product.client):
        answer = await client.get("/v1/analytics/sessions/hers")
        assert told(answer) == (404, "RESOURCE_NOT_FOUND")


async def test_what_is_ingested_is_counted(shared_product: Product, ada: Person) -> None:
    files = {"files": ("note.txt", b"The canteen opens at noon.", "text/plain")}
    given = await ada.client.post("/v1/ingest/upload", files=files, headers={"Prefer": "wait=60"})
    assert given.status_code < 300, given.text
    figures = await ask(ada.client, "ingestion")
    assert (figures["files"], figures["chunks"]) == ({"indexed": 1}, 1)
    assert figures["bytes"] == len(b"The canteen opens at noon.")
    assert figures["avg_duration_ms"] > 0


async def test_who_has_used_nothing_is_told_so(ada: Person) -> None:
    dashboard = await ask(ada.client, "dashboard")
    assert dashboard["metrics"] == {
        "total_sessions": 0,
        "total_messages": 0,
        "total_tokens": 0,
        "total_tool_calls": 0,
        "avg_session_length": None,
        "avg_response_time_ms": None,
    }
    assert dashboard["top_tools"] == dashboard["daily_breakdown"] == []


@pytest.mark.parametrize("kind", KINDS)
async def test_root_sees_everybodys_and_others_their_own(
    shared_product: Product, ada: Person, bob: Person, kind: str
) -> None:
    await chat(shared_product, ada, "first")
    assert await ask(bob.client, kind) == await ask(bob.client, kind, view="own")
    everybodys = await ask(shared_product.client, kind)
    assert everybodys == await ask(shared_product.client, kind, view="all")
    if kind != "ingestion":
        assert everybodys != await ask(bob.client, kind)
    refused = await bob.client.get(f"/v1/analytics/{kind}", params={"view": "all"})
    assert told(refused) == (403, "NOT_AUTHORIZED")


async def test_a_groups_admin_is_told_of_a_group_of_some_size(
    shared_product: Product, ada: Person, bob: Person
) -> None:
    await chat(shared_product, bob, "his")
    async with (
        open_person(shared_product, "eve") as eve,
        open_person(shared_product, "joe") as joe,
    ):
        small = await make_group(ada, bob, eve)
        large = await make_group(ada, bob, eve, joe)
        assert (await ask(ada.client, "tools", group_id=small))["tools"] == []
        [tool] = (await ask(ada.client, "tools", group_id=large))["tools"]
        assert (tool["tool_name"], tool["count"]) == ("datetime.now", 1)
        for client in (bob.client, joe.client, shared_product.client):
            refused = await client.get("/v1/analytics/tools", params={"group_id": large})
            assert told(refused) == (404, "RESOURCE_NOT_FOUND")


@pytest.mark.parametrize(
    "query",
    [
        {"start_date": "2026-02-02", "end_date": "2026-02-01"},
        {"start_date": "1900-01-01", "end_date": "2026-02-01"},
        {"end_date": "0001-01-01"},
        {"group_id": 1, "view": "own"},
    ],
)
async def test_days_and_people_that_make_no_sense_are_refused(
    ada: Person, query: dict[str, object]
) -> None:
    answer = await ada.client.get("/v1/analytics/dashboard", params=query)
    assert told(answer)[0] == 400


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 1),
        ({"period": "month"}, 1),
        ({"start_date": "2020-01-01", "end_date": "2020-02-01"}, 0),
    ],
)
async def test_only_the_days_that_are_asked_about_count(
    shared_product: Product, ada: Person, query: dict[str, object], count: int
) -> None:
    await chat(shared_product, ada, "first")
    dashboard = await ask(ada.client, "dashboard", **query)
    assert dashboard["metrics"]["total_sessions"] == count
    begins = [datetime.fromisoformat(each["date"]) for each in dashboard["daily_breakdown"]]
    assert len(begins) == count
    if query.get("period") == "month":
        assert begins[0].day == 1
        last = datetime.fromisoformat(dashboard["end_date"])
        assert datetime.fromisoformat(dashboard["start_date"]) == last - timedelta(days=364)
