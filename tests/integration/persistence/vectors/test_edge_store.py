"""The embedded engine across processes, crashes and folders."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from persistence.access import AccessScope
from persistence.settings import VectorSettings
from persistence.vectors.edge import open_edge_store
from persistence.vectors.errors import IndexInUse, IndexUnavailable
from persistence.vectors.index import open_index
from persistence.vectors.port import Point, QueryWord

PROJECT = Path(__file__).parents[4]
SCOPE = AccessScope(user_id=1)
HOLD_AFTER_WRITING = """
import asyncio, sys
from pathlib import Path
from persistence.settings import VectorSettings
from persistence.vectors.index import open_index
from persistence.vectors.port import Point

async def main():
    settings = VectorSettings()
    async with open_index(settings, data_dir=Path(sys.argv[1]), dimension=2, model="m") as index:
        for document in range(int(sys.argv[2])):
            text, terms = f"text {document}", {document: 0.5}
            point = Point(position=0, vector=[1.0, 0.5], ciphertext=text, terms=terms)
            await index.replace(document, [point], owner_id=1)
            print(document, file=sys.stderr, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def _start_writer(data_dir: Path, documents: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD_AFTER_WRITING, str(data_dir), str(documents)],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _read_acknowledged(writer: subprocess.Popen[bytes], count: int) -> None:
    assert writer.stderr is not None
    for number in range(count):
        assert writer.stderr.readline() == b"%d\n" % number


def _kill(writer: subprocess.Popen[bytes]) -> None:
    with writer:
        writer.send_signal(signal.SIGKILL)


async def test_what_was_acknowledged_outlives_kill_9(tmp_path: Path) -> None:
    writer = _start_writer(tmp_path, 30)
    await asyncio.to_thread(_read_acknowledged, writer, 30)
    _kill(writer)

    async with open_index(VectorSettings(), data_dir=tmp_path, dimension=2, model="m") as index:
        hits = await index.search([1.0, 0.5], scope=SCOPE, limit=100)
        worded = [
            await index.search([1.0, 0.5], words=[word], scope=SCOPE, limit=100)
            for word in (QueryWord(terms=(number,)) for number in range(30))
        ]

    assert {hit.ciphertext for hit in hits} == {f"text {number}" for number in range(30)}
    assert [[hit.ciphertext for hit in found if hit.overlap] for found in worded] == [
        [f"text {number}"] for number in range(30)
    ]


async def test_a_second_process_is_told_that_the_folder_is_in_use(tmp_path: Path) -> None:
    writer = _start_writer(tmp_path, 1)
    try:
        await asyncio.to_thread(_read_acknowledged, writer, 1)
        with pytest.raises(IndexInUse, match="DATA_DIR"):
            async with open_index(VectorSettings(), data_dir=tmp_path, dimension=2, model="m"):
                pass
    finally:
        _kill(writer)


async def test_a_folder_is_free_again_after_closing(tmp_path: Path) -> None:
    for _ in range(2):
        async with open_edge_store(tmp_path, dimension=2) as store:
            with pytest.raises(IndexInUse):
                async with open_edge_store(tmp_path, dimension=2):
                    pass
            await store.ping()


async def test_a_closed_store_answers_with_an_error_of_ours(tmp_path: Path) -> None:
    async with open_edge_store(tmp_path, dimension=2) as store:
        pass

    with pytest.raises(IndexUnavailable):
        await store.ping()


async def test_a_damaged_folder_is_an_error_of_ours_and_frees_the_lock(tmp_path: Path) -> None:
    shard = tmp_path / "passages"
    shard.mkdir(parents=True)
    (shard / "edge_config.json").write_text("{", encoding="ascii")

    for _ in range(2):
        with pytest.raises(IndexUnavailable):
            async with open_edge_store(tmp_path, dimension=2):
                pass


async def test_the_folder_is_closed_to_other_users_of_the_machine(tmp_path: Path) -> None:
    async with open_index(VectorSettings(), data_dir=tmp_path, dimension=2, model="m"):
        assert (tmp_path / "qdrant").stat().st_mode & 0o077 == 0


async def test_other_tasks_run_while_the_engine_works(tmp_path: Path) -> None:
    points = [Point(position=n, vector=[1.0, n / 1000], ciphertext="x") for n in range(2000)]
    async with open_index(VectorSettings(), data_dir=tmp_path, dimension=2, model="m") as index:
        writing = asyncio.create_task(index.replace(1, points, owner_id=1))
        turns = 0
        while not writing.done():
            turns += 1
            await asyncio.sleep(0)
        await writing

    assert turns > 10
