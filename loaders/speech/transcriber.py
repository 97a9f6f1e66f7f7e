"""From a recording that is a message to its words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loaders.speech.audio_format import PCM_RATE, PCM_SAMPLE_BYTES, AudioFormat, check_format
from loaders.speech.errors import AudioTooLong, SpeechUnavailable
from loaders.speech.process import FindModel, SpeechProcess
from loaders.speech.settings import SpeechSettings
from loaders.speech.transcript import Transcript
from loaders.speech.wire import TranscriptionRequest


class Transcriber:
    """Transcribes one recording after the other, in a process that starts with the first one."""

    def __init__(self, settings: SpeechSettings, find_model: FindModel) -> None:
        self._settings = settings
        self._process = SpeechProcess(settings, find_model, start_seconds=settings.queue_seconds)
        self._turn = asyncio.Lock()
        self._held = 0

    @property
    def pid(self) -> int | None:
        """The process that transcribes, while there is one."""
        return self._process.pid

    async def transcribe(
        self, data: bytes, audio_format: AudioFormat, *, rate: int = PCM_RATE
    ) -> Transcript:
        """What is said in a recording; waits for its turn. Cancelling ends the work on it.

        Args:
            data: The recording.
            audio_format: What it is said to be; anything else is refused.
            rate: Samples a second, of raw samples only.

        Raises:
            SpeechError: It cannot be transcribed, or not now; the class says why.
        """
        request = self._check(data, audio_format, rate)
        if self._held >= self._settings.max_waiting:
            raise SpeechUnavailable("too many recordings are waiting to be transcribed")
        self._held += 1
        try:
            return await self._in_turn(data, request)
        finally:
            self._held -= 1

    async def close(self) -> None:
        """End the process, for good."""
        await self._process.close()

    def _check(self, data: bytes, audio_format: AudioFormat, rate: int) -> TranscriptionRequest:
        settings = self._settings
        check_format(data, audio_format)
        if len(data) > settings.max_bytes:
            raise AudioTooLong(f"the recording is larger than {settings.max_bytes} bytes")
        if audio_format == "pcm16" and len(data) > settings.max_seconds * rate * PCM_SAMPLE_BYTES:
            raise AudioTooLong(f"the recording is longer than {settings.max_seconds:g} seconds")
        return TranscriptionRequest(
            size=len(data), audio_format=audio_format, rate=rate, max_seconds=settings.max_seconds
        )

    async def _in_turn(self, data: bytes, request: TranscriptionRequest) -> Transcript:
        try:
            async with asyncio.timeout(self._settings.queue_seconds):
                await self._turn.acquire()
        except TimeoutError as exc:
            raise SpeechUnavailable("other recordings are still being transcribed") from exc
        try:
            return await self._process.transcribe(data, request)
        finally:
            self._turn.release()


@asynccontextmanager
async def open_transcriber(
    settings: SpeechSettings, find_model: FindModel
) -> AsyncIterator[Transcriber]:
    """A transcriber whose process starts with the first recording and ends with it."""
    transcriber = Transcriber(settings, find_model)
    try:
        yield transcriber
    finally:
        await asyncio.shield(transcriber.close())
