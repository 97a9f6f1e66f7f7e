"""History wiped and accounts ended: nothing of the user is left, nothing of others is touched."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from uuid import uuid4
from zipfile import BadZipFile, ZipFile

import asyncpg
import httpx
import orjson
import pytest

from persistence.access import AccessScope
from persistence.audit_entries import open_body
from persistence.database import Database
from persistence.vectors.filters import Filter, Match
from tests.fixtures.plaintext_scan import find_in_database, find_in_folder
from tests.fixtures.product import Product, client_for, new_secrets, open_product, settings_for
from tests.fixtures.rows import SYSTEM, create_session, start_run

PHRASE = "zebra-quartz 7741 perché"
THEIRS = "The walrus onyx ledger lists the salaries of all employees."
ENDS_SECONDS = 30
WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
OWNERS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND column_name IN ('user_id', 'owner_id', 'actor_id')
"""


@dataclass(frozen=True, kw_only=True)
class Resident:
    """A user of the product, who has something of everything."""

    product: Product
    user_id: int
    username: str

    @property
    def scope(self) -> AccessScope:
        return AccessScope(user_id=self.user_id)

    async def delete_account(self, confirm: str | None = None):
        body = {"confirm": self.username if confirm is None else confirm}
        return await self.product.client.request("DELETE", "/v1/account", json=body)


async def move_in(product: Product, text: str) -> Resident:
    """Makes a user with a key, a session in which a tool was called, and a document."""
    username = f"user-{uuid4().hex}"
    client = await product.new_user(username)
    mine = replace(product, client=client)
    user = (await client.get("/v1/account")).json()["user"]
    mine.model.call("semantic__search", {"query": text})
    mine.model.reply(text, thinking=text)
    await mine.stream(text, session_id=text.split(maxsplit=1)[0])
    await mine.upload(f"{text}.txt", text.encode(), tags=f'["{text}"]')
    return Resident(product=mine, user_id=user["id"], username=username)


@pytest.fixture
async def ada(product: Product) -> AsyncIterator[Resident]:
    resident = await move_in(product, PHRASE)
    yield resident
    await resident.product.client.aclose()


@pytest.fixture
async def bob(product: Product) -> AsyncIterator[Resident]:
    resident = await move_in(product, THEIRS)
    yield resident
    await resident.product.client.aclose()


def database_of(product: Product) -> Database:
    return product.resources.account._database


async def rows(url: str, query: str, *arguments: object) -> list[asyncpg.Record]:
    """What the owner of the tables sees, whom no policy restrains."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(query, *arguments)
    finally:
        await connection.close()


async def count(url: str, table: str) -> int:
    return (await rows(url, f"SELECT count(*) FROM {table}"))[0][0]


async def belongings(product: Product, url: str, user_id: int) -> dict[str, int]:
    """How many rows and points know the user, by where they are."""
    found = {
        f"{table}.{column}": len(
            await rows(url, f"SELECT 1 FROM {table} WHERE {column} = $1", user_id)
        )
        for table, column in await rows(url, OWNERS)
    }
    found["users.id"] = len(await rows(url, "SELECT 1 FROM users WHERE id = $1", user_id))
    store = product.resources.documents._retriever._collections._now.collection.index._store
    owned = Filter(must=(Match(field="owner_id", values=(user_id,)),))
    found["index"] = await store.count(owned)
    return {place: number for place, number in found.items() if number}


async def memory_of(url: str, user_id: int) -> list[str]:
    """The names of the user's threads, as long as their sessions are there."""
    found = await rows(url, "SELECT thread_id FROM chat_sessions WHERE user_id = $1", user_id)
    return [str(row["thread_id"]) for row in found]


async def remembered(url: str, threads: list[str]) -> int:
    total = 0
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        found = await rows(url, f"SELECT 1 FROM {table} WHERE thread_id = ANY($1)", threads)
        total += len(found)
    return total


async def acts(url: str, user_id: int) -> list[str]:
    query = "SELECT action FROM audit_log WHERE actor_id = $1 ORDER BY id"
    return [row["action"] for row in await rows(url, query, user_id)]


def originals(product: Product) -> list[str]:
    blobs: Path = product.settings.data_dir / "blobs"
    return sorted(path.name for path in blobs.rglob("*") if path.is_file())


async def share(owner: Resident, *members: Resident) -> int:
    """Makes a group of the owner's with members in it; returns its id."""
    async with database_of(owner.product).unit_of_work(owner.scope) as uow:
        group = await uow.groups.create(f"group {uuid4().hex}")
        for member in members:
            await uow.memberships.add(group.id, member.user_id)
        await uow.commit()
    return group.id


async def gone(product: Product, url: str, user_id: int) -> None:
    """Returns when the account is no more."""
    async with asyncio.timeout(ENDS_SECONDS):
        while await rows(url, "SELECT 1 FROM users WHERE id = $1", user_id):
            await asyncio.sleep(0)


async def test_what_is_being_made_searchable_ends_with_its_account(
    product: Product, database_url: str, ada: Resident
):
    theirs = originals(product)
    pause = product.model.hang_embedding()
    files = [("files", (f"{n}.txt", f"{PHRASE} {n}".encode())) for n in range(6)]
    given = await ada.product.client.post(
        "/v1/ingest/upload", files=files, headers={"Prefer": "wait=0"}
    )
    async with asyncio.timeout(ENDS_SECONDS):
        await pause.reached.wait()

    assert (await ada.delete_account()).status_code == 204

    assert given.status_code == 202
    assert set(await belongings(product, database_url, ada.user_id)) == {"audit_log.actor_id"}
    assert len(originals(product)) < len(theirs)
    assert await count(database_url, "procrastinate_jobs") <= 1


async def test_history_is_wiped_with_the_agents_memory_and_documents_stay(
    ada: Resident, bob: Resident, database_url: str
):
    product = ada.product
    for number in range(104):
        await create_session(database_of(product), ada.scope, f"session {number}")
    mine = await memory_of(database_url, ada.user_id)
    theirs = await memory_of(database_url, bob.user_id)
    assert await remembered(database_url, mine) > 0

    answer = await product.client.delete("/v1/account/history")

    assert (answer.status_code, answer.json()) == (200, {"sessions_deleted": 105})
    counts = (await product.client.get("/v1/account")).json()["counts"]
    assert (counts["sessions"], counts["messages"], counts["documents"]) == (0, 0, 1)
    assert await remembered(database_url, mine) == 0
    assert await remembered(database_url, theirs) > 0
    assert (await bob.product.client.get("/v1/account")).json()["counts"]["sessions"] == 1
    assert (await acts(database_url, ada.user_id)).count("history.delete") == 2
    assert await find_in_database(database_url, PHRASE) == []


async def test_wiping_what_is_empty_deletes_nothing_and_is_audited(
    product: Product, database_url: str
):
    answer = await product.client.delete("/v1/account/history")
    assert answer.json() == {"sessions_deleted": 0}
    query = "SELECT * FROM audit_log WHERE action = 'history.delete'"
    [row] = await rows(database_url, query)
    body = orjson.loads(open_body(row, database_of(product).key_ring))
    assert body["details"] == {"sessions": 0}


async def test_a_run_that_is_answering_is_stopped_and_deleted_with_its_session(
    ada: Resident, database_url: str
):
    product = ada.product
    pause = product.model.hang()
    asking = asyncio.create_task(product.stream("wait", session_id="busy"))
    await pause.reached.wait()
    threads = await memory_of(database_url, ada.user_id)

    answer = await product.client.delete("/v1/account/history")

    assert (answer.status_code, answer.json()) == (200, {"sessions_deleted": 2})
    assert (await asking)[-1].data["metadata"]["status"] == "cancelled"
    assert await remembered(database_url, threads) == 0
    assert await count(database_url, "runs") == 0


async def test_a_run_of_another_server_that_does_not_answer_is_ended_with_its_session(
    ada: Resident, database_url: str
):
    product = ada.product
    session = await create_session(database_of(product), ada.scope, "elsewhere")
    await start_run(database_of(product), ada.scope, session)

    answer = await product.client.delete("/v1/account/history")

    assert (answer.status_code, answer.json()) == (200, {"sessions_deleted": 2})
    assert (await product.client.get("/v1/chat/sessions")).json()["total"] == 0
    assert await count(database_url, "runs") == 0


async def test_an_ended_account_leaves_nothing_but_its_audit_trail(
    ada: Resident, bob: Resident, product: Product, database_url: str
):
    group_id = await share(bob, ada)
    document = (await ada.product.client.get("/v1/documents")).json()["documents"][0]
    await rows(
        database_url,
        "UPDATE documents SET group_id = $1 WHERE id = $2 RETURNING 1",
        group_id,
        document["id"],
    )
    assert (await bob.product.client.get("/v1/documents")).json()["total"] == 2
    threads = await memory_of(database_url, ada.user_id)
    before = await belongings(product, database_url, bob.user_id)

    answer = await ada.delete_account()

    assert (answer.status_code, answer.content) == (204, b"")
    left = await belongings(product, database_url, ada.user_id)
    assert set(left) == {"audit_log.actor_id"}
    assert await remembered(database_url, threads) == 0
    assert await find_in_database(database_url, PHRASE) == []
    assert find_in_folder(product.settings.data_dir, PHRASE) == []
    known = await find_in_database(database_url, ada.username)
    assert {place.split(" ")[0] for place in known} == {"public.audit_log.actor_name"}
    assert len(originals(product)) == 1
    done = await acts(database_url, ada.user_id)
    assert done[-3:] == ["account.close", "document.delete", "account.delete"]

    assert await belongings(product, database_url, bob.user_id) == before
    documents = (await bob.product.client.get("/v1/documents")).json()
    assert documents["total"] == 1
    hits = (await bob.product.client.post("/v1/search", json={"query": "walrus ledger"})).json()
    assert [hit["source"]["document_id"] for hit in hits["hits"]] == [
        documents["documents"][0]["id"]
    ]
    refused = await ada.product.client.get("/v1/account")
    assert refused.status_code == 401
    again = await product.client.post("/v1/users", json={"username": ada.username})
    assert again.status_code == 201


async def test_an_account_that_is_answering_ends_its_run_first(
    ada: Resident, database_url: str, product: Product
):
    pause = product.model.hang()
    asking = asyncio.create_task(ada.product.stream("wait", session_id="busy"))
    await pause.reached.wait()

    assert (await ada.delete_account()).status_code == 204

    assert (await asking)[-1].event == "done"
    assert set(await belongings(product, database_url, ada.user_id)) == {"audit_log.actor_id"}
    assert await count(database_url, "checkpoints") == 0


async def test_asking_twice_at_once_is_asking_once(
    ada: Resident, database_url: str, product: Product
):
    answers = await asyncio.gather(*(ada.delete_account() for _ in range(3)))
    assert 204 in {answer.status_code for answer in answers}
    assert {answer.status_code for answer in answers} <= {204, 401, 403, 404}
    assert (await acts(database_url, ada.user_id)).count("account.delete") == 1


async def test_the_root_account_stays(product: Product):
    answer = await product.client.request("DELETE", "/v1/account", json={"confirm": "root"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ROOT_ACCOUNT")


@pytest.mark.parametrize("confirm", ["", "yes", "ROOT"])
async def test_without_ones_own_name_nothing_is_deleted(ada: Resident, confirm: str):
    answer = await ada.delete_account(confirm)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "CONFIRMATION_MISMATCH")
    silent = await ada.product.client.delete("/v1/account")
    assert (silent.status_code, silent.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert (await ada.product.client.get("/v1/account")).json()["counts"]["documents"] == 1


async def test_the_last_admin_of_a_group_with_members_stays_until_there_is_another(
    ada: Resident, bob: Resident, product: Product
):
    group_id = await share(ada, bob)
    alone = await share(ada)

    refused = await ada.delete_account()
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "LAST_GROUP_ADMIN")
    assert refused.json()["error"]["details"] == {"group_ids": [group_id]}
    counts = (await ada.product.client.get("/v1/account")).json()["counts"]
    assert (counts["groups"], counts["documents"]) == (2, 1)

    async with database_of(product).unit_of_work(ada.scope) as uow:
        await uow.memberships.change_role(group_id, bob.user_id, "admin")
        await uow.commit()
    assert (await ada.delete_account()).status_code == 204
    async with database_of(product).unit_of_work(SYSTEM) as uow:
        groups = (await uow.groups.list()).items
    assert [(group.id, group.member_count) for group in groups] == [(group_id, 1)]
    assert alone != group_id


async def test_an_admin_who_cannot_get_in_does_not_count(
    ada: Resident, bob: Resident, product: Product
):
    group_id = await share(ada, bob)
    async with database_of(product).unit_of_work(ada.scope) as uow:
        await uow.memberships.change_role(group_id, bob.user_id, "admin")
        await uow.commit()
    await product.client.patch(f"/v1/users/{bob.user_id}", json={"is_active": False})

    assert (await ada.delete_account()).json()["error"]["code"] == "LAST_GROUP_ADMIN"


async def test_the_last_one_in_a_group_that_has_no_admin_takes_it_along(
    ada: Resident, product: Product, database_url: str
):
    async with database_of(product).unit_of_work(SYSTEM) as uow:
        await uow.groups.sync_from_provider(ada.user_id, ["engineering"])
        await uow.commit()
    assert (await ada.delete_account()).status_code == 204
    assert await count(database_url, "groups") == 0


async def test_two_admins_who_leave_at_once_do_not_leave_a_group_without(
    ada: Resident, bob: Resident, product: Product, database_url: str
):
    carol = await move_in(product, "carol")
    group_id = await share(ada, bob, carol)
    async with database_of(product).unit_of_work(ada.scope) as uow:
        await uow.memberships.change_role(group_id, bob.user_id, "admin")
        await uow.commit()

    answers = await asyncio.gather(ada.delete_account(), bob.delete_account())

    assert sorted(answer.status_code for answer in answers) == [204, 409]
    members = await rows(database_url, "SELECT role FROM group_members ORDER BY role")
    assert [row["role"] for row in members] == ["admin", "member"]
    await carol.product.client.aclose()


async def test_a_deletion_whose_database_went_away_is_taken_up_at_the_next_start(
    tmp_path, embedded_database, scripted_model
):
    settings = settings_for(tmp_path, embedded_database.url, scripted_model)
    secrets = new_secrets()
    async with open_product(settings, secrets, scripted_model) as product:
        ada = await move_in(product, PHRASE)
        # Somebody holds a session, so that the deletion stands still with the documents gone.
        holder = await asyncpg.connect(embedded_database.url)
        await holder.execute("BEGIN; SELECT 1 FROM chat_sessions FOR UPDATE")
        deleting = asyncio.create_task(ada.delete_account())
        await somebody_waits(embedded_database.url)
        await embedded_database.stop()
        answer = await deleting
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert "closed" in answer.json()["error"]["message"]
        await holder.close()
        await ada.product.client.aclose()
        await embedded_database.start()

    url = embedded_database.url
    assert await rows(url, "SELECT 1 FROM chat_sessions WHERE user_id = $1", ada.user_id)
    async with open_product(settings, secrets, scripted_model) as product:
        await gone(product, url, ada.user_id)
        left = await belongings(product, url, ada.user_id)
    assert set(left) == {"audit_log.actor_id"}
    assert await count(url, "checkpoints") == 0
    assert originals(product) == []
    assert (await acts(url, ada.user_id))[-1] == "account.delete"


async def somebody_waits(url: str) -> None:
    async with asyncio.timeout(ENDS_SECONDS):
        while not await rows(
            url,
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname IS NOT NULL",
        ):
            await asyncio.sleep(0)


async def test_an_account_whose_process_was_killed_while_closing_is_ended_at_the_next_start(
    tmp_path, database_url: str, scripted_model
):
    settings = settings_for(tmp_path, database_url, scripted_model)
    secrets = new_secrets()
    async with open_product(settings, secrets, scripted_model) as product:
        ada = await move_in(product, PHRASE)
        key = ada.product.client.headers["Authorization"].split()[1]
        await ada.product.client.aclose()
        async with database_of(product).unit_of_work(ada.scope) as uow:
            await uow.users.begin_closing(ada.user_id)
            await uow.commit()
    async with open_product(settings, secrets, scripted_model) as product:
        async with client_for(product.url, key) as client:
            assert (await client.get("/v1/account")).status_code == 401
        await gone(product, database_url, ada.user_id)
        left = await belongings(product, database_url, ada.user_id)
    assert set(left) == {"audit_log.actor_id"}
    assert originals(product) == []


async def test_a_deletion_that_cannot_remove_an_original_is_taken_up_when_it_can(
    tmp_path, database_url: str, scripted_model
):
    """A document's row is let go last, so that nothing is left that no row knows of."""
    settings = settings_for(tmp_path, database_url, scripted_model)
    secrets = new_secrets()
    async with open_product(settings, secrets, scripted_model) as product:
        ada = await move_in(product, PHRASE)
        [name] = originals(product)
        original = settings.data_dir / "blobs" / name[:2] / name
        original.rename(tmp_path / name)
        original.mkdir()  # which nobody removes like a file

        answer = await ada.delete_account()

        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert "documents.owner_id" in await belongings(product, database_url, ada.user_id)
        assert (await ada.product.client.get("/v1/account")).status_code == 401
        await ada.product.client.aclose()
    original.rmdir()
    (tmp_path / name).rename(original)
    async with open_product(settings, secrets, scripted_model) as product:
        await gone(product, database_url, ada.user_id)
        left = await belongings(product, database_url, ada.user_id)
    assert set(left) == {"audit_log.actor_id"}
    assert originals(product) == []


async def test_an_export_whose_database_goes_away_does_not_pass_for_a_whole_one(
    tmp_path, embedded_database, scripted_model
):
    settings = settings_for(tmp_path, embedded_database.url, scripted_model)
    async with open_product(settings, new_secrets(), scripted_model) as product:
        ada = await move_in(product, PHRASE)
        for _ in range(101):  # more than a page, so that the database is asked again
            blob = await product.resources.account._blobs.put(os.urandom(1 << 18))
            async with database_of(product).unit_of_work(ada.scope) as uow:
                await uow.documents.create(
                    title="t", filename="f", mime="x/y", size_bytes=1, content_hash=blob, blob=blob
                )
                await uow.commit()
        received = await receive_while(ada.product.client, embedded_database.stop)
        with pytest.raises(BadZipFile):
            ZipFile(BytesIO(received))
        await ada.product.client.aclose()
        await embedded_database.start()


async def receive_while(client: httpx.AsyncClient, happen) -> bytes:
    """What arrives of an export when something happens after its first piece."""
    received = bytearray()
    with pytest.raises(httpx.HTTPError):  # noqa: PT012
        async with client.stream("GET", "/v1/account/export") as answer:
            async for piece in answer.aiter_raw():
                if not received:
                    await happen()
                received += piece
    return bytes(received)
