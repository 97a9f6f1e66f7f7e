"""Reading files in a process of their own, which is started when needed and again when it died."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import structlog

from loaders.document import LoadedDocument
from loaders.errors import (
    LoaderError,
    LoaderLimit,
    LoaderTimeout,
    LoaderUnavailable,
    UnreadableDocument,
)
from loaders.limits import ReadLimits
from loaders.ocr_choice import OcrChoice
from loaders.settings import IngestSettings
from loaders.wire import StartRequest, unpack_answer
from loaders.worker_link import OnProgress, ReadFiles, WorkerGone, WorkerLink

_COPY_CHUNK_BYTES = 4 * 1024 * 1024
_ATTEMPTS = 2
_OUT_OF_MEMORY = {signal.SIGKILL, signal.SIGXFSZ, signal.SIGABRT, signal.SIGTRAP, signal.SIGILL}
"""The system's way of ending who takes too much, and parsers' ways of giving up."""

log = structlog.get_logger(__name__)


class ReaderProcess:
    """Reads any number of files at a time, each in a child that dies with it."""

    def __init__(self, settings: IngestSettings) -> None:
        self._limits = ReadLimits.of(settings)
        self._start_request = StartRequest(ocr=OcrChoice.of(settings))
        self._starting = asyncio.Lock()
        self._link: WorkerLink | None = None
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """The process that forks for each file, while there is one."""
        return self._link.pid if self._link is not None else None

    async def read(
        self,
        data: bytes,
        filename: str,
        *,
        limits: ReadLimits | None = None,
        on_progress: OnProgress | None = None,
    ) -> LoadedDocument:
        """Read one file under the limits given here or else at the start.

        Args:
            data: the file.
            filename: what it is called; its ending may tell which dialect of text it is.
            limits: what reading it may take.
            on_progress: told now and then how many pages are read, if the file has such.

        Raises:
            LoaderError: it cannot be read, or not within the limits.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            link = await self._running_link()
            try:
                return await _read_with(link, data, filename, limits or self._limits, on_progress)
            except WorkerGone:
                log.warning("reader_process_lost", attempt=attempt)
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    async def start(self) -> None:
        """Load the parsers now instead of at the first file."""
        await self._running_link()

    async def close(self) -> None:
        """End the process and all that it started, for good."""
        self._is_closed = True
        async with self._starting:
            if self._link is not None:
                await self._link.stop()
                self._link = None

    async def _running_link(self) -> WorkerLink:
        async with self._starting:
            if self._is_closed:
                raise LoaderUnavailable("the process that reads files was closed")
            if self._link is not None and not self._link.alive:
                await self._link.stop()
                self._link = None
            if self._link is None:
                self._link = await WorkerLink.start(self._start_request)
                log.info("reader_process_started", pid=self._link.pid)
                if self._link.ocr_problem is not None:
                    log.warning("ocr_not_available", problem=self._link.ocr_problem)
            return self._link


async def _read_with(
    link: WorkerLink,
    data: bytes,
    filename: str,
    limits: ReadLimits,
    on_progress: OnProgress | None,
) -> LoadedDocument:
    with (
        _memory_file("document") as source,
        _memory_file("answer") as target,
        _memory_file("notes") as notes,
    ):
        await _copy(data, source)
        exit_code = await link.read(
            ReadFiles(source=source, target=target, notes=notes),
            filename=filename,
            limits=limits,
            on_progress=on_progress,
        )
        if exit_code < 0:
            raise _death(-exit_code)
        target.seek(0)
        answer = target.read(limits.output_bytes)
    return await asyncio.to_thread(unpack_answer, answer)


@contextmanager
def _memory_file(name: str) -> Iterator[BinaryIO]:
    """A file without a name on any disk: what people upload is written nowhere in clear."""
    with os.fdopen(os.memfd_create(name), "w+b", buffering=0) as file:
        yield file


async def _copy(data: bytes, target: BinaryIO) -> None:
    view = memoryview(data)
    while view:
        view = view[target.write(view[:_COPY_CHUNK_BYTES]) :]
        await asyncio.sleep(0)


def _death(number: int) -> LoaderError:
    """What it means that the system, not the server, ended a reading process."""
    if number == signal.SIGXCPU:
        return LoaderTimeout("reading the file takes more processor time than allowed")
    if number in _OUT_OF_MEMORY:
        return LoaderLimit("reading the file takes more memory than allowed")
    return UnreadableDocument("the file breaks the program that reads it")
