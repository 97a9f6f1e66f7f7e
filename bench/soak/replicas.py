"""Replicas of the product: real processes on one database, killed and started again."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil

from bench.processes import LOG_TAIL_CHARS, BenchmarkError, free_port

READY_TIMEOUT_SECONDS = 120.0
STOP_TIMEOUT_SECONDS = 20.0
ORPHAN_GRACE_SECONDS = 10.0
POLL_SECONDS = 0.05


@dataclass(kw_only=True)
class Replica:
    """One place in which processes of the product follow each other."""

    name: str
    port: int
    folder: Path
    environment: Mapping[str, str]
    life: int = 0
    """Which process this is, counted from 1."""
    ready: bool = False
    ready_at: float = 0.0
    """Since when it answers, by the monotonic clock."""
    children: set[psutil.Process] = field(default_factory=set)
    """What the processes that ended had started."""
    ready_seconds: list[float] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What its processes wrote."""
        return self.folder / "log"

    def start(self) -> None:
        """Starts the next process."""
        self.life += 1
        self.ready = False
        self.folder.mkdir(exist_ok=True)
        self._process = self._run("serve")

    async def until_ready(self, http: aiohttp.ClientSession) -> None:
        """Waits until this process answers; returns when it is ended before.

        Raises:
            BenchmarkError: It ended by itself, or did not answer in time.
        """
        process, started = self._process, time.monotonic()
        assert process is not None
        while time.monotonic() < started + READY_TIMEOUT_SECONDS and process is self._process:
            if process.poll() is not None:
                break
            if await _answers(http, self.url):
                self.ready, self.ready_at = process is self._process, time.monotonic()
                self.ready_seconds.append(self.ready_at - started)
                return
            await asyncio.sleep(POLL_SECONDS)
        if process is self._process:
            tail = self.log.read_text(errors="replace")[-LOG_TAIL_CHARS:]
            raise BenchmarkError(f"replica {self.name} did not get ready; its log ends:\n{tail}")

    async def end(self, number: signal.Signals) -> float:
        """Ends the process by a signal and returns when that was sent, by the monotonic clock."""
        process, self._process, self.ready = self._process, None, False
        assert process is not None
        with contextlib.suppress(psutil.NoSuchProcess):  # it may have ended by itself
            self.children.update(psutil.Process(process.pid).children(recursive=True))
        moment = time.monotonic()
        process.send_signal(number)
        try:
            await asyncio.to_thread(process.wait, STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
        return moment

    async def verify_audit(self) -> bool:
        """Whether the product finds the audit trail whole, beside its running processes."""
        return await asyncio.to_thread(self._run("audit", "verify").wait) == 0

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        own = {"API__PORT": str(self.port), "DATA_DIR": str(self.folder / "data")}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(Path(sys.executable).with_name("youworker")), *command],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment, **own},
            )

    @property
    def alive(self) -> bool:
        """Whether there is a process that nobody has ended yet."""
        return self._process is not None


class Replicas:
    """All replicas, for clients that go to whichever lives."""

    def __init__(self, replicas: list[Replica], http: aiohttp.ClientSession) -> None:
        self.all = replicas
        self._http = http
        self._starting: set[asyncio.Task[None]] = set()

    def start(self, replica: Replica) -> None:
        """Starts a replica; it joins when it is ready."""
        replica.start()
        task = asyncio.create_task(replica.until_ready(self._http))
        self._starting.add(task)

    async def until_all_ready(self) -> None:
        """Waits for all that are starting.

        Raises:
            BenchmarkError: One did not get ready.
        """
        await asyncio.gather(*self._starting)

    async def pick(self, chance: random.Random) -> Replica:
        """One that answers; waits for one if none does.

        Raises:
            BenchmarkError: None gets ready any more.
        """
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if living := [replica for replica in self.all if replica.ready]:
                return chance.choice(living)
            await asyncio.sleep(POLL_SECONDS)
        raise BenchmarkError("no replica answers")

    async def orphans(self) -> list[str]:
        """What processes that were ended left behind, after a moment of grace."""
        children = [child for replica in self.all for child in replica.children]
        deadline = time.monotonic() + ORPHAN_GRACE_SECONDS
        while children and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            children = [child for child in children if _runs(child)]
        return [f"process {child.pid}" for child in children]


@asynccontextmanager
async def open_replicas(
    names: str, folder: Path, environment: Mapping[str, str], http: aiohttp.ClientSession
) -> AsyncIterator[Replicas]:
    """Starts one replica for each letter, waits until all answer, and stops them at the end."""
    every = [
        Replica(name=name, port=free_port(), folder=folder / name, environment=environment)
        for name in names
    ]
    replicas = Replicas(every, http)
    try:
        for replica in every:
            replicas.start(replica)
        await replicas.until_all_ready()
        yield replicas
    finally:
        living = [replica for replica in every if replica.alive]
        await asyncio.gather(*(replica.end(signal.SIGTERM) for replica in living))


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/health") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
