"""The process that transcribes one recording after the other, and is replaced when it dies."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from loaders.speech.errors import (
    AudioEmpty,
    AudioTooLong,
    AudioUnsupported,
    SpeechUnavailable,
    SpeechWorkerLost,
)
from loaders.speech.settings import SpeechSettings
from loaders.speech.transcript import Transcript
from loaders.speech.wire import Heard, TranscriptionRequest
from loaders.speech.worker_link import OnHeard, SpeechWorkerLink

_ATTEMPTS = 2

FindModel = Callable[[], Awaitable[Path]]
"""Gives the folder of a CTranslate2 Whisper model, fetching it if need be; raises
`SpeechUnavailable` when there is none to be had."""

log = structlog.get_logger(__name__)


class SpeechProcess:
    """Starts with the first recording. Whoever uses it gives it one at a time."""

    def __init__(
        self,
        settings: SpeechSettings,
        find_model: FindModel,
        *,
        start_seconds: float,
        niceness: int = 0,
    ) -> None:
        self._settings = settings
        self._find_model = find_model
        self._start_seconds = start_seconds
        self._niceness = niceness
        self._link: SpeechWorkerLink | None = None
        self._starting: asyncio.Task[SpeechWorkerLink] | None = None
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._link.pid if self._link is not None else None

    async def transcribe(
        self, data: bytes, request: TranscriptionRequest, *, on_heard: OnHeard | None = None
    ) -> Transcript:
        """What is said in a recording. Cancelling ends the process.

        Args:
            data: the recording.
            request: what it is, and how to take it.
            on_heard: told after each piece of it how far it is recognised.

        Raises:
            SpeechError: it cannot be transcribed, or not now; the class says why.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            link = await self._running_link()
            try:
                return await self._ask(link, data, request, on_heard)
            except SpeechWorkerLost:
                log.warning("speech_worker_lost", attempt=attempt)
        # Once may be an accident of the machine's; twice it is the recording.
        raise AudioUnsupported("the recording breaks the program that transcribes it")

    async def stop(self) -> None:
        """End it, also while it starts; the next recording starts another."""
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.cancel()
            (started,) = await asyncio.gather(starting, return_exceptions=True)
            if isinstance(started, SpeechWorkerLink):
                await started.stop()
        await self._end()

    async def close(self) -> None:
        """End it for good."""
        self._is_closed = True
        await self.stop()

    async def _end(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.stop()

    async def _ask(
        self,
        link: SpeechWorkerLink,
        data: bytes,
        request: TranscriptionRequest,
        on_heard: OnHeard | None,
    ) -> Transcript:
        """A recording that gets on may take as long as it needs: its length is limited."""
        patience = self._settings.timeout_seconds
        try:
            async with asyncio.timeout(patience) as limit:

                def get_on(heard: Heard) -> None:
                    limit.reschedule(asyncio.get_running_loop().time() + patience)
                    if on_heard is not None:
                        on_heard(heard)

                return await link.transcribe(data, request, on_heard=get_on)
        except (AudioUnsupported, AudioEmpty, AudioTooLong):
            raise  # the process is as good as before
        except TimeoutError as exc:
            await asyncio.shield(self._end())
            log.warning("speech_worker_too_slow", seconds=patience)
            raise SpeechUnavailable(f"transcribing takes longer than {patience:g} seconds") from exc
        except BaseException:
            await asyncio.shield(self._end())
            raise

    async def _running_link(self) -> SpeechWorkerLink:
        if self._is_closed:
            raise SpeechUnavailable("the product is being stopped")
        if self._link is not None and self._link.alive:
            return self._link
        await self._end()
        # Fetching the model the first time outlasts a request: it goes on without who asked.
        starting = self._starting or asyncio.create_task(self._start(), name="speech-worker-start")
        self._starting = starting
        try:
            async with asyncio.timeout(self._start_seconds):
                self._link = await asyncio.shield(starting)
        except TimeoutError as exc:
            raise SpeechUnavailable("the speech model is still being fetched") from exc
        finally:
            if starting.done():
                self._starting = None
        return self._link

    async def _start(self) -> SpeechWorkerLink:
        link = await SpeechWorkerLink.start(
            await self._find_model(), self._settings, niceness=self._niceness
        )
        log.info("speech_worker_started", pid=link.pid)
        return link
