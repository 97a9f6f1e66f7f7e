"""Files through the real reading process: what it promises when files are bad."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from fpdf import FPDF

from loaders.document import LoadedDocument
from loaders.errors import (
    EmptyDocument,
    LoaderError,
    LoaderLimit,
    LoaderTimeout,
    LoaderUnavailable,
    UnreadableDocument,
    UnsupportedMedia,
)
from loaders.limits import ReadLimits
from loaders.pipeline import Pipeline, open_pipeline
from loaders.reader_process import ReaderProcess
from loaders.settings import IngestSettings
from loaders.speech.settings import SpeechSettings
from tests.fixtures.speech import find_speech_model, long_recordings

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROJECT = Path(__file__).parents[3]
SLOW_PAGE = b"<html>" + b"<p>word</p>" * 400_000
MIB = 1024 * 1024
MAIL = b"""From: a@b.c
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x

Words.
--x
Content-Disposition: attachment; filename=a.md

# Head

More.
--x--
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def reader() -> AsyncIterator[ReaderProcess]:
    """One reading process for the tests that leave it as it was."""
    process = ReaderProcess(IngestSettings())
    await process.start()
    yield process
    await process.close()


@pytest.fixture
def pipeline(reader: ReaderProcess) -> Pipeline:
    return Pipeline(reader, long_recordings(), IngestSettings())


@asynccontextmanager
async def _own_reader() -> AsyncIterator[ReaderProcess]:
    """A reading process that a test may kill."""
    process = ReaderProcess(IngestSettings())
    try:
        await process.start()
        yield process
    finally:
        await process.close()


@asynccontextmanager
async def _slow_work(
    reader: ReaderProcess, page: bytes = SLOW_PAGE
) -> AsyncIterator[tuple[asyncio.Task[LoadedDocument], psutil.Process]]:
    """A file that is being read, and the process that reads it."""
    await _until(lambda: not _children(reader))
    task = asyncio.create_task(reader.read(page, "slow.html"))
    try:
        await _until(lambda: len(_children(reader)) == 1)
        [child] = _children(reader)
        yield task, child
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _read(reader: ReaderProcess, data: bytes, **limits: float) -> LoadedDocument:
    return await reader.read(
        data, "file.html", limits=ReadLimits.of(IngestSettings.model_validate(limits))
    )


def _open_paths() -> set[str]:
    """Which files are open; how far each was written is not the reader's doing: a log grows."""
    return {file.path for file in psutil.Process().open_files()}


def _children(reader: ReaderProcess) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(reader.pid).children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE
    ]


def _limit(process: psutil.Process, name: str) -> str:
    """What the system says; asking it by psutil needs a right that containers do not give."""
    text = Path(f"/proc/{process.pid}/limits").read_text(encoding="ascii")
    [line] = [line for line in text.splitlines() if line.startswith(name)]
    return line.removeprefix(name).split()[0]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def _pdf(text: str) -> bytes:
    document = FPDF()
    document.add_page()
    document.set_font("helvetica", size=12)
    document.multi_cell(0, 6, text)
    return bytes(document.output())


@pytest.mark.parametrize(
    ("data", "name", "mime", "text"),
    [
        (b"Plain words.", "a.txt", "text/plain", "Plain words."),
        ("Perché no?".encode("latin-1"), "a.txt", "text/plain", "Perché no?"),
        ("Perché 日本?".encode("utf-16"), "a.txt", "text/plain", "Perché 日本?"),
        (b"# Head\n\nWords.", "a.md", "text/markdown", "Head\n\nWords."),
        (b"<html><p>Words.</p><script>x</script>", "a.html", "text/html", "Words."),
        (b"a;b\n1;2\n3;4\n", "a.csv", "text/csv", "a | b\n1 | 2\n3 | 4"),
        (b'{"a": {"b": 1.50}}', "a.json", "application/json", "a.b: 1.50"),
        (b"*Words*.\n\n.. note:: More.\n", "a.rst", "text/x-rst", "Words.\n\nNote\n\nMore."),
        (b"<?xml version='1.0'?><a>Words</a>", "a.xml", "application/xml", "Words"),
        (b"x = 1\ny = 2\n", "a.py", "text/x-source", "x = 1\ny = 2"),
        (MAIL, "a.eml", "message/rfc822", "From: a@b.c\n\nWords.\n\na.md\n\nHead\n\nMore."),
        (_pdf("Words on a page."), "a.txt", "application/pdf", "Words on a page."),
    ],
)
async def test_files_of_every_kind_become_text(
    pipeline: Pipeline, data: bytes, name: str, mime: str, text: str
) -> None:
    document = await pipeline.load(data, name)

    assert (document.mime, document.text) == (mime, text)
    assert text.startswith(pipeline.split(document)[0].text)


@pytest.mark.parametrize(
    ("data", "name", "error"),
    [
        (b"", "a.txt", EmptyDocument),
        (random.Random(1).randbytes(5000), "a.bin", UnsupportedMedia),
        (b"this is no PDF", "a.pdf", UnsupportedMedia),
        (b"%PDF-1.7\nneither is this", "a.pdf", UnreadableDocument),
        (_pdf("x")[:500], "a.pdf", UnreadableDocument),
        (_pdf(""), "a.pdf", EmptyDocument),
        (b"<html><script>x</script></html>", "a.html", EmptyDocument),
        (b"<html>" + b"<div>" * 200_000 + b"deep", "a.html", LoaderError),
        (b"[" * 1_000_000, "a.json", UnreadableDocument),
        (
            b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
            "a.xml",
            UnreadableDocument,
        ),
    ],
)
async def test_a_bad_file_is_refused_and_harms_no_other(
    pipeline: Pipeline, reader: ReaderProcess, data: bytes, name: str, error: type[LoaderError]
) -> None:
    process = reader.pid
    good = asyncio.create_task(pipeline.load(b"Good.", "good.txt"))
    with pytest.raises(error):
        await pipeline.load(data, name)

    assert (await good).text == "Good."
    assert (await pipeline.load(b"Next.", "next.txt")).text == "Next."
    assert reader.pid == process


async def test_a_file_that_takes_too_long_is_stopped(reader: ReaderProcess) -> None:
    with pytest.raises(LoaderTimeout):
        await _read(reader, SLOW_PAGE, parse_timeout_seconds=0.2)

    await _until(lambda: not _children(reader))
    assert (await reader.read(b"Next.", "next.txt")).text == "Next."


async def test_a_file_that_takes_too_much_memory_is_stopped(reader: ReaderProcess) -> None:
    page = b"<html>" + b"<b>x" * (8 * MIB)
    with pytest.raises(LoaderLimit):
        await _read(reader, page, parse_memory_mib=64)

    assert (await reader.read(b"Next.", "next.txt")).text == "Next."


async def test_a_file_with_too_much_text_is_refused(reader: ReaderProcess) -> None:
    with pytest.raises(LoaderLimit, match="more text"):
        await _read(reader, b"Word.\n\n" * 1000, max_text_bytes=2048)


async def test_a_file_that_is_too_large_is_never_read(reader: ReaderProcess) -> None:
    pipeline = Pipeline(reader, long_recordings(), IngestSettings(max_file_bytes=10))

    with pytest.raises(LoaderLimit, match="larger than 10 bytes"):
        await pipeline.load(b"x" * 11, "a.txt")


async def test_cancelling_kills_the_work(reader: ReaderProcess) -> None:
    async with _slow_work(reader) as (task, _):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    await _until(lambda: not _children(reader))
    assert (await reader.read(b"Next.", "next.txt")).text == "Next."


@pytest.mark.parametrize(
    ("number", "error"),
    [
        pytest.param(signal.SIGSEGV, UnreadableDocument, id="a crash of the parser"),
        pytest.param(signal.SIGKILL, LoaderLimit, id="the system is out of memory"),
        pytest.param(signal.SIGXCPU, LoaderTimeout, id="too much processor time"),
    ],
)
async def test_an_early_end_of_the_work_is_told_apart_by_its_cause(
    reader: ReaderProcess, number: signal.Signals, error: type[LoaderError]
) -> None:
    async with _slow_work(reader) as (task, child):
        child.send_signal(number)

        with pytest.raises(error):
            await task


async def test_children_have_no_rights_no_secrets_and_no_network(reader: ReaderProcess) -> None:
    async with _slow_work(reader) as (_, child):
        await _until(lambda: _limit(child, "Max processes") == "0")

        assert set(psutil.Process(reader.pid).environ()) <= {
            "PATH", "HOME", "LANG", "LC_CTYPE", "DO_NOT_TRACK", "SCARF_NO_ANALYTICS",
            "UNSTRUCTURED_DISABLE_NOTICE", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT",
            "OPENBLAS_NUM_THREADS",
        }  # fmt: skip
        assert int(_limit(child, "Max address space")) < 3 * 1024 * MIB
        assert _limit(child, "Max core file size") == "0"
        assert int(_limit(child, "Max cpu time")) <= 122
        if os.geteuid() == 0:
            assert child.uids().effective != 0
            own = Path(f"/proc/{reader.pid}/ns/net").readlink()
            assert own != Path("/proc/self/ns/net").readlink()


async def test_many_files_at_once_come_back_each_as_itself(pipeline: Pipeline) -> None:
    texts = [f"File number {number}." for number in range(24)]

    documents = await asyncio.gather(
        *(pipeline.load(text.encode(), f"{number}.txt") for number, text in enumerate(texts))
    )

    assert [document.text for document in documents] == texts


async def test_no_more_files_are_read_at_once_than_allowed(reader: ReaderProcess) -> None:
    pipeline = Pipeline(reader, long_recordings(), IngestSettings(parallel_files=2))
    tasks = [asyncio.create_task(pipeline.load(SLOW_PAGE, "slow.html")) for _ in range(4)]
    await _until(lambda: len(_children(reader)) == 2)

    assert len(_children(reader)) == 2
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_nothing_of_a_file_is_written_to_a_disk(reader: ReaderProcess) -> None:
    before = _open_paths()
    async with _slow_work(reader):
        assert _open_paths() == before


async def test_a_reading_process_that_died_is_started_again_and_loses_no_work() -> None:
    async with _own_reader() as reader:
        before = reader.pid
        assert before is not None
        async with _slow_work(reader, SLOW_PAGE[:100_000]) as (task, child):
            os.kill(before, signal.SIGKILL)

            assert (await task).mime == "text/html"
            assert not child.is_running()

        assert reader.pid != before
        assert (await reader.read(b"Words.", "a.txt")).text == "Words."


async def test_closing_ends_work_that_is_going_on() -> None:
    async with _own_reader() as reader, _slow_work(reader) as (task, _):
        await reader.close()

        with pytest.raises(LoaderUnavailable):
            await task


async def test_closing_ends_every_process() -> None:
    async with open_pipeline(IngestSettings(), SpeechSettings(), find_speech_model) as pipeline:
        await pipeline.warm_up()
        processes = [
            child
            for child in psutil.Process().children()
            if "loaders.worker" in " ".join(child.cmdline())
        ]
    assert processes
    assert any(not process.is_running() for process in processes)


async def test_a_pipeline_that_read_nothing_starts_nothing() -> None:
    before = psutil.Process().children()
    async with open_pipeline(IngestSettings(), SpeechSettings(), find_speech_model):
        assert psutil.Process().children() == before


async def test_a_server_process_loads_no_parser() -> None:
    code = "import sys, loaders.pipeline; print(*sys.modules)"
    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, check=True
    )
    modules = ran.stdout.decode()

    loaded = {module.split(".")[0] for module in modules.split()}
    parsers = {"unstructured", "spacy", "numba", "lxml", "pandas", "pypdfium2", "tesserocr"}
    assert loaded.isdisjoint(parsers)
