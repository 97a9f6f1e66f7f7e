"""Uploads as jobs, over real HTTP: waited for, followed, cancelled."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from persistence.access import AccessScope
from persistence.ingest_records import IngestFailure, IngestOrder, NewIngestFile
from server.cli.events import read_events
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.product import Product
from tests.integration.server.giving import (
    ENDS_SECONDS,
    WORDS,
    end_of,
    events,
    give,
    hits,
    new_files,
    open_shelf_product,
    originals,
    standing_still,
    take_from,
)
from tests.integration.server.people import open_person

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_WAITING_BYTES = 200_000
MAX_WAITING_FILES = 100


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_product(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Product]:
    """A product that takes little at a time."""
    folder = tmp_path_factory.mktemp("product")
    async with open_shelf_product(
        postgres_server,
        folder,
        max_waiting_bytes=MAX_WAITING_BYTES,
        max_waiting_files=MAX_WAITING_FILES,
        attempts=8,
    ) as running:
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


async def test_whoever_does_not_wait_is_told_where_to_look(product: Product):
    run = await give(product, WORDS, "Nothing but pears.")

    report = await end_of(product, run)

    assert (report["status"], report["files_processed"]) == ("success", 2)
    assert (await product.client.get(run)).json() == report
    assert len(await hits(product, "walnut lighthouse")) == 1


async def test_whoever_prefers_an_answer_at_once_has_it(product: Product):
    answer = await product.client.post(
        "/v1/ingest/upload", files=new_files(WORDS), headers={"Prefer": "respond-async"}
    )
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    await end_of(product, answer.headers["Location"])


async def test_whoever_waits_long_enough_gets_the_whole_run(product: Product):
    answer = await product.client.post(
        "/v1/ingest/upload", files=new_files(WORDS), headers={"Prefer": "wait=600"}
    )
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=60"
    assert answer.json()["unfinished"] == []


async def test_a_client_that_goes_away_does_not_stop_the_work(product: Product):
    pause = product.model.hang_embedding()
    asking = asyncio.create_task(product.client.post("/v1/ingest/upload", files=new_files(WORDS)))
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
    ended, _ = await events(product.client, run)
    assert ended.data["progress"] == {"done": 1, "total": 1, "unit": "chunks"}


async def test_an_address_needs_no_word_that_it_is_one(product: Product):
    body = {"path_or_url": "HTTPS://127.0.0.1:1/handbook"}
    report = (await product.client.post("/v1/ingest/path", json=body)).json()
    said = (await product.client.post("/v1/ingest/path", json=body | {"from_web": True})).json()

    assert [each["path"] for each in report["errors"]] == [body["path_or_url"]]
    assert report["errors"] == said["errors"]
    assert report["errors"][0]["code"] != "PATH_NOT_ALLOWED"


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
        "/v1/ingest/upload", files=new_files("pear " * MAX_WAITING_BYTES)
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


async def test_a_run_of_many_files_is_told_of_in_pieces(product: Product):
    user_id = (await product.client.get("/v1/account")).json()["user"]["id"]
    refusal = IngestFailure(code="UNREADABLE_DOCUMENT", message="No.")
    given = [NewIngestFile(kind="upload", name=f"{n}", refusal=refusal) for n in range(1_203)]
    scope = AccessScope(user_id=user_id)
    async with product.resources.account._database.unit_of_work(scope) as uow:
        run = await uow.ingest_runs.create(IngestOrder(), given)
        await uow.commit()

    first = (await product.client.get(f"/v1/ingest/runs/{run.id}")).json()
    rest = (
        await product.client.get(
            f"/v1/ingest/runs/{run.id}", params={"offset": first["next_offset"]}
        )
    ).json()
    told = await events(product.client, f"/v1/ingest/runs/{run.id}")

    names = [file.name for file in given]
    assert [each["path"] for each in [*first["errors"], *rest["errors"]]] == names
    assert (len(first["errors"]), first["totals"]["files"]) == (1_000, 1_203)
    assert rest["next_offset"] is None
    assert [each.data["path"] for each in told[:-1]] == names
    assert told[-1].data == first
    assert {each.id for each in told[:1_000]} == {None}  # whoever leaves there begins anew


async def test_a_folder_with_more_than_may_wait_is_one_error(shared_product: Product, shelf: Path):
    for number in range(MAX_WAITING_FILES):
        (shelf / f"{number}.txt").touch()
    report = (await take_from(shared_product, shelf)).json()
    assert [error["code"] for error in report["errors"]] == ["INGEST_QUEUE_FULL"]
