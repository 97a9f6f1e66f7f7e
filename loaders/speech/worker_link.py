"""One running process that transcribes, as the server holds it."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from loaders.speech.errors import SpeechUnavailable, SpeechWorkerLost
from loaders.speech.settings import SpeechSettings
from loaders.speech.transcript import Transcript
from loaders.speech.wire import (
    LARGEST_FRAME_BYTES,
    LENGTH,
    Heard,
    TranscriptionRequest,
    pack,
    unpack_answer,
    unpack_ready,
)

START_TIMEOUT_SECONDS = 90.0
_WRITTEN_AT_ONCE_BYTES = 1024 * 1024

OnHeard = Callable[[Heard], None]

_PROJECT = Path(__file__).resolve().parent.parent.parent


class SpeechWorkerLink:
    """Starts the process with `start`, hands it one recording at a time."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be given work."""
        return self._process.returncode is None and not self._reader.at_eof()

    @classmethod
    async def start(
        cls, model_dir: Path, settings: SpeechSettings, *, niceness: int = 0
    ) -> "SpeechWorkerLink":
        """Start the process and wait until its model is loaded.

        Args:
            model_dir: the model.
            settings: what it may take.
            niceness: how far it steps back behind others who want the processors.

        Raises:
            SpeechUnavailable: It did not come up.
        """
        control, theirs = socket.socketpair()
        with theirs:
            try:
                process = await _spawn(theirs.fileno(), model_dir, settings, niceness)
            except BaseException:
                control.close()
                raise
        reader, writer = await asyncio.open_unix_connection(sock=control)
        link = cls(process, reader, writer)
        try:
            await link._until_ready()
        except BaseException:
            await asyncio.shield(link.stop())
            raise
        return link

    async def transcribe(
        self, data: bytes, request: TranscriptionRequest, *, on_heard: OnHeard | None = None
    ) -> Transcript:
        """Have one recording transcribed. After a time limit or a cancellation, `stop`.

        Args:
            data: the recording.
            request: what it is, and how to take it.
            on_heard: told after each piece of it how far it is recognised.

        Raises:
            SpeechError: It cannot be.
            SpeechWorkerLost: The process ended, or said something that makes no sense.
        """
        try:
            self._writer.write(pack(request))
            view = memoryview(data)
            for start in range(0, len(data), _WRITTEN_AT_ONCE_BYTES):
                self._writer.write(view[start : start + _WRITTEN_AT_ONCE_BYTES])
                await self._writer.drain()
        except OSError as exc:
            raise SpeechWorkerLost("the process that transcribes has ended") from exc
        while isinstance(answer := unpack_answer(await self._receive()), Heard):
            if on_heard is not None:
                on_heard(answer)
        return answer

    async def stop(self) -> None:
        """End the process at once: it keeps nothing that could be lost."""
        self._writer.close()
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _until_ready(self) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                ready = unpack_ready(await self._receive())
        except TimeoutError as exc:
            raise SpeechUnavailable("the process that transcribes did not start in time") from exc
        if ready.problem is not None:
            raise SpeechUnavailable(f"the process that transcribes did not start: {ready.problem}")

    async def _receive(self) -> bytes:
        try:
            (size,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
            if size > LARGEST_FRAME_BYTES:
                raise SpeechWorkerLost("the process that transcribes said too much")
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as exc:
            raise SpeechWorkerLost("the process that transcribes has ended") from exc


async def _spawn(
    descriptor: int, model_dir: Path, settings: SpeechSettings, niceness: int
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "loaders.speech.worker",
        str(descriptor),
        str(model_dir),
        str(settings.used_threads),
        str(settings.memory_mib),
        str(niceness),
        pass_fds=(descriptor,),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(settings),
        cwd=_PROJECT,
        start_new_session=True,
    )


def _environment(settings: SpeechSettings) -> dict[str, str]:
    """All that the process gets to know of its surroundings: no secret is among it."""
    return {
        "PATH": os.defpath,
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(settings.used_threads),
        # Threads that spin while they wait starve whoever shares their processors.
        "OMP_WAIT_POLICY": "PASSIVE",
        "TQDM_MONITOR_INTERVAL": "0",
    }
