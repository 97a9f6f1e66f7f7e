"""Files come to their end once, whatever becomes of who works on them."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.ingest_records import IngestOrder, NewIngestFile, TakenFile
from persistence.notifications import Notifications, open_notifications
from server.cli.events import read_events
from server.errors import ConfigurationError
from server.ingestion_parts import IngestionBase, IngestionParts, build_ingestion
from server.jobs.runner import keep_jobs
from server.settings import Settings
from server.worker_bootstrap import open_worker
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.product import (
    Product,
    StoppableDatabase,
    client_for,
    new_secrets,
    open_product,
    settings_for,
)
from tests.fixtures.rows import SYSTEM
from tests.fixtures.served import Served
from tests.integration.server.giving import open_shelf_product, take_from

ENDS_SECONDS = 40
WORDS = "The walnut lighthouse opens in March."
QUICK = {"heartbeat_seconds": 0.2, "stalled_seconds": 1.0, "poll_seconds": 0.5}


def quickly(settings: Settings, **more: Any) -> Settings:
    jobs = settings.jobs.model_copy(update={**QUICK, **more})
    return settings.model_copy(update={"jobs": jobs})


async def give(client: Any, *texts: str) -> str:
    answer = await client.post(
        "/v1/ingest/upload",
        files=[("files", (f"{n}.txt", text.encode())) for n, text in enumerate(texts)],
        headers={"Prefer": "wait=0"},
    )
    assert answer.status_code == 202, answer.text
    return str(answer.headers["Location"])


async def end_of(client: Any, run: str) -> dict[str, Any]:
    async with asyncio.timeout(ENDS_SECONDS):
        answer = await client.get(f"{run}/events")
    assert answer.status_code == 200, answer.text
    return dict(list(read_events(answer.text.split("\n")))[-1].data)


@asynccontextmanager
async def another_worker(product: Product) -> AsyncIterator[IngestionParts]:
    """A second worker on the product's queue, as another process would be."""
    database: Database = product.resources.account._database
    async with AsyncExitStack() as stack:
        notifications: Notifications = await stack.enter_async_context(
            open_notifications(database.dsn)
        )
        parts = build_ingestion(
            IngestionBase(
                settings=product.settings,
                database=database,
                notifications=notifications,
                revocation=product.resources.revocation,
                retriever=product.resources.documents._retriever,
                pipeline=product.resources.pipeline,
                blobs=product.resources.account._blobs,
            )
        )
        await stack.enter_async_context(keep_jobs(parts.runner))
        yield parts


async def test_a_file_whose_worker_is_killed_is_taken_over_and_searchable_once(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
):
    secrets = new_secrets()
    settings = quickly(settings_for(tmp_path, database_url, scripted_model))
    served = Served(
        tmp_path,
        DATABASE__URL=database_url,
        LLM__OLLAMA_BASE_URL=scripted_model.base_url,
        LLM__CHAT_MODEL="scripted",
        AGENT__TITLES="false",
        JOBS__HEARTBEAT_SECONDS="0.2",
        SECURITY__ROOT_API_KEY=secrets.root_api_key,
        SECURITY__JWT_SECRET=secrets.jwt_secret,
        SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET=secrets.encryption_keys,
    )
    await asyncio.to_thread(served.start)
    pause = scripted_model.hang_embedding()
    async with client_for(served.url, secrets.root_api_key) as client:
        run = await give(client, WORDS)
        async with asyncio.timeout(ENDS_SECONDS):
            await pause.reached.wait()
    await asyncio.to_thread(served.stop, signal.SIGKILL)

    async with open_product(settings, secrets, scripted_model) as product:
        report = await end_of(product.client, run)
        found = await product.client.post("/v1/search", json={"query": "walnut lighthouse"})
        listed = (await product.client.get("/v1/documents")).json()

    assert (report["status"], report["chunks_written"]) == ("success", 1)
    assert [hit["snippet"] for hit in found.json()["hits"]] == [WORDS]
    assert [document["status"] for document in listed["documents"]] == ["indexed"]


@pytest.fixture
async def quick_product(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
) -> AsyncIterator[Product]:
    settings = quickly(settings_for(tmp_path, database_url, scripted_model))
    async with open_product(settings, new_secrets(), scripted_model) as running:
        yield running


async def test_of_two_workers_each_takes_files_and_none_is_taken_twice(quick_product: Product):
    texts = [f"Pear number {n} is ripe in week {n}." for n in range(40)]
    async with another_worker(quick_product):
        runs = [await give(quick_product.client, *texts[n : n + 10]) for n in range(0, 40, 10)]
        reports = [await end_of(quick_product.client, run) for run in runs]

    assert [report["files_processed"] for report in reports] == [10] * 4
    asked = [text for each in quick_product.model.embed_requests for text in each.body["input"]]
    assert sorted(text for text in asked if text != "dimension") == sorted(texts)


async def test_a_worker_that_stops_gives_its_file_back_at_once(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
):
    settings = quickly(
        settings_for(tmp_path, database_url, scripted_model),
        in_api=False,
        poll_seconds=600.0,
        stalled_seconds=600.0,
        max_crashes=1,
    )
    async with open_product(settings, new_secrets(), scripted_model) as product:
        pause = scripted_model.hang_embedding()
        async with another_worker(product):
            run = await give(product.client, WORDS)
            async with asyncio.timeout(ENDS_SECONDS):
                await pause.reached.wait()
        [left] = (await product.client.get(run)).json()["unfinished"]
        async with another_worker(product):
            report = await end_of(product.client, run)

    assert (left["status"], left["document_id"]) == ("waiting", None)
    assert report["status"] == "success"


async def take(database: Database, file_id: UUID) -> TakenFile:
    """Take a file and never be heard of again."""
    async with database.unit_of_work(SYSTEM) as uow:
        taken = await uow.ingest_files.take(file_id)
        await uow.commit()
    assert taken is not None
    return taken


async def test_a_file_over_which_workers_die_is_given_up(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
):
    settings = quickly(settings_for(tmp_path, database_url, scripted_model), in_api=False)
    async with open_product(settings, new_secrets(), scripted_model) as product:
        database: Database = product.resources.account._database
        run = await give(product.client, WORDS)
        [file] = (await product.client.get(run)).json()["unfinished"]
        for _ in range(settings.jobs.max_crashes):
            await take(database, UUID(file["file_id"]))
        async with another_worker(product):
            report = await end_of(product.client, run)
        blobs = [path for path in (settings.data_dir / "blobs").rglob("*") if path.is_file()]

    assert [error["code"] for error in report["errors"]] == ["INGEST_CRASHED"]
    assert blobs == []


async def test_a_worker_that_has_lost_its_file_writes_nothing_of_it(quick_product: Product):
    database: Database = quick_product.resources.account._database
    pause = quick_product.model.hang_embedding()
    run = await give(quick_product.client, WORDS)
    async with asyncio.timeout(ENDS_SECONDS):
        await pause.reached.wait()
    [file] = (await quick_product.client.get(run)).json()["unfinished"]

    await take(database, UUID(file["file_id"]))
    pause.release()

    async with asyncio.timeout(ENDS_SECONDS):  # its job ends, and the file is not at its end
        while await database_count(database, "procrastinate_jobs"):
            await asyncio.sleep(0.02)
    state = (await quick_product.client.get(run)).json()
    assert [each["status"] for each in state["unfinished"]] == ["reading"]
    found = await quick_product.client.post("/v1/search", json={"query": "walnut lighthouse"})
    assert found.json()["hits"] == []


async def test_the_work_goes_on_when_the_database_was_away(
    tmp_path: Path, embedded_database: StoppableDatabase, scripted_model: ScriptedOllama
):
    settings = quickly(settings_for(tmp_path, embedded_database.url, scripted_model))
    async with open_product(settings, new_secrets(), scripted_model) as product:
        pause = scripted_model.hang_embedding()
        run = await give(product.client, WORDS, "Pears are ripe.", "Plums are blue.")
        async with asyncio.timeout(ENDS_SECONDS):
            await pause.reached.wait()
        await embedded_database.stop()
        pause.release()
        await embedded_database.start()
        async with asyncio.timeout(ENDS_SECONDS):
            while (await product.client.get(run)).status_code != 200:
                await asyncio.sleep(0.05)
        report = await end_of(product.client, run)

    assert (report["status"], report["files_processed"]) == ("success", 3)


async def test_a_file_waits_for_another_of_the_same_content_as_long_as_that_takes(
    tmp_path: Path, postgres_server: PostgresServer
):
    jobs = {"attempts": 1, "retry_seconds": 0.01, "retry_limit_seconds": 0.01}
    async with open_shelf_product(postgres_server, tmp_path, **jobs) as product:
        [shelf] = product.settings.ingest.roots
        for name in ("a.txt", "b.txt"):
            (shelf / name).write_text(WORDS)
        pause = product.model.hang_embedding()
        taking = asyncio.create_task(take_from(product, shelf))
        async with asyncio.timeout(ENDS_SECONDS):
            await pause.reached.wait()
            [run] = (await product.client.get("/v1/ingest/runs")).json()["runs"]
            path = f"/v1/ingest/runs/{run['run_id']}"
            while not any(
                file["attempts"] > 3
                for file in (await product.client.get(path)).json()["unfinished"]
            ):
                await asyncio.sleep(0.02)
        pause.release()
        report = (await taking).json()

    assert sorted(file["status"] for file in report["files"]) == ["indexed", "unchanged"]


async def test_a_worker_of_its_own_refuses_the_embedded_index(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
):
    settings = settings_for(tmp_path, database_url, scripted_model)
    with pytest.raises(ConfigurationError, match="LLM__QDRANT_URL is not set"):
        async with open_worker(settings, new_secrets()):
            pass


async def test_a_job_tells_nothing_of_its_file(database: Database, scope: AccessScope):
    secret = "walnut-lighthouse"
    async with database.unit_of_work(scope) as uow:
        file = NewIngestFile(kind="path", name=secret, location=f"/srv/{secret}")
        await uow.ingest_runs.create(IngestOrder(tags=(secret,), source=secret), [file])
        await uow.commit()

    rows = await everything(database, "procrastinate_jobs", "ingest_runs", "ingest_files")

    assert str(file.id) in rows
    assert secret not in rows


async def everything(database: Database, *tables: str) -> str:
    connection = await asyncpg.connect(database.dsn)
    try:
        found = [await connection.fetch(f"SELECT * FROM {table}") for table in tables]
    finally:
        await connection.close()
    return "\n".join(str(tuple(row.values())) for rows in found for row in rows)


async def database_count(database: Database, table: str) -> int:
    connection = await asyncpg.connect(database.dsn)
    try:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))
    finally:
        await connection.close()
