"""The child process as its parent sees it: started, waited for, stopped."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections import deque
from dataclasses import asdict
from pathlib import Path

import structlog

from graph.llm.embedded.errors import ModelServerFailed
from graph.llm.embedded.orders import Orders

READY_TIMEOUT_SECONDS = 120.0
STOP_TIMEOUT_SECONDS = 5.0
LAST_WORDS_LINES = 20

READY_LINE = b"ready\n"
PROJECT_ROOT = Path(__file__).resolve().parents[3]

_PASSED_VARIABLES = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_PASSED_PREFIXES = ("LC_", "PYTHON", "COVERAGE_")

_log = structlog.get_logger(__name__)


class ChildProcess:
    """One child at a time; when it has ended, another one may be started."""

    def __init__(self, listener: socket.socket, orders: Orders) -> None:
        self._listener = listener
        self._orders = orders
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS_LINES)

    async def start(self) -> None:
        """Start a child and wait until it accepts requests."""
        self._last_words.clear()
        handle = self._listener.fileno()
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "graph.llm.embedded",
            str(handle),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=[handle],
            cwd=PROJECT_ROOT,
            env=_child_environment(),
        )
        self._reader = asyncio.create_task(self._listen_to(process), name="embedded-model-stderr")
        await self._give_orders(process)
        await self._await_ready(process)
        _log.info("embedded_model_ready", model=self._orders.chat_model, pid=process.pid)

    async def wait(self) -> int:
        """Wait for the child to end; return its exit code."""
        if self._process is None:
            raise ModelServerFailed("The model server was not started.")
        code = await self._process.wait()
        await self._hear_out()
        return code

    async def stop(self) -> None:
        """End the child: kindly, then not."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        await self._hear_out()

    async def _give_orders(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None:
            raise ModelServerFailed("The model server has no standard input.")
        process.stdin.write(json.dumps(asdict(self._orders)).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()

    async def _await_ready(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            raise ModelServerFailed("The model server has no standard output.")
        try:
            async with asyncio.timeout(READY_TIMEOUT_SECONDS):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
            process.kill()
        if line != READY_LINE:
            code = await self.wait()
            words = " ".join(self._last_words) or "it said nothing."
            raise ModelServerFailed(
                f"The embedded model server ended with code {code} before it was ready: {words}"
            )

    async def _listen_to(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is None:
            return
        async for line in process.stderr:
            text = line.decode("utf-8", errors="replace").strip()
            self._last_words.append(text)
            _log.debug("embedded_model_said", line=text)

    async def _hear_out(self) -> None:
        """Read what is left in the pipe; a grandchild could hold it open, so not for ever."""
        if self._reader is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._reader, STOP_TIMEOUT_SECONDS)
            self._reader = None


def _child_environment() -> dict[str, str]:
    """What the child needs of the environment: the product's secrets are none of its business."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_VARIABLES or name.startswith(_PASSED_PREFIXES)
    }
    return passed | {
        # Waiting OpenMP threads that spin would starve every other process of the machine.
        "OMP_WAIT_POLICY": "PASSIVE",
        # onnxruntime reports to its maker unless it is told not to before it is loaded.
        "ORT_DISABLE_TELEMETRY": "1",
    }
