"""Files given over HTTP to a product that reads from a folder, and what becomes of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from server.cli.events import read_events
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.product import Product, new_secrets, open_product, settings_for

WORDS = "The walnut lighthouse opens in March."
ENDS_SECONDS = 20
AT_ONCE = {"Prefer": "wait=0"}


@asynccontextmanager
async def open_shelf_product(
    postgres_server: PostgresServer, folder: Path, **jobs: Any
) -> AsyncIterator[Product]:
    """A product that reads from a folder of its own, with other settings of its jobs."""
    database_url = postgres_server.lend()
    (folder / "shelf").mkdir()
    async with ScriptedOllama() as model:
        settings = settings_for(folder, database_url, model)
        settings = settings.model_copy(
            update={
                "ingest": settings.ingest.model_copy(update={"roots": (folder / "shelf",)}),
                "jobs": settings.jobs.model_copy(update=jobs),
            }
        )
        async with open_product(settings, new_secrets(), model) as running:
            yield running
    postgres_server.take_back(database_url)


def new_files(*texts: str) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (f"{n}.txt", text.encode())) for n, text in enumerate(texts)]


async def give(product: Product, *texts: str) -> str:
    """Uploads without waiting; returns the run's address."""
    answer = await product.client.post(
        "/v1/ingest/upload", files=new_files(*texts), headers=AT_ONCE
    )
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


async def put(
    product: Product, document_id: int, text: str, name: str = "new.txt"
) -> dict[str, Any]:
    """Gives a document another content; returns the report."""
    answer = await product.client.put(
        f"/v1/documents/{document_id}/content", files={"file": (name, text.encode())}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def take_from(product: Product, place: Path, **more: Any) -> httpx.Response:
    body = {"path_or_url": str(place), **more}
    return await product.client.post("/v1/ingest/path", json=body)
