"""Reading and exporting the audit trail over HTTP, and the sealing that goes on meanwhile."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.audit_verification import ChainReport, verify_chain
from persistence.database import open_database
from persistence.encryption import KeyRing
from persistence.records import AuditEntry
from persistence.settings import DatabaseSettings
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.product import Product, new_secrets, open_product, settings_for
from tests.integration.server.people import make_group, open_person, told

SEALED_WITHIN_SECONDS = 20
NONSENSE: list[dict[str, Any]] = [
    {"resource_id": "1"},
    {"action": "user.%"},
    {"action": "a\0b"},
    {"since": "2026-01-01T00:00:00"},
    {"since": "0001-01-01T00:00:00+14:00"},
    {"until": "9999-12-31T23:59:59-14:00"},
    {"actor_id": 2**63},
    {"nonsense": "1"},
]


async def read_entries(client: Any, **conditions: object) -> list[dict[str, Any]]:
    answer = await client.get("/v1/audit", params=conditions)
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()["entries"]
    return entries


async def export(client: Any, **conditions: object) -> list[dict[str, Any]]:
    answer = await client.get("/v1/audit/export", params=conditions)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


async def verify(product: Product) -> ChainReport:
    key_ring = KeyRing(product.secrets.key_list)
    settings = DatabaseSettings(url=product.settings.database.url)
    folder = product.settings.data_dir
    async with open_database(settings, key_ring=key_ring, data_dir=folder) as database:
        return await verify_chain(database, key_ring)


async def test_root_reads_what_was_done_the_newest_first(product: Product):
    made = (await product.client.post("/v1/users", json={"username": "ada"})).json()
    first, *older = await read_entries(product.client)
    assert (first["action"], first["resource_type"]) == ("user.create", "user")
    assert first["resource_id"] == str(made["id"])
    assert (first["actor_name"], first["success"], first["readable"]) == ("root", True, True)
    assert first["details"] == {"after": {"username": "ada"}}
    assert [entry["id"] for entry in older] == sorted((e["id"] for e in older), reverse=True)


async def test_who_reads_or_exports_the_trail_is_in_it(product: Product):
    await read_entries(product.client, action="user.create", success=True)
    await export(product.client, resource_type="user")
    exported, read = (await read_entries(product.client))[:2]
    assert (read["action"], exported["action"]) == ("audit.read", "audit.export")
    assert read["details"] == {"filters": {"action": "user.create", "success": "True"}}
    assert exported["details"] == {"filters": {"resource_type": "user"}}


def conditions_that_fit(entry: dict[str, Any]) -> Iterator[dict[str, object]]:
    moment = datetime.fromisoformat(entry["created_at"])
    yield {"actor_id": entry["actor_id"], "action": "user.create"}
    yield {"action": "user", "resource_type": "user", "resource_id": entry["resource_id"]}
    yield {"action": "user.create", "success": True}
    yield {"correlation_id": entry["correlation_id"], "action": "user.create"}
    yield {
        "since": moment.isoformat(),
        "until": (moment + timedelta(microseconds=1)).isoformat(),
        "action": "user.create",
    }


def conditions_that_do_not(entry: dict[str, Any]) -> Iterator[dict[str, object]]:
    yield {"actor_id": entry["actor_id"] + 1}
    yield {"action": "use"}
    yield {"action": "user.creat"}
    yield {"resource_type": "user", "resource_id": "0"}
    yield {"resource_type": "document", "resource_id": entry["resource_id"]}
    yield {"success": False}
    yield {"since": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    yield {"until": entry["created_at"], "action": "user.create"}
    yield {"correlation_id": "another"}
    yield {"group_id": 1}


async def test_filters_hold_together_in_pages_and_exports(product: Product):
    await product.client.post("/v1/users", json={"username": "ada"})
    [entry] = await read_entries(product.client, action="user.create")
    for conditions in conditions_that_fit(entry):
        assert await read_entries(product.client, **conditions) == [entry], conditions
        *exported, end = await export(product.client, **conditions)
        assert (exported, end["entries"]) == ([entry], 1), conditions
    for conditions in conditions_that_do_not(entry):
        assert entry not in await read_entries(product.client, **conditions), conditions
        assert entry not in await export(product.client, **conditions), conditions


async def test_conditions_that_make_no_sense_are_refused(product: Product):
    for query in NONSENSE:
        for path in ("/v1/audit", "/v1/audit/export"):
            answer = await product.client.get(path, params=query)
            assert told(answer) == (400, "VALIDATION_ERROR"), (path, query)


async def test_pages_follow_each_other_and_an_export_has_them_all(product: Product, monkeypatch):
    monkeypatch.setattr("server.audit.export.PAGE_ENTRIES", 3)
    for number in range(8):
        await product.client.post("/v1/users", json={"username": f"user-{number}"})
    pages = [
        await product.client.get(
            "/v1/audit", params={"action": "user.create", "limit": 3, "offset": offset}
        )
        for offset in (0, 3, 6)
    ]
    listed = [entry for page in pages for entry in page.json()["entries"]]
    assert [page.json()["total"] for page in pages] == [8, 8, 8]
    *exported, end = await export(product.client, action="user.create")
    assert exported == listed
    assert end["entries"] == len(listed) == 8


async def test_an_export_ends_with_the_head_that_covers_it(product: Product):
    await product.client.post("/v1/users", json={"username": "ada"})
    *entries, end = await export(product.client)
    report = await verify(product)
    assert report.is_whole
    assert report.head is not None
    assert report.entries == len(entries)
    assert end["head"] == {"position": report.head.position, "digest": report.head.digest.hex()}


async def test_an_admin_of_a_group_reads_what_concerns_the_group_and_no_more(product: Product):
    async with (
        open_person(product, "ada") as ada,
        open_person(product, "bob") as bob,
        open_person(product, "eve") as eve,
    ):
        ours, theirs = await make_group(ada, bob), await make_group(eve)
        seen = await read_entries(ada.client)
        assert {entry["group_id"] for entry in seen} == {ours}
        assert {entry["action"] for entry in seen} == {"group.create", "membership.create"}
        *exported, end = await export(ada.client)
        assert (exported, end["entries"]) == (seen, len(seen))
        assert end["head"]["position"] > 0
        assert await read_entries(ada.client, group_id=theirs) == []

        promotion = f"/v1/groups/{ours}/members/{bob.id}"
        await ada.client.patch(promotion, json={"role": "admin"})
        assert len(await read_entries(bob.client)) == len(seen) + 1
        await ada.client.patch(promotion, json={"role": "member"})
        assert told(await bob.client.get("/v1/audit")) == (403, "NOT_AUTHORIZED")


@pytest.mark.parametrize("path", ["/v1/audit", "/v1/audit/export"])
async def test_who_administers_nothing_reads_nothing(product: Product, path: str):
    async with open_person(product, "ada") as ada, open_person(product, "bob") as bob:
        await make_group(ada, bob)
        assert told(await bob.client.get(path)) == (403, "NOT_AUTHORIZED")
    read = await read_entries(product.client, action="audit")
    assert [entry for entry in read if entry["actor_name"] != "root"] == []


async def test_an_entry_of_another_hand_hides_no_other(product: Product, database_url: str):
    await product.client.post("/v1/users", json={"username": "ada"})
    forger = await asyncpg.connect(database_url)
    await forger.execute(
        "INSERT INTO audit_log (action, resource_type, success, body) "
        "SELECT 'user.delete', resource_type, success, body FROM audit_log LIMIT 1"
    )
    await forger.close()
    forged, true = (await read_entries(product.client))[:2]
    assert (forged["action"], forged["readable"], forged["resource_id"]) == (
        "user.delete",
        False,
        None,
    )
    assert (true["action"], true["readable"]) == ("user.create", True)


async def test_half_an_emoji_in_an_entry_spoils_no_answer(product: Product, database_url: str):
    key_ring = KeyRing(product.secrets.key_list)
    settings = DatabaseSettings(url=product.settings.database.url)
    scope = AccessScope.system("tests")
    folder = product.settings.data_dir
    entry = AuditEntry(action="tool.call", resource_type="tool", resource_id="\ud83d!")
    async with (
        open_database(settings, key_ring=key_ring, data_dir=folder) as database,
        database.unit_of_work(scope) as uow,
    ):
        await uow.audit.record(entry)
        await uow.commit()
    [read] = await read_entries(product.client, action="tool.call")
    assert read["resource_id"] == "?!"
    assert (await export(product.client, action="tool.call"))[0] == read


async def test_what_was_done_is_sealed_without_being_asked(product: Product, database_url: str):
    await product.client.post("/v1/users", json={"username": "ada"})
    watcher = await asyncpg.connect(database_url)
    async with asyncio.timeout(SEALED_WITHIN_SECONDS):
        while await watcher.fetchval("SELECT count(*) FROM audit_unsealed"):
            await asyncio.sleep(0)
    await watcher.close()
    report = await verify(product)
    assert (report.is_whole, report.waiting) == (True, 0)
    assert report.entries >= 1


async def test_a_product_that_stops_seals_what_is_left_and_the_next_one_goes_on(
    tmp_path, database_url: str, scripted_model: ScriptedOllama
):
    settings = settings_for(tmp_path, database_url, scripted_model)
    secrets = new_secrets()
    seals = []
    for username in ("ada", "bob"):
        async with open_product(settings, secrets, scripted_model) as product:
            await product.client.post("/v1/users", json={"username": username})
        report = await verify(product)
        assert (report.is_whole, report.waiting) == (True, 0)
        seals.append(report.seals)
    assert seals[1] > seals[0]


async def test_what_a_process_left_unsealed_is_sealed_by_the_next_start(
    tmp_path, database_url: str, scripted_model: ScriptedOllama
):
    settings = settings_for(tmp_path, database_url, scripted_model)
    secrets = new_secrets()
    key_ring = KeyRing(secrets.key_list)
    left = DatabaseSettings(url=settings.database.url)
    async with open_database(left, key_ring=key_ring, data_dir=tmp_path) as database:
        async with database.unit_of_work(AccessScope.system("tests")) as uow:
            await uow.audit.record(AuditEntry(action="user.create", resource_type="user"))
            await uow.commit()
        assert (await verify_chain(database, key_ring)).waiting == 1
    async with open_product(settings, secrets, scripted_model) as product:
        pass
    assert (await verify(product)).waiting == 0
