"""From bytes to chunks: the one door to this folder."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from loaders.document import LoadedDocument
from loaders.errors import LoaderLimit
from loaders.limits import ReadLimits
from loaders.reader_process import ReaderProcess
from loaders.settings import IngestSettings
from loaders.splitter import split
from persistence.passages import Chunk

log = structlog.get_logger(__name__)


class Pipeline:
    """Reads files in a process of their own and cuts them into chunks."""

    def __init__(self, reader: ReaderProcess, settings: IngestSettings) -> None:
        self._reader = reader
        self._max_file_bytes = settings.max_file_bytes
        self._slots = asyncio.Semaphore(settings.parallel_files)

    async def load(self, data: bytes, filename: str) -> LoadedDocument:
        """Read one file; cancelling ends the work on it.

        Raises:
            LoaderError: it cannot be read, or not within the limits; the class says why.
        """
        if len(data) > self._max_file_bytes:
            raise LoaderLimit(f"the file is larger than {self._max_file_bytes} bytes")
        async with self._slots:
            return await self._reader.read(data, filename)

    def split(self, document: LoadedDocument) -> tuple[Chunk, ...]:
        """Cut the document into chunks; takes a second for ten million characters or so."""
        return split(document)

    async def warm_up(self) -> None:
        """Load the parsers now instead of at the first file."""
        await self._reader.start()


@asynccontextmanager
async def open_pipeline(settings: IngestSettings) -> AsyncIterator[Pipeline]:
    """A pipeline whose reading process starts with the first file and ends with the pipeline."""
    reader = ReaderProcess(ReadLimits.of(settings))
    try:
        yield Pipeline(reader, settings)
    finally:
        await asyncio.shield(reader.close())
