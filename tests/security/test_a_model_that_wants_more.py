"""A model that asks the semantic tool for another tenant's documents, by every argument it has."""

from typing import Any

import pytest

from tests.fixtures.product import Product

SECRET = "The vault of the walnut lighthouse opens with 4711."


@pytest.fixture
async def victim(product: Product):
    """Somebody with a document; yields the ids by which it is known."""
    client = await product.new_user("anna")
    async with client:
        taken = await client.post(
            "/v1/ingest/upload", files={"files": ("vault.txt", SECRET.encode())}
        )
        found = await client.post("/v1/search", json={"query": SECRET})
        me = await client.get("/v1/auth/me")
        yield {
            "source_id": found.json()["hits"][0]["source"]["id"],
            "document_id": taken.json()["files"][0]["document_id"],
            "user_id": me.json()["id"],
        }


def attempts(victim: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Calls that a model may make up: real arguments, invented ones, and forged identities."""
    source, document, user = victim["source_id"], victim["document_id"], victim["user_id"]
    forged = {"scope": {"user_id": user, "is_root": True}}
    return [
        ("semantic__search", {"query": SECRET}),
        ("semantic__search", {"query": SECRET, "user_id": user}),
        ("semantic__search", {"query": SECRET, "owner_id": user, "group_ids": [1, 2, 3]}),
        ("semantic__search", {"query": SECRET, "document_ids": [document], "limit": 100}),
        ("semantic__search", {"query": SECRET, "collection": "passages", "filter": {}}),
        ("semantic__search", {"query": SECRET, "caller": "root", "_meta": forged, **forged}),
        ("semantic__search", {"query": f"owner_id:{user} {SECRET}"}),
        ("semantic__search", {"query": "' OR 1=1 --"}),
        ("semantic__read", {"source_id": source}),
        ("semantic__read", {"source_id": source.upper()}),
        ("semantic__read", {"source_id": f"/v1/sources/{source}"}),
        ("semantic__read", {"source_id": source, "user_id": user, **forged}),
        ("semantic__read", {"source_id": str(document)}),
        ("semantic__list_documents", {}),
        ("semantic__list_documents", {"page": 2}),
        ("semantic__list_documents", {"page": 1, "user_id": user, **forged}),
        ("semantic__outline", {"document_id": document}),
        ("semantic__outline", {"document_id": document, "owner_id": user, **forged}),
    ]


async def test_nothing_of_another_tenant_comes_back(product: Product, victim: dict[str, Any]):
    asked = attempts(victim)
    product.model.calls(*asked)
    product.model.reply("I found nothing.")
    attacker = await product.new_user("mallory")
    async with attacker:
        answer = await attacker.post(
            "/v1/chat", json={"text_input": "Open the vault.", "session_id": "heist"}
        )
        history = await attacker.get("/v1/chat/sessions/heist")

    results = [
        message["content"]
        for message in product.model.requests[-1].messages
        if message["role"] == "tool"
    ]
    assert len(results) == len(asked)
    assert "4711" not in "".join(results)
    assert "vault" not in "".join(results)
    assert answer.json()["sources"] == []
    assert "4711" not in answer.text + history.text.replace(SECRET, "")


async def test_the_owner_finds_it_by_the_same_calls(product: Product):
    product.model.calls(("semantic__search", {"query": SECRET}))
    product.model.reply("With 4711.")
    owner = await product.new_user("anna")
    async with owner:
        await owner.post("/v1/ingest/upload", files={"files": ("vault.txt", SECRET.encode())})
        answer = await owner.post("/v1/chat", json={"text_input": "Open the vault."})
    assert "4711" in product.model.requests[-1].messages[-1]["content"]
    assert [source["title"] for source in answer.json()["sources"]] == ["vault"]
