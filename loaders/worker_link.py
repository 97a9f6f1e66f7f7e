"""One running process that reads files, as the server holds it."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from loaders.errors import LoaderTimeout, LoaderUnavailable
from loaders.limits import ReadLimits
from loaders.wire import (
    LARGEST_MESSAGE_BYTES,
    PROGRESS_BYTES,
    Ended,
    KillRequest,
    Progress,
    ReadRequest,
    Ready,
    Request,
    StartRequest,
    pack,
    short_name,
    unpack_progress,
    unpack_report,
)

START_TIMEOUT_SECONDS = 90.0
STOP_TIMEOUT_SECONDS = 5.0
KILL_TIMEOUT_SECONDS = 5.0
PROGRESS_SECONDS = 0.25
"""How often it is looked how far a file is read."""

COMMAND = (sys.executable, "-m", "loaders.worker")
"""What is started, with the number of its socket's descriptor behind."""

_PROJECT = Path(__file__).resolve().parent.parent
# All that the process gets to know of its surroundings: no secret is among it.
_ENVIRONMENT = {
    "PATH": os.defpath,
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "DO_NOT_TRACK": "true",
    "SCARF_NO_ANALYTICS": "true",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
    "OMP_NUM_THREADS": "1",
    "OMP_THREAD_LIMIT": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


OnProgress = Callable[[int, int], None]
"""Takes how many pages are read, and of how many."""


class WorkerGone(LoaderUnavailable):
    """The reading process ended while it was at work."""


@dataclass(frozen=True, kw_only=True)
class ReadFiles:
    """What a file is read from and into."""

    source: BinaryIO
    target: BinaryIO
    notes: BinaryIO
    """Where the reader notes how far it is."""


class WorkerLink:
    """Starts the process with `start`, hands it files, hears of their end."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._jobs: dict[int, asyncio.Future[int]] = {}
        self._numbers = count(1)
        self._ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self.alive = True
        """Whether it can be given work."""
        self.ocr_problem: str | None = None
        """Why pictures cannot be read, if they cannot."""
        asyncio.get_running_loop().add_reader(control.fileno(), self._listen)

    @property
    def pid(self) -> int:
        """The process that forks for each file."""
        return self._process.pid

    @classmethod
    async def start(cls, request: StartRequest) -> "WorkerLink":
        """Start the process and wait until its parsers are loaded.

        Raises:
            LoaderUnavailable: it did not come up.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            control.setblocking(False)
            try:
                process = await asyncio.create_subprocess_exec(
                    *COMMAND,
                    str(theirs.fileno()),
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    env=_ENVIRONMENT,
                    cwd=_PROJECT,
                    start_new_session=True,
                )
            except BaseException:
                control.close()
                raise
        link = cls(process, control)
        try:
            link._send(request)
            await link._until_ready()
        except BaseException:
            await asyncio.shield(link.stop())
            raise
        return link

    async def read(
        self,
        files: ReadFiles,
        *,
        filename: str,
        limits: ReadLimits,
        on_progress: OnProgress | None = None,
    ) -> int:
        """Have one file read; gives the exit code.

        Cancelling kills the process that reads it.

        Raises:
            LoaderTimeout: it took too long; its process is gone.
            WorkerGone: the whole reading process ended meanwhile.
        """
        job = next(self._numbers)
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._jobs[job] = ended
        try:
            self._send(
                ReadRequest(job=job, filename=short_name(filename), limits=limits),
                [files.source.fileno(), files.target.fileno(), files.notes.fileno()],
            )
            await wait_for_end(ended, files.notes.fileno(), limits, on_progress)
            return ended.result()
        except LoaderTimeout:
            await self._kill(job, ended)
            raise
        finally:
            if not ended.done():
                self._send(KillRequest(job=job))

    async def stop(self) -> None:
        """End the process and all that it started."""
        self._hang_up()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _until_ready(self) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                ready = await self._ready
        except TimeoutError as exc:
            raise LoaderUnavailable("the process that reads files did not start in time") from exc
        if ready.problem is not None:
            raise LoaderUnavailable(f"the process that reads files did not start: {ready.problem}")
        self.ocr_problem = ready.ocr_problem

    async def _kill(self, job: int, ended: asyncio.Future[int]) -> None:
        self._send(KillRequest(job=job))
        with suppress(TimeoutError, WorkerGone):
            async with asyncio.timeout(KILL_TIMEOUT_SECONDS):
                await asyncio.shield(ended)

    def _send(self, message: Request, descriptors: list[int] | None = None) -> None:
        if not self.alive:
            raise WorkerGone("the process that reads files has ended")
        try:
            socket.send_fds(self._control, [pack(message)], descriptors or [])
        except OSError as exc:
            self._hang_up()
            raise WorkerGone("the process that reads files has ended") from exc

    def _listen(self) -> None:
        try:
            packet = self._control.recv(LARGEST_MESSAGE_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            packet = b""
        if not packet:
            self._hang_up()
            return
        report = unpack_report(packet)
        if isinstance(report, Ended):
            ended = self._jobs.pop(report.job, None)
            if ended is not None and not ended.done():
                ended.set_result(report.exit_code)
        elif not self._ready.done():
            self._ready.set_result(report)

    def _hang_up(self) -> None:
        if not self.alive:
            return
        self.alive = False
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self._control.close()
        if not self._ready.done():
            self._ready.set_result(Ready(problem="it ended at once"))
        jobs, self._jobs = self._jobs, {}
        for ended in jobs.values():
            if not ended.done():
                ended.set_exception(WorkerGone("the process that reads files has ended"))
                ended.exception()  # its reader may have been cancelled and never ask


async def wait_for_end(
    ended: asyncio.Future[int],
    notes: int,
    limits: ReadLimits,
    on_progress: OnProgress | None,
) -> None:
    """Wait for the end of a file's reading, and longer for one that gets on.

    Raises:
        LoaderTimeout: one step took too long, or all of them.
    """
    now = asyncio.get_running_loop().time
    last: Progress | None = None
    total_end = now() + limits.total_seconds
    step_end = now() + limits.seconds
    while not ended.done():
        left = min(step_end, total_end) - now()
        if left <= 0:
            raise _too_long(limits, last, in_all=total_end <= step_end)
        await asyncio.wait([ended], timeout=min(left, PROGRESS_SECONDS))
        progress = unpack_progress(os.pread(notes, PROGRESS_BYTES, 0))
        if progress is None or progress == last:
            continue
        last = progress
        step_end = now() + limits.seconds
        if on_progress is not None:
            on_progress(progress.done, progress.total)


def _too_long(limits: ReadLimits, progress: Progress | None, *, in_all: bool) -> LoaderTimeout:
    if in_all:
        return LoaderTimeout(f"reading the file takes longer than {limits.total_seconds:g} seconds")
    what = "the file" if progress is None else f"page {progress.done + 1} of the file"
    return LoaderTimeout(f"reading {what} takes longer than {limits.seconds:g} seconds")
