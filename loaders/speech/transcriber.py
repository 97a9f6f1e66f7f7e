"""From a recording to its words: the one door to this folder."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from loaders.speech.audio_format import PCM_RATE, PCM_SAMPLE_BYTES, AudioFormat, check_format
from loaders.speech.errors import (
    AudioEmpty,
    AudioTooLong,
    AudioUnsupported,
    SpeechUnavailable,
    SpeechWorkerLost,
)
from loaders.speech.settings import SpeechSettings
from loaders.speech.transcript import Transcript
from loaders.speech.wire import TranscriptionRequest
from loaders.speech.worker_link import SpeechWorkerLink

_ATTEMPTS = 2

FindModel = Callable[[], Awaitable[Path]]
"""Gives the folder of a CTranslate2 Whisper model, fetching it if need be; raises
`SpeechUnavailable` when there is none to be had."""

log = structlog.get_logger(__name__)


class Transcriber:
    """Transcribes one recording after the other, in a process that starts with the first one."""

    def __init__(self, settings: SpeechSettings, find_model: FindModel) -> None:
        self._settings = settings
        self._find_model = find_model
        self._turn = asyncio.Lock()
        self._held = 0
        self._link: SpeechWorkerLink | None = None
        self._starting: asyncio.Task[SpeechWorkerLink] | None = None
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """The process that transcribes, while there is one."""
        return self._link.pid if self._link is not None else None

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
        self._is_closed = True
        if self._starting is not None:
            self._starting.cancel()
            (started,) = await asyncio.gather(self._starting, return_exceptions=True)
            if isinstance(started, SpeechWorkerLink):
                await started.stop()
        await self._stop()

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
            return await self._with_process(data, request)
        finally:
            self._turn.release()

    async def _with_process(self, data: bytes, request: TranscriptionRequest) -> Transcript:
        for attempt in range(1, _ATTEMPTS + 1):
            link = await self._running_link()
            try:
                return await self._ask(link, data, request)
            except SpeechWorkerLost:
                log.warning("speech_worker_lost", attempt=attempt)
        # Once may be an accident of the machine's; twice it is the recording.
        raise AudioUnsupported("the recording breaks the program that transcribes it")

    async def _ask(
        self, link: SpeechWorkerLink, data: bytes, request: TranscriptionRequest
    ) -> Transcript:
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                return await link.transcribe(data, request)
        except (AudioUnsupported, AudioEmpty, AudioTooLong):
            raise  # the process is as good as before
        except TimeoutError as exc:
            await asyncio.shield(self._stop())
            log.warning("speech_worker_too_slow", seconds=self._settings.timeout_seconds)
            raise SpeechUnavailable(
                f"transcribing takes longer than {self._settings.timeout_seconds:g} seconds"
            ) from exc
        except BaseException:
            await asyncio.shield(self._stop())
            raise

    async def _running_link(self) -> SpeechWorkerLink:
        if self._is_closed:
            raise SpeechUnavailable("the product is being stopped")
        if self._link is not None and self._link.alive:
            return self._link
        await self._stop()
        # Fetching the model the first time outlasts a request: it goes on without who asked.
        starting = self._starting or asyncio.create_task(self._start(), name="speech-worker-start")
        self._starting = starting
        try:
            async with asyncio.timeout(self._settings.queue_seconds):
                self._link = await asyncio.shield(starting)
        except TimeoutError as exc:
            raise SpeechUnavailable("the speech model is still being fetched") from exc
        finally:
            if starting.done():
                self._starting = None
        return self._link

    async def _start(self) -> SpeechWorkerLink:
        link = await SpeechWorkerLink.start(await self._find_model(), self._settings)
        log.info("speech_worker_started", pid=link.pid)
        return link

    async def _stop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.stop()


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
