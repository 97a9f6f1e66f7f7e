"""From bytes to chunks: the one door to this folder."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from loaders.attached_recordings import hear_attached
from loaders.document import LoadedDocument
from loaders.errors import LoaderLimit
from loaders.reader_process import ReaderProcess
from loaders.settings import IngestSettings
from loaders.speech.audio_format import MIME_TYPES, RecordingFormat, recognise
from loaders.speech.long_recordings import LongRecordings
from loaders.speech.paragraphs import to_paragraphs
from loaders.speech.process import FindModel
from loaders.speech.settings import SpeechSettings
from loaders.splitter import split
from loaders.titles import choose_title
from loaders.worker_link import OnProgress
from persistence.passages import Chunk

log = structlog.get_logger(__name__)


class Pipeline:
    """Reads files in processes of their own and cuts them into chunks."""

    def __init__(
        self, reader: ReaderProcess, recordings: LongRecordings, settings: IngestSettings
    ) -> None:
        self._reader = reader
        self._recordings = recordings
        self._max_file_bytes = settings.max_file_bytes
        self._max_passages = settings.max_passages
        self._slots = asyncio.Semaphore(settings.parallel_files)

    async def load(
        self, data: bytes, filename: str, *, on_progress: OnProgress | None = None
    ) -> LoadedDocument:
        """Read one file; cancelling ends the work on it.

        Args:
            data: the file.
            filename: what it is called.
            on_progress: told now and then how many pages are read, or seconds are listened to,
                if the file has such.

        Raises:
            LoaderError: it cannot be read, or not within the limits; the class says why.
        """
        if len(data) > self._max_file_bytes:
            raise LoaderLimit(f"the file is larger than {self._max_file_bytes} bytes")
        recording = recognise(data)
        if recording is not None:  # takes no slot: texts need not wait for what takes hours
            return await self._listen(data, recording, filename, on_progress)
        async with self._slots:
            document = await self._reader.read(data, filename, on_progress=on_progress)
        return await hear_attached(document, self._recordings)

    async def _listen(
        self,
        data: bytes,
        audio_format: RecordingFormat,
        filename: str,
        on_progress: OnProgress | None,
    ) -> LoadedDocument:
        said = await self._recordings.transcribe(data, audio_format, on_progress=on_progress)
        return LoadedDocument(
            title=choose_title(None, filename),
            mime=MIME_TYPES[audio_format],
            elements=tuple(to_paragraphs(said.segments)),
        )

    def split(self, document: LoadedDocument) -> tuple[Chunk, ...]:
        """Cut the document into chunks; takes a second or two where there are many thousands.

        Raises:
            LoaderLimit: there are more than allowed.
        """
        return split(document, most=self._max_passages)

    async def warm_up(self) -> None:
        """Load the parsers now instead of at the first file."""
        await self._reader.start()


@asynccontextmanager
async def open_pipeline(
    settings: IngestSettings, speech: SpeechSettings, find_speech_model: FindModel
) -> AsyncIterator[Pipeline]:
    """A pipeline whose processes start with the first file and end with the pipeline."""
    reader = ReaderProcess(settings)
    recordings = LongRecordings(speech, find_speech_model)
    try:
        yield Pipeline(reader, recordings, settings)
    finally:
        await asyncio.shield(asyncio.gather(reader.close(), recordings.close()))
