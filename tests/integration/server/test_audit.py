"""Reading and exporting the audit trail over HTTP, and the sealing that goes on meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
import structlog
from structlog.testing import LogCapture

from persistence.access import AccessScope
from persistence.audit_chain import AuditChain, SealedBatch
from persistence.audit_head import HeadMemory
from persistence.audit_verification import ChainReport, verify_chain
from persistence.database import open_database
from persistence.encryption import KeyRing
from persistence.records import AuditEntry
from persistence.repositories.audit import AuditRepository
from persistence.repositories.audit_seals import SealLink
from persistence.settings import DatabaseSettings
from server.audit import sealer
from server.audit.sealer import keep_sealed
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


@dataclass(frozen=True, kw_only=True)
class Export:
    """One that is under way."""

    reading: asyncio.Task[tuple[bytes, bool]]
    let_go: asyncio.Event


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


@asynccontextmanager
async def export_held_up(product: Product, reader: Any, monkeypatch) -> AsyncIterator[Export]:
    """An export of several pages that stands still after the first one, until it is let go."""
    monkeypatch.setattr("server.audit.export.PAGE_ENTRIES", 2)
    reached, let_go = asyncio.Event(), asyncio.Event()
    read = AuditRepository.after

    async def wait_and_read(self, filters, last, *, limit):
        if last is not None:
            reached.set()
            await let_go.wait()
        return await read(self, filters, last, limit=limit)

    monkeypatch.setattr(AuditRepository, "after", wait_and_read)
    reading = asyncio.create_task(read_until_it_ends(reader))
    await asyncio.wait_for(reached.wait(), SEALED_WITHIN_SECONDS)
    yield Export(reading=reading, let_go=let_go)


async def read_until_it_ends(reader: Any) -> tuple[bytes, bool]:
    """What came of an export, and whether it came to its end."""
    got = b""
    try:
        async with reader.stream("GET", "/v1/audit/export") as answer:
            async for piece in answer.aiter_raw():
                got += piece
    except httpx.RemoteProtocolError:
        return got, False
    return got, True


@pytest.mark.parametrize("how", ["locked out", "demoted"])
async def test_an_export_breaks_off_when_its_reader_may_not_read_on(
    product: Product, monkeypatch, how: str
):
    async with open_person(product, "ada") as ada, open_person(product, "bob") as bob:
        ours = await make_group(ada, bob)
        member = f"/v1/groups/{ours}/members/{bob.id}"
        await ada.client.patch(member, json={"role": "admin"})
        await make_group(bob)  # so that bob goes on administering something
        async with export_held_up(product, bob.client, monkeypatch) as export:
            if how == "demoted":
                await ada.client.patch(member, json={"role": "member"})
            else:
                await product.client.patch(f"/v1/users/{bob.id}", json={"is_active": False})
            export.let_go.set()
            got, is_whole = await export.reading
    assert len(got.splitlines()) == 2
    assert (is_whole, b'"head"' in got) == (False, False)


async def test_a_chain_that_was_made_anew_is_not_sealed_and_the_product_goes_on(
    product: Product, database_url: str
):
    await product.client.post("/v1/users", json={"username": "ada"})
    await export(product.client)  # seals
    owner = await asyncpg.connect(database_url)
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(
        "DELETE FROM audit_log WHERE action = 'user.create'; DELETE FROM audit_seals; "
        "DELETE FROM audit_unsealed; INSERT INTO audit_unsealed SELECT id FROM audit_log"
    )
    *entries, end = await export(product.client)
    assert (end["entries"], end["head"]) == (len(entries), None)
    assert "that this server remembers is not in the chain" in end["fault"]
    assert await owner.fetchval("SELECT count(*) FROM audit_seals") == 0
    await owner.close()
    assert (await product.client.get("/v1/users")).status_code == 200


async def test_a_refusal_to_seal_is_said_once(
    database, key_ring: KeyRing, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    logs = LogCapture()
    # However the process logs.
    monkeypatch.setattr(sealer, "log", structlog.wrap_logger(None, processors=[logs]))

    class Refusing(AuditChain):
        turns = 0

        async def seal_batch(self, *, wait: bool = False) -> SealedBatch:
            self.turns += 1
            database.audited.set()
            if self.turns == 3:
                done.set()
            return await super().seal_batch(wait=wait)

    done = asyncio.Event()
    memory = HeadMemory(tmp_path, key_ring)
    memory.keep(SealLink(position=7, digest=bytes(32)))
    async with keep_sealed(Refusing(database, key_ring, memory), database.audited):
        await asyncio.wait_for(done.wait(), SEALED_WITHIN_SECONDS)
    assert [each["event"] for each in logs.entries].count("audit_sealing_refused") == 1
