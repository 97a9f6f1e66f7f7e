"""How much the way of a document into the index costs beyond the embedding model.

    python -m bench.ingest [--files 500] [--pages 4] [--database-url URL]

Text PDFs are uploaded to a whole product, as fast as it takes them. The floor is the embedding
model alone, in the same process and over the same protocol, with the same chunks in the same
batches. Both are told in seconds for the whole set; memory is the highest that was seen of the
server and of the processes that it started, the embedding model apart.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil
from fpdf import FPDF
from pydantic import SecretStr

from bench.postgres import open_server
from bench.processes import MIB, BenchmarkError, Served, free_port, serve
from graph.llm.chat_model import open_model_address
from graph.settings import ChatModelSettings
from loaders.pipeline import open_pipeline
from loaders.settings import IngestSettings
from loaders.speech.settings import SpeechSettings
from persistence.passages import Chunk
from persistence.vectors.embeddings import OllamaEmbedder

GOAL = 1.25
"""The pipeline costs less than a quarter over the embedder."""
FILES_A_REQUEST = 10
WAIT_SECONDS = 60
SAMPLE_SECONDS = 0.2
END_SECONDS = 3_600
ROOT_KEY = "yw_root_for_a_benchmark_0123456789"
EMBED_MODEL = "all-minilm"
_PROSE = """
contract payment supplier delivery invoice warranty agreement liability notice period annual holiday
employee manager report quarter budget travel expense approval request inspection machine schedule
customer complaint quality certificate safety password backup incident response training record
the of and to in for with under before after between during without until each every which that
"""
_WORDS = _PROSE.split()


def make_pdf(seed: int, pages: int) -> bytes:
    """A text PDF of ordinary pages, another one for each seed."""
    draw = random.Random(seed)
    document = FPDF()
    document.set_font("helvetica", size=11)
    for page in range(pages):
        document.add_page()
        document.multi_cell(0, 6, f"Chapter {page + 1} of handbook {seed}", new_x="LMARGIN")
        for _ in range(6):
            sentences = [
                " ".join(draw.choices(_WORDS, k=draw.randint(8, 18))).capitalize() + "."
                for _ in range(draw.randint(3, 6))
            ]
            document.multi_cell(0, 6, " ".join(sentences), new_x="LMARGIN")
            document.ln(4)
    return bytes(document.output())


async def chunk(files: Sequence[bytes]) -> list[tuple[Chunk, ...]]:
    """The chunks that the product makes of the files."""

    async def no_model() -> Path:
        raise BenchmarkError("there is no recording among the files")

    async with open_pipeline(IngestSettings(), SpeechSettings(), no_model) as pipeline:
        loaded = [await pipeline.load(data, "a.pdf") for data in files]
        return [pipeline.split(document) for document in loaded]


async def embed_alone(
    embedder: OllamaEmbedder, chunks: Sequence[Sequence[Chunk]], *, at_once: int
) -> float:
    """Seconds that the model takes for all chunks, so many files at a time."""
    waiting = iter(chunks)

    async def work() -> None:
        for each in waiting:
            await embedder.embed([_embedded(one) for one in each])

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    return time.perf_counter() - started


def _embedded(one: Chunk) -> str:
    return f"{one.heading}\n{one.text}" if one.heading else one.text


async def upload_all(client: httpx.AsyncClient, files: Sequence[bytes]) -> tuple[float, int]:
    """Seconds until all files are searchable, and how many chunks there are then."""
    started = time.perf_counter()
    runs: list[str] = []
    for first in range(0, len(files), FILES_A_REQUEST):
        batch = files[first : first + FILES_A_REQUEST]
        parts = [("files", (f"{first + n}.pdf", data)) for n, data in enumerate(batch)]
        answer = await client.post(
            "/v1/ingest/upload", files=parts, headers={"Prefer": "wait=0"}, timeout=WAIT_SECONDS
        )
        if answer.status_code not in {200, 202}:
            raise BenchmarkError(f"an upload was answered {answer.status_code}: {answer.text}")
        runs.append(answer.json()["run_id"])
    chunks = 0
    for run in runs:
        chunks += await _chunks_of(client, run)
    return time.perf_counter() - started, chunks


async def _chunks_of(client: httpx.AsyncClient, run: str) -> int:
    """Waits for the end of a run by its events."""
    url = f"/v1/ingest/runs/{run}/events"
    async with client.stream("GET", url, timeout=httpx.Timeout(WAIT_SECONDS)) as events:
        async for _ in events.aiter_lines():
            pass
    report = (await client.get(f"/v1/ingest/runs/{run}")).json()
    if report["status"] != "success":
        raise BenchmarkError(f"a run ended as {report['status']}: {report.get('errors')}")
    return int(report["chunks_written"])


@asynccontextmanager
async def watched_memory(served: Served) -> AsyncIterator[list[float]]:
    """The highest resident memory in MiB: of the server, and of it with all that it started."""
    highest = [0.0, 0.0]

    async def watch() -> None:
        process = psutil.Process(served.process.pid)
        while True:
            own = process.memory_info().rss / MIB
            total = own
            for child in process.children(recursive=True):
                try:
                    total += child.memory_full_info().uss / MIB
                except psutil.Error:
                    continue
            highest[0], highest[1] = max(highest[0], own), max(highest[1], total)
            await asyncio.sleep(SAMPLE_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield highest
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def measure(options: argparse.Namespace, database_url: str, folder: Path) -> None:
    """Measures the floor before and after the product, and prints all."""
    files = [make_pdf(seed, options.pages) for seed in range(options.files)]
    chunks = await chunk(files)
    total = sum(map(len, chunks))
    print(f"{len(files)} PDFs of {options.pages} pages, {total} chunks")
    settings = ChatModelSettings(embed_model=EMBED_MODEL)
    async with open_model_address(settings) as served_model:
        address = served_model.ollama_base_url
        key = served_model.ollama_api_key or SecretStr("")
        assert address is not None
        async with OllamaEmbedder(address, EMBED_MODEL, served_model.ollama_api_key) as embedder:
            before = await embed_alone(embedder, chunks, at_once=options.parallel_files * 2)
            port = free_port()
            with serve(
                "product",
                [str(Path(sys.executable).with_name("youworker")), "serve"],
                port=port,
                ready_path="/health",
                log_dir=folder,
                API__PORT=str(port),
                DATA_DIR=str(folder / "data"),
                DATABASE__URL=database_url,
                SECURITY__ROOT_API_KEY=ROOT_KEY,
                SECURITY__RATE_LIMIT_PER_MINUTE="1000000",
                SECURITY__IP_RATE_LIMIT_PER_MINUTE="1000000",
                LLM__OLLAMA_BASE_URL=address,
                LLM__OLLAMA_API_KEY=key.get_secret_value(),
                LLM__CHAT_MODEL=served_model.chat_model,
                INGEST__PARALLEL_FILES=str(options.parallel_files),
            ) as product:
                headers = {"Authorization": f"Bearer {ROOT_KEY}"}
                async with (
                    asyncio.timeout(END_SECONDS),
                    httpx.AsyncClient(
                        base_url=f"http://127.0.0.1:{port}", headers=headers
                    ) as client,
                    watched_memory(product) as highest,
                ):
                    used = product.cpu_seconds()
                    seconds, found = await upload_all(client, files)
                    used = product.cpu_seconds() - used
            after = await embed_alone(embedder, chunks, at_once=options.parallel_files * 2)
    if found != total:
        raise BenchmarkError(f"{found} chunks are searchable of {total}")
    floor = (before + after) / 2
    pages = len(files) * options.pages
    ratio = seconds / floor
    print(f"embedding alone   {before:8.1f} s before, {after:.1f} s after")
    rates = f"{pages / seconds:.1f} pages/s, {total / seconds:.1f} chunks/s"
    verdict = "reached" if ratio <= GOAL else "missed"
    print(f"whole pipeline    {seconds:8.1f} s, {rates}")
    print(f"ratio             {ratio:8.2f} (goal {GOAL}: {verdict})")
    print(f"CPU of the product{used:8.1f} s on {os.cpu_count()} processors, the model's apart")
    print(
        f"memory            {highest[0]:8.0f} MiB the server, {highest[1]:.0f} with what it started"
    )


def main() -> None:
    """Measures on a database of its own, or on the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--pages", type=int, default=4)
    parser.add_argument("--parallel-files", type=int, default=2)
    parser.add_argument("--database-url")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_server(options.database_url, Path(folder)) as url,
    ):
        asyncio.run(measure(options, url, Path(folder)))


if __name__ == "__main__":
    main()
