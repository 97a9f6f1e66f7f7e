"""Another content in the place of a document's, over real HTTP: in force whole, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from persistence.access import AccessScope
from persistence.database import Database
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.product import Product
from tests.integration.server.giving import (
    AT_ONCE,
    ENDS_SECONDS,
    WORDS,
    end_of,
    hits,
    open_shelf_product,
    originals,
    put,
    standing_still,
    take_from,
)
from tests.integration.server.people import make_group, open_person

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER_WORDS = "The plum windmill closes in June."
# What is in the index by then stays there: only the database undoes what it was told.
_REFUSAL = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$;
CREATE CONSTRAINT TRIGGER refusal AFTER UPDATE ON documents DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.blob <> OLD.blob) EXECUTE FUNCTION refuse();
"""
_NO_REFUSAL = "DROP TRIGGER refusal ON documents; DROP FUNCTION refuse()"
CONFLICT, FAULT = "40001", "XX000"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_product(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Product]:
    """A product that tries again after long pauses."""
    folder = tmp_path_factory.mktemp("product")
    async with open_shelf_product(postgres_server, folder, retry_seconds=300.0) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product: Product) -> AsyncIterator[Product]:
    """The product as a user of this test's own sees it."""
    async with await shared_product.new_user(f"user-{uuid4().hex}") as client:
        yield replace(shared_product, client=client)


@pytest.fixture
def shelf(shared_product: Product) -> Path:
    """A folder that the server reads from."""
    folder: Path = shared_product.settings.ingest.roots[0] / uuid4().hex
    folder.mkdir()
    return folder


def database_of(product: Product) -> Database:
    database: Database = product.resources.account._database
    return database


@asynccontextmanager
async def refusing(product: Product, sqlstate: str) -> AsyncIterator[None]:
    """No document is given another content, and the database says so when that is committed."""
    connection = await asyncpg.connect(database_of(product).dsn)
    await connection.execute(_REFUSAL.format(sqlstate=sqlstate))
    try:
        yield
    finally:
        await connection.execute(_NO_REFUSAL)
        await connection.close()


async def give_content(product: Product, document_id: int, text: str) -> str:
    """Gives another content without waiting; returns the run's address."""
    answer = await product.client.put(
        f"/v1/documents/{document_id}/content",
        files={"file": ("new.txt", text.encode())},
        headers=AT_ONCE,
    )
    assert answer.status_code == 202, answer.text
    return str(answer.headers["Location"])


async def state_of(product: Product, run: str, status: str, attempts: int) -> None:
    """Waits until the run's file is so far."""
    async with asyncio.timeout(ENDS_SECONDS):
        while True:
            [file] = (await product.client.get(run)).json()["unfinished"]
            if (file["status"], file["attempts"]) == (status, attempts):
                return
            await asyncio.sleep(0.02)


async def document_of(product: Product, name: str, text: str) -> int:
    taken: Any = await product.upload(name, text.encode())
    return int(taken["files"][0]["document_id"])


async def test_a_document_is_given_another_content_in_its_place(product: Product):
    taken: Any = await product.upload("handbook.txt", WORDS.encode(), tags='["house"]')
    document_id = taken["files"][0]["document_id"]
    before = originals(product)

    replaced = await put(product, document_id, "The plum windmill closes in June.")

    assert replaced["files"][0]["document_id"] == document_id
    assert await hits(product, "walnut lighthouse") == []
    [hit] = await hits(product, "plum windmill closes")
    assert hit["source"]["document_id"] == document_id
    document = (await product.client.get(f"/v1/documents/{document_id}")).json()
    assert (document["filename"], document["tags"]) == ("new.txt", ["house"])
    async with asyncio.timeout(ENDS_SECONDS):  # the old one goes when the new one is in force
        while len(originals(product)) > len(before):
            await asyncio.sleep(0.02)
    assert (await put(product, document_id, "The plum windmill closes in June."))["files"][0][
        "status"
    ] == "unchanged"


async def test_the_content_of_another_document_is_refused_by_name(product: Product):
    first: Any = await product.upload("first.txt", WORDS.encode())
    await product.upload("second.txt", b"The plum windmill closes in June.")

    refused = await put(
        product, first["files"][0]["document_id"], "The plum windmill closes in June."
    )

    assert [error["code"] for error in refused["errors"]] == ["DOCUMENT_EXISTS"]
    assert len(await hits(product, "walnut lighthouse")) == 1


async def test_a_content_that_cannot_be_read_leaves_the_old_one(product: Product):
    taken: Any = await product.upload("handbook.txt", WORDS.encode())
    before = originals(product)

    refused = await put(product, taken["files"][0]["document_id"], "")

    assert [error["code"] for error in refused["errors"]] == ["EMPTY_DOCUMENT"]
    assert len(await hits(product, "walnut lighthouse")) == 1
    async with asyncio.timeout(ENDS_SECONDS):  # it goes a moment after the end
        while originals(product) != before:
            await asyncio.sleep(0.01)


async def test_a_folder_is_taken_in_and_again_where_it_has_changed(
    shared_product: Product, shelf: Path
):
    (shelf / "a.txt").write_text(f"Alpha. {WORDS}")
    (shelf / "b.txt").write_text("Beta. The plum windmill closes in June.")
    (shelf / "deep").mkdir()
    (shelf / "deep" / "c.txt").write_text("Gamma.")

    first = (await take_from(shared_product, shelf)).json()
    (shelf / "b.txt").write_text("Beta. The fig bridge lifts in July.")
    second = (await take_from(shared_product, shelf, recursive=True)).json()

    ids = {file["path"]: file["document_id"] for file in first["files"]}
    assert set(ids) == {str(shelf / "a.txt"), str(shelf / "b.txt")}
    status = {file["path"]: file["status"] for file in second["files"]}
    assert status[str(shelf / "a.txt")] == "unchanged"
    assert status[str(shelf / "b.txt")] == "indexed"
    assert {f["path"]: f["document_id"] for f in second["files"]}.items() >= ids.items()
    assert str(shelf / "deep" / "c.txt") in status
    assert await hits(shared_product, "plum windmill closes") == []
    assert len(await hits(shared_product, "fig bridge lifts in July")) >= 1


async def test_a_replacement_that_broke_off_is_cancelled_and_the_old_content_found_again(
    product: Product,
):
    document_id = await document_of(product, "handbook.txt", WORDS)
    before = originals(product)
    async with refusing(product, CONFLICT):
        run = await give_content(product, document_id, OTHER_WORDS)
        await state_of(product, run, "waiting", 1)
        assert await hits(product, "walnut lighthouse") == []  # it is half in force

        cancelled = await product.client.post(f"{run}/cancel")
        report = await end_of(product, run)

    assert cancelled.json()["errors"] == []
    assert (report["status"], report["errors"][0]["code"]) == ("cancelled", "INGEST_CANCELLED")
    assert len(await hits(product, "walnut lighthouse")) == 1
    assert await hits(product, "plum windmill closes") == []
    document = (await product.client.get(f"/v1/documents/{document_id}")).json()
    assert (document["filename"], document["status"]) == ("handbook.txt", "indexed")
    await left(product, before)


async def test_a_replacement_that_is_given_up_leaves_the_old_content_in_force(product: Product):
    document_id = await document_of(product, "handbook.txt", WORDS)
    before = originals(product)
    async with refusing(product, FAULT):
        run = await give_content(product, document_id, OTHER_WORDS)
        report = await end_of(product, run)

    assert (report["status"], len(report["errors"])) == ("error", 1)
    assert len(await hits(product, "walnut lighthouse")) == 1
    assert await hits(product, "plum windmill closes") == []
    await left(product, before)


async def test_a_replacement_in_the_middle_of_which_its_user_is_locked_out_ends(
    shared_product: Product,
):
    async with open_person(shared_product, "bob") as bob:
        mine = replace(shared_product, client=bob.client)
        document_id = await document_of(mine, "handbook.txt", WORDS)
        connection = await asyncpg.connect(database_of(mine).dsn)
        async with connection.transaction():
            held = "SELECT FROM documents WHERE id = $1 FOR NO KEY UPDATE"
            await connection.execute(held, document_id)
            run = await give_content(mine, document_id, OTHER_WORDS)
            await settling(connection, document_id)
            for is_active in (False, True):
                await shared_product.client.patch(
                    f"/v1/users/{bob.id}", json={"is_active": is_active}
                )
        await connection.close()
        report = await end_of(mine, run)

        assert report["status"] == "cancelled"
        assert [error["code"] for error in report["errors"]] == ["NOT_AUTHENTICATED"]
        assert len(await hits(mine, "walnut lighthouse")) == 1


async def test_no_content_takes_the_place_of_one_that_is_not_searchable_yet(product: Product):
    async with standing_still(product, WORDS) as (run, _):
        [document] = (await product.client.get("/v1/documents")).json()["documents"]
        refused = await product.client.put(
            f"/v1/documents/{document['id']}/content", files={"file": ("n.txt", b"Pears.")}
        )
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "INGEST_IN_PROGRESS")
    assert (await end_of(product, run))["status"] == "success"


async def test_a_title_that_somebody_gave_outlives_the_content(product: Product):
    page = "<title>{}</title><p>{}</p>"
    document_id = await document_of(product, "a.html", page.format("Opening", WORDS))
    path = f"/v1/documents/{document_id}"

    await put(product, document_id, page.format("Closing", OTHER_WORDS), name="b.html")
    titles = [(await product.client.get(path)).json()["title"]]
    await product.client.patch(path, json={"title": "Our houses"})
    await put(product, document_id, page.format("Lifting", "The fig bridge lifts."), name="c.html")
    titles.append((await product.client.get(path)).json()["title"])

    assert titles == ["Closing", "Our houses"]


async def test_a_document_that_was_just_given_another_content_is_deleted_with_that(
    product: Product,
):
    before = originals(product)
    document_id = await document_of(product, "handbook.txt", WORDS)
    user = (await product.client.get("/v1/account")).json()["user"]
    scope = AccessScope(user_id=user["id"])
    async with database_of(product).unit_of_work(scope) as uow:
        as_it_was = await uow.documents.get(document_id)
    await put(product, document_id, OTHER_WORDS)

    await product.resources.documents._eraser.erase(scope, as_it_was)

    await left(product, before)


async def test_its_owner_alone_is_told_where_a_document_is_from(
    shared_product: Product, shelf: Path
):
    (shelf / "a.txt").write_text(f"{shelf}: {WORDS}")
    report = (await take_from(shared_product, shelf / "a.txt")).json()
    path = f"/v1/documents/{report['files'][0]['document_id']}"
    async with open_person(shared_product, "bob") as bob:
        group_id = await make_group(bob)
        me = (await shared_product.client.get("/v1/account")).json()["user"]["id"]
        added = {"user_id": me, "role": "member"}
        await bob.client.post(f"/v1/groups/{group_id}/members", json=added)
        mine = (await shared_product.client.patch(path, json={"group_id": group_id})).json()
        theirs = (await bob.client.get(path)).json()
    assert (mine["source"], theirs["source"]) == (str(shelf / "a.txt"), None)


async def test_a_file_that_was_given_another_name_keeps_its_content(
    shared_product: Product, shelf: Path
):
    (shelf / "log").write_text(f"{shelf}: {WORDS}")
    await take_from(shared_product, shelf)
    (shelf / "log").rename(shelf / "log.1")
    (shelf / "log").write_text(f"{shelf}: {OTHER_WORDS}")

    for name in ("log.1", "log"):
        await take_from(shared_product, shelf / name)

    for text in (WORDS, OTHER_WORDS):
        found = await hits(shared_product, f"{shelf}: {text}")
        assert any(hit["snippet"] == f"{shelf}: {text}" for hit in found)


async def left(product: Product, before: list[str]) -> None:
    """Waits until the originals are those of before: one goes a moment after the end."""
    async with asyncio.timeout(ENDS_SECONDS):
        while originals(product) != before:
            await asyncio.sleep(0.02)


async def settling(connection: Any, document_id: int) -> None:
    """Waits until a content is about to be put in the place of a document's."""
    async with asyncio.timeout(ENDS_SECONDS):
        while not await connection.fetchval(
            "SELECT count(*) FROM ingest_files WHERE document_id = $1 AND is_settling", document_id
        ):
            await asyncio.sleep(0.02)
