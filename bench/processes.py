"""Starts and stops the processes of a benchmark, and reads how much CPU one has used."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from bench.load import Wave, WaveResult

READY_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 10
POLL_SECONDS = 0.02
QUIET_SECONDS = 0.06
QUIET_SHARE = 0.05
SETTLE_TIMEOUT_SECONDS = 3
LOG_TAIL_CHARS = 2000
MIB = 1024 * 1024


class BenchmarkError(RuntimeError):
    """Something could not be started or answered wrongly, so there is nothing to compare."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A process that answers on a port of its own."""

    process: subprocess.Popen[bytes]
    port: int
    seconds_to_ready: float

    @property
    def ports(self) -> list[int]:
        """Where streams go to."""
        return [self.port]

    def cpu_seconds(self) -> float:
        """User and system time of the process and of what it started, to the nanosecond."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return sum(cpu_seconds_of(pid) for pid in (self.process.pid, *(c.pid for c in children)))

    def memory_mib(self) -> float:
        """Resident memory of the process itself."""
        return psutil.Process(self.process.pid).memory_info().rss / MIB

    def settle(self) -> None:
        """Waits until the work that goes on behind an answer is done."""
        _settle(self.cpu_seconds)


@dataclass(frozen=True, kw_only=True)
class Together:
    """Processes that share a load, and whose CPU is counted as one."""

    members: tuple[Served, ...]

    @property
    def ports(self) -> list[int]:
        """Where streams go to, by turns."""
        return [member.port for member in self.members]

    def cpu_seconds(self) -> float:
        """That of all members."""
        return sum(member.cpu_seconds() for member in self.members)

    def settle(self) -> None:
        """Waits until all are quiet."""
        _settle(self.cpu_seconds)


class LoadGenerator:
    """The process that asks, spoken to by lines of JSON."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, wave: Wave) -> WaveResult:
        """Runs one wave to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(wave)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise BenchmarkError("the load generator died")
        return WaveResult(**json.loads(answer))

    def close(self) -> None:
        """Ends the process by ending its input."""
        self._process.communicate(timeout=STOP_TIMEOUT_SECONDS)


def _settle(cpu_seconds: Callable[[], float]) -> None:
    deadline = time.monotonic() + SETTLE_TIMEOUT_SECONDS
    used = cpu_seconds()
    while time.monotonic() < deadline:
        time.sleep(QUIET_SECONDS)
        before, used = used, cpu_seconds()
        if used - before < QUIET_SECONDS * QUIET_SHARE:
            return


def cpu_seconds_of(pid: int) -> float:
    """CPU time of a process by the clock that POSIX gives every process (Linux numbers it so)."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    ready_path: str,
    log_dir: Path,
    **environment: str,
) -> Iterator[Served]:
    """Runs a server, from the moment that it answers `ready_path` to its end."""
    log_path = log_dir / f"{name}.log"
    started = time.monotonic()
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}{ready_path}", name, log_path)
        yield Served(process=process, port=port, seconds_to_ready=time.monotonic() - started)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, name: str, log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(POLL_SECONDS)
    tail = log.read_text(errors="replace")[-LOG_TAIL_CHARS:]
    raise BenchmarkError(f"{name} did not get ready; the end of its log:\n{tail}")
