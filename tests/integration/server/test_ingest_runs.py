"""Uploads as jobs, over real HTTP: waited for, followed, cancelled, replaced."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from server.cli.events import read_events
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.product import Product, new_secrets, open_product, settings_for
from tests.integration.server.people import open_person

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = "The walnut lighthouse opens in March."
ENDS_SECONDS = 20
AT_ONCE = {"Prefer": "wait=0"}
MAX_WAITING_BYTES = 200_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_product(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Product]:
    """A product that reads from a folder of its own and takes little at a time."""
    database_url = postgres_server.lend()
    folder = tmp_path_factory.mktemp("product")
    (folder / "shelf").mkdir()
    async with ScriptedOllama() as model:
        settings = settings_for(folder, database_url, model)
        settings = settings.model_copy(
            update={
                "ingest": settings.ingest.model_copy(update={"roots": (folder / "shelf",)}),
                "jobs": settings.jobs.model_copy(
                    update={"max_waiting_bytes": MAX_WAITING_BYTES, "attempts": 8}
                ),
            }
        )
        async with open_product(settings, new_secrets(), model) as running:
            yield running
    postgres_server.take_back(database_url)


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


def files(*texts: str) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (f"{n}.txt", text.encode())) for n, text in enumerate(texts)]


async def give(product: Product, *texts: str) -> str:
    """Uploads without waiting; returns the run's address."""
    answer = await product.client.post("/v1/ingest/upload", files=files(*texts), headers=AT_ONCE)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/ingest/runs/{answer.json()['run_id']}"
    return str(answer.headers["Location"])


async def events(client: httpx.AsyncClient, run: str, after: int = 0) -> list[Any]:
    headers = {"Last-Event-ID": str(after)}
    async with asyncio.timeout(ENDS_SECONDS):
        answer = await client.get(f"{run}/events", headers=headers)
    assert answer.status_code == 200, answer.text
    return list(read_events(answer.text.split("\n")))


async def end_of(product: Product, run: str) -> dict[str, Any]:
    return dict((await events(product.client, run))[-1].data)


async def hits(product: Product, query: str) -> list[Any]:
    answer = await product.client.post("/v1/search", json={"query": query})
    return list(answer.json()["hits"])


def originals(product: Product) -> list[str]:
    blobs = product.settings.data_dir / "blobs"
    return sorted(path.name for path in blobs.rglob("*") if path.is_file())


@asynccontextmanager
async def standing_still(product: Product, *texts: str) -> AsyncIterator[tuple[str, Any]]:
    """A run whose first file waits for the embedding model, with what lets it go on."""
    pause = product.model.hang_embedding()
    run = await give(product, *texts)
    async with asyncio.timeout(ENDS_SECONDS):
        await pause.reached.wait()
    try:
        yield run, pause
    finally:
        pause.release()


async def test_whoever_does_not_wait_is_told_where_to_look(product: Product):
    run = await give(product, WORDS, "Nothing but pears.")

    report = await end_of(product, run)

    assert (report["status"], report["files_processed"]) == ("success", 2)
    assert (await product.client.get(run)).json() == report
    assert len(await hits(product, "walnut lighthouse")) == 1


async def test_whoever_waits_long_enough_gets_the_whole_run(product: Product):
    answer = await product.client.post(
        "/v1/ingest/upload", files=files(WORDS), headers={"Prefer": "wait=600"}
    )
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=60"
    assert answer.json()["unfinished"] == []


async def test_a_client_that_goes_away_does_not_stop_the_work(product: Product):
    pause = product.model.hang_embedding()
    asking = asyncio.create_task(product.client.post("/v1/ingest/upload", files=files(WORDS)))
    async with asyncio.timeout(ENDS_SECONDS):
        await pause.reached.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        [run] = (await product.client.get("/v1/ingest/runs")).json()["runs"]
        pause.release()

    report = await end_of(product, f"/v1/ingest/runs/{run['run_id']}")

    assert report["status"] == "success"


async def test_progress_is_told_while_a_file_is_worked_on(product: Product):
    async with standing_still(product, WORDS) as (run, _):
        seen = []
        async with asyncio.timeout(ENDS_SECONDS):
            async with product.client.stream("GET", f"{run}/events") as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data:"):
                        seen.append(json.loads(line.removeprefix("data:")))
                        if seen[-1]["status"] == "indexing":
                            break
    assert seen[-1]["progress"] == {"done": 0, "total": 1, "unit": "chunks"}
    assert (await end_of(product, run))["status"] == "success"


async def test_events_go_on_after_the_last_one_that_a_client_has(product: Product):
    async with standing_still(product, WORDS, "Pears.") as (run, pause):
        lines: list[str] = []
        async with asyncio.timeout(ENDS_SECONDS):
            async with product.client.stream("GET", f"{run}/events") as answer:
                async for line in answer.aiter_lines():
                    lines.append(line)
                    if not line and any(each.startswith("id:") for each in lines):
                        break
        pause.release()
        first = list(read_events(lines))
        rest = await events(product.client, run, after=first[-1].id or 0)
    states = {each.data["path"]: each.data["status"] for each in [*first, *rest[:-1]]}
    assert states == {"0.txt": "indexed", "1.txt": "indexed"}
    assert rest[-1].event == "done"
    numbers = [each.id for each in rest]
    assert numbers == sorted(numbers, key=int)
    again = await events(product.client, run, after=rest[-1].id or 0)
    assert again[-1].data == rest[-1].data


async def test_a_cancelled_run_leaves_nothing_but_what_was_searchable(product: Product):
    before = originals(product)
    async with standing_still(product, WORDS) as (run, _):
        answer = await product.client.post(f"{run}/cancel")
    report = answer.json()

    assert (report["status"], report["files"]) == ("cancelled", [])
    assert [error["code"] for error in report["errors"]] == ["INGEST_CANCELLED"]
    assert (await product.client.get("/v1/documents")).json()["total"] == 0
    assert originals(product) == before
    assert await hits(product, "walnut lighthouse") == []
    assert (await product.client.post(f"{run}/cancel")).json() == report
    assert (await product.upload("again.txt", WORDS.encode()))["success"] is True


async def test_the_files_of_one_user_leave_a_place_for_those_of_another(
    product: Product, shared_product: Product
):
    most = product.settings.database.files_per_user
    async with AsyncExitStack() as stack:
        for number in range(most):
            await stack.enter_async_context(standing_still(product, f"{WORDS} {number}"))
        behind = await give(product, *(f"Plum {n} is blue." for n in range(5)))

        answer = await shared_product.upload("other.txt", f"Figs of {uuid4()}.".encode())

        assert answer["status"] == "success"
        waiting = (await product.client.get(behind)).json()["unfinished"]
        assert [each["status"] for each in waiting] == ["waiting"] * 5
    assert (await end_of(product, behind))["files_processed"] == 5


async def test_another_user_finds_no_run(product: Product, shared_product: Product):
    run = await give(product, WORDS)
    await end_of(product, run)
    missing = f"/v1/ingest/runs/{uuid4()}"
    async with await shared_product.new_user(f"other-{uuid4().hex}") as other:
        for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel")):
            theirs = await other.request(method, run + path)
            assert theirs.status_code == 404
            assert theirs.json() == (await other.request(method, missing + path)).json()
        assert (await other.get("/v1/ingest/runs")).json()["total"] == 0


async def test_more_than_may_wait_is_refused_and_not_kept(product: Product):
    before = originals(product)
    answer = await product.client.post(
        "/v1/ingest/upload", files=files("pear " * MAX_WAITING_BYTES)
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "INGEST_QUEUE_FULL")
    assert originals(product) == before


async def test_work_goes_on_when_the_embedding_model_is_back(product: Product):
    await product.model.stop()
    run = await give(product, WORDS)
    async with asyncio.timeout(ENDS_SECONDS):
        while not any(
            file["attempts"] > 1 for file in (await product.client.get(run)).json()["unfinished"]
        ):
            await asyncio.sleep(0)
    await product.model.start()

    assert (await end_of(product, run))["status"] == "success"
    assert len(await hits(product, "walnut lighthouse")) == 1


async def test_what_a_locked_out_user_has_waiting_is_not_begun(shared_product: Product):
    async with open_person(shared_product, f"bob-{uuid4().hex}") as bob:
        mine = replace(shared_product, client=bob.client)
        async with standing_still(mine, WORDS, "Pears.", "Plums.", "Figs.", "Nuts.") as (run, _):
            await shared_product.client.patch(f"/v1/users/{bob.id}", json={"is_active": False})
            await shared_product.client.patch(f"/v1/users/{bob.id}", json={"is_active": True})
        report = await end_of(mine, run)
        assert report["status"] == "cancelled"
        assert {error["code"] for error in report["errors"]} == {"NOT_AUTHENTICATED"}


async def put(product: Product, document_id: int, text: str) -> dict[str, Any]:
    answer = await product.client.put(
        f"/v1/documents/{document_id}/content", files={"file": ("new.txt", text.encode())}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


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


async def take_from(product: Product, place: Path, **more: Any) -> httpx.Response:
    body = {"path_or_url": str(place), **more}
    return await product.client.post("/v1/ingest/path", json=body)


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


async def test_a_place_that_is_not_open_ends_as_one_error(shared_product: Product, tmp_path: Path):
    (tmp_path / "a.txt").write_text(WORDS)
    report = (await take_from(shared_product, tmp_path)).json()
    assert (report["status"], report["files"]) == ("error", [])
    assert [error["code"] for error in report["errors"]] == ["PATH_NOT_FOUND"]


async def test_only_root_names_paths_of_the_server(product: Product, shelf: Path):
    answer = await take_from(product, shelf)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "NOT_AUTHORIZED")


async def test_an_address_that_leads_nowhere_is_one_error(product: Product):
    body = {"path_or_url": "http://127.0.0.1:1/secret.txt", "from_web": True}
    report = (await product.client.post("/v1/ingest/path", json=body)).json()
    assert report["status"] == "error"
    assert report["errors"][0]["code"].startswith("URL_")
