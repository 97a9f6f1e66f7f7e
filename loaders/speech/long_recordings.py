"""From a recording that is a document to its words: hours of them, behind everybody else."""

import asyncio
from collections.abc import Callable

from loaders.speech.audio_format import PCM_RATE, RecordingFormat
from loaders.speech.errors import SpeechUnavailable
from loaders.speech.process import FindModel, SpeechProcess
from loaders.speech.settings import SpeechSettings
from loaders.speech.transcript import Transcript
from loaders.speech.wire import Heard, TranscriptionRequest

_PIECE_SECONDS = 120.0
_START_SECONDS = 900.0
_WAIT_SECONDS = 24 * 3600.0
_NICENESS = 5

OnProgress = Callable[[int, int], None]
"""Takes how many seconds are recognised, and of how many."""


class LongRecordings:
    """Transcribes one recording after the other, in a process that ends with the last one.

    Messages have another process, so that nobody who talks waits for hours of somebody's meeting;
    this one steps back for it. The memory of its model is taken only while there is work.
    """

    def __init__(self, settings: SpeechSettings, find_model: FindModel) -> None:
        self.max_seconds = settings.document_seconds
        """How long a document may last."""
        self._process = SpeechProcess(
            settings, find_model, start_seconds=_START_SECONDS, niceness=_NICENESS
        )
        self._turn = asyncio.Lock()
        self._held = 0

    @property
    def pid(self) -> int | None:
        """The process that transcribes, while there is one."""
        return self._process.pid

    async def transcribe(
        self,
        data: bytes,
        audio_format: RecordingFormat,
        *,
        max_seconds: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> Transcript:
        """What is said in a recording; waits for its turn. Cancelling ends the work on it.

        Args:
            data: the recording.
            audio_format: what it is by its first bytes.
            max_seconds: how long it may be; as long as any document when None.
            on_progress: told every two minutes of the recording how far it is recognised.

        Raises:
            SpeechError: it cannot be transcribed, or not now; the class says why.
        """
        request = TranscriptionRequest(
            size=len(data),
            audio_format=audio_format,
            rate=PCM_RATE,
            max_seconds=self.max_seconds if max_seconds is None else max_seconds,
            piece_seconds=_PIECE_SECONDS,
        )

        def get_on(heard: Heard) -> None:
            if on_progress is not None:
                on_progress(round(heard.seconds), round(heard.of))

        self._held += 1
        try:
            await self._take_turn()
            try:
                return await self._process.transcribe(data, request, on_heard=get_on)
            finally:
                self._turn.release()
        finally:
            self._held -= 1
            if not self._held:
                await asyncio.shield(self._process.stop())

    async def close(self) -> None:
        """End the process, for good."""
        await self._process.close()

    async def _take_turn(self) -> None:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError as exc:
            raise SpeechUnavailable("other recordings are still being transcribed") from exc
