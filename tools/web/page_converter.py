"""HTML as Markdown, made in a process that lives for one page and may take only so much."""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tools.errors import PageUnreadable

COMMAND = (sys.executable, "-m", "tools.web.conversion")
ANSWER_MAX_BYTES = 16 * 1024 * 1024
AT_ONCE = 2
START_SECONDS = 10.0
"""How long the process may take to begin, beside what the page may take."""
_PIECE_BYTES = 256 * 1024
_PROJECT = Path(__file__).resolve().parents[2]
_ENVIRONMENT = {"PATH": os.defpath, "HOME": "/nonexistent", "LANG": "C.UTF-8"}


@dataclass(frozen=True, kw_only=True)
class ConvertedPage:
    """What a page says."""

    title: str = field(repr=False)
    markdown: str = field(repr=False)


class PageConverter:
    """Starts the processes, few at a time."""

    def __init__(self, *, seconds: float, memory_mib: int) -> None:
        self._seconds = seconds
        self._memory_mib = memory_mib
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def convert(self, page: bytes, *, url: str, charset: str | None) -> ConvertedPage:
        """Read a page.

        Raises:
            PageUnreadable: It takes too much, or the process broke.
        """
        head = {
            "url": url,
            "charset": charset,
            "seconds": self._seconds,
            "memory_mib": self._memory_mib,
        }
        async with self._turns:
            process = await _start()
            try:
                async with asyncio.timeout(START_SECONDS + self._seconds):
                    told = await _ask(process, json.dumps(head).encode("ascii") + b"\n" + page)
            except TimeoutError as exc:
                raise PageUnreadable("The page takes too long to be read.") from exc
            finally:
                await _end(process)
        return _read(told)


async def _start() -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd=_PROJECT,
            start_new_session=True,
        )
    except OSError as exc:
        raise PageUnreadable("No page can be read right now.") from exc


async def _ask(process: asyncio.subprocess.Process, question: bytes) -> bytes:
    """The process reads all before it answers."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    with suppress(ConnectionError):
        process.stdin.write(question)
        await process.stdin.drain()
    process.stdin.close()
    told = bytearray()
    while piece := await process.stdout.read(_PIECE_BYTES):
        told += piece
        if len(told) > ANSWER_MAX_BYTES:
            raise PageUnreadable("The page says too much.")
    return bytes(told)


async def _end(process: asyncio.subprocess.Process) -> None:
    """It has nothing to lose; it must be gone also if whoever waits for it is."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(process.wait())


def _read(told: bytes) -> ConvertedPage:
    try:
        answer = json.loads(told)
        return ConvertedPage(title=str(answer["title"]), markdown=str(answer["markdown"]))
    except (ValueError, RecursionError, KeyError, TypeError) as exc:
        raise PageUnreadable("The page cannot be read.") from exc
