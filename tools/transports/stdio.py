"""A server in a child process, which speaks over its standard input and output.

The SDK has a stdio client too; this one also ends the child and what it started when the product
is killed, bounds the size of a message, keeps what the child wrote to its standard error, and
closes in bounded time.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp import types
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from tools.budget import ByteBudget, MessageBudget
from tools.config import StdioServer
from tools.errors import (
    AnswerTooIntricate,
    AnswerTooLarge,
    CallRejected,
    ServerLost,
    ServerUnavailable,
)
from tools.transports import MESSAGE_MAX_BYTES, Observer, Streams
from tools.transports.error_output import ErrorOutput
from tools.transports.guardian import Guardian
from tools.transports.intricacy import admit
from tools.transports.lines import LineSplitter, SkippedLine
from tools.transports.messages import find_answered, read_message, write_message

PIPE_BYTES = 256 * 1024
"""How much is read at once, and read ahead before the server has to wait."""
EXIT_GRACE_SECONDS = 1.0
TERMINATE_GRACE_SECONDS = 1.0
KILL_GRACE_SECONDS = 1.0
"""How long a process may take to end that was not asked: one that waits for a disk does not."""
DRAIN_SECONDS = 1.0
STDERR_BYTES = 4096

_BY_PEOPLE = frozenset({"tools/call", "prompts/get", "resources/read", "completion/complete"})
"""What carries something that somebody said."""

_ToSession: TypeAlias = MemoryObjectSendStream[SessionMessage | Exception]
_FromSession: TypeAlias = MemoryObjectReceiveStream[SessionMessage]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Child:
    """A started server and its three pipes."""

    process: Process
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader


class StdioTransport:
    """Starts the server's command for each session, in a process group of its own."""

    kind: Literal["stdio"] = "stdio"

    def __init__(self, name: str, config: StdioServer) -> None:
        self._name = name
        self._config = config
        self._process: Process | None = None
        self._stderr = ErrorOutput(_secrets_of(config))
        self._is_polluted = False

    def has_ended(self) -> bool:
        """Ask the kernel: the loop learns of a death only some rounds later."""
        if self._process is None:
            return False
        try:
            state = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        return state is not None

    @asynccontextmanager
    async def open(self, observer: Observer) -> AsyncIterator[Streams]:
        """Start the command and connect to it.

        Raises:
            ServerUnavailable: The command cannot be started.
        """
        self._stderr = ErrorOutput(_secrets_of(self._config))
        async with Guardian() as guardian:
            child = await self._start(guardian.environment)
            self._process = child.process
            try:
                async with self._connect(child, observer) as streams:
                    yield streams
            finally:
                _signal_group(child.process, signal.SIGKILL)
                await guardian.sweep()
                await _drain(child)

    @asynccontextmanager
    async def _connect(self, child: _Child, observer: Observer) -> AsyncIterator[Streams]:
        to_session, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        to_server, from_session = anyio.create_memory_object_stream[SessionMessage](0)
        async with (
            to_session,
            from_server,
            to_server,
            from_session,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(self._read, child.stdout, to_session, observer)
            tasks.start_soon(self._write, child.stdin, from_session, observer)
            tasks.start_soon(self._keep_stderr, child.stderr)
            try:
                yield from_server, to_server
            finally:
                await _end(child)
                tasks.cancel_scope.cancel()

    def explain(self, error: BaseException) -> str:
        """Quote the last line that the server wrote to its standard error, without its secrets."""
        if isinstance(error, ServerUnavailable) and not isinstance(error, ServerLost):
            return str(error)
        said = self._stderr.last_line()
        return f"its process ended: {said}" if said else "its process ended"

    async def _start(self, mark: dict[str, str]) -> _Child:
        given = {name: value.get_secret_value() for name, value in self._config.env.items()}
        environment = {**get_default_environment(), **given, **mark}
        launcher = await asyncio.to_thread(_find_launcher, self._config.command, environment)
        try:
            process = await asyncio.create_subprocess_exec(
                *launcher,
                *self._config.args,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=environment,
                cwd=self._config.cwd,
                limit=PIPE_BYTES,
                start_new_session=True,
            )
        except OSError as error:
            raise ServerUnavailable("its command cannot be started") from error
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ServerUnavailable("its command has no pipes")
        return _Child(
            process=process, stdin=process.stdin, stdout=process.stdout, stderr=process.stderr
        )

    async def _read(
        self, stdout: asyncio.StreamReader, to_session: _ToSession, observer: Observer
    ) -> None:
        splitter, budget, in_bytes = LineSplitter(MESSAGE_MAX_BYTES), MessageBudget(), ByteBudget()
        async with to_session:
            while piece := await stdout.read(PIPE_BYTES):
                await in_bytes.spend(len(piece))
                for line in splitter.split(piece):
                    if (message := await self._understand(line, in_bytes, observer)) is None:
                        await budget.spend()
                        continue
                    try:
                        await to_session.send(SessionMessage(message))
                    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                        return

    async def _understand(
        self, line: bytes | SkippedLine, budget: ByteBudget, observer: Observer
    ) -> types.JSONRPCMessage | None:
        if isinstance(line, SkippedLine):
            _log.warning("mcp_message_too_large", server=self._name, limit_bytes=MESSAGE_MAX_BYTES)
            if line.is_answer:
                observer.drop(line.number, AnswerTooLarge(MESSAGE_MAX_BYTES))
            return None
        try:
            await admit(line, budget)
        except AnswerTooIntricate as error:
            if (number := find_answered(line)) is not None:
                observer.drop(number, error)
            return None
        if (message := read_message(line)) is not None:
            return message
        if (number := find_answered(line)) is not None:
            observer.drop(number, CallRejected("its answer cannot be read"))
        if line.strip() and not self._is_polluted:
            # Real servers print banners and warnings where only messages belong.
            self._is_polluted = True
            _log.warning("mcp_stdout_polluted", server=self._name)
        return None

    async def _write(
        self, stdin: asyncio.StreamWriter, from_session: _FromSession, observer: Observer
    ) -> None:
        async with from_session:
            async for sent in from_session:
                request = sent.message.root
                try:
                    line = write_message(sent)
                except CallRejected as error:
                    if isinstance(request, types.JSONRPCRequest):
                        observer.drop(request.id, error)
                    continue
                if isinstance(request, types.JSONRPCRequest) and request.method in _BY_PEOPLE:
                    # From here on it may repeat what somebody has said.
                    self._stderr.close()
                stdin.write(line + b"\n")
                try:
                    await stdin.drain()
                except ConnectionError:
                    return

    async def _keep_stderr(self, stderr: asyncio.StreamReader) -> None:
        budget = MessageBudget()
        while piece := await stderr.read(STDERR_BYTES):
            await budget.spend()
            self._stderr.take(piece)


def _secrets_of(config: StdioServer) -> list[str]:
    return [*(value.get_secret_value() for value in config.env.values()), *config.args]


def _find_launcher(command: str, environment: dict[str, str]) -> list[str]:
    """Return the command, told to the kernel to be killed when this process dies, however it dies.

    Without util-linux's `setpriv` a server still sees the end of its input and should leave.
    """
    found = shutil.which(command, path=environment.get("PATH"))
    if found is None:
        raise ServerUnavailable("its command is not installed")
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", found] if setpriv else [found]


async def _end(child: _Child) -> None:
    """Close the input, then ask, then force; bounded by the three grace times."""
    process = child.process
    with anyio.CancelScope(shield=True):
        child.stdin.close()
        if await _exits(process, EXIT_GRACE_SECONDS):
            return
        _signal_group(process, signal.SIGTERM)
        if await _exits(process, TERMINATE_GRACE_SECONDS):
            return
        _signal_group(process, signal.SIGKILL)
        await _exits(process, KILL_GRACE_SECONDS)


async def _drain(child: _Child) -> None:
    """Read to the end what nobody took: a pipe is closed only then."""
    for pipe in (child.stdout, child.stderr):
        with anyio.CancelScope(shield=True), anyio.move_on_after(DRAIN_SECONDS):
            while await pipe.read(PIPE_BYTES):
                pass


async def _exits(process: Process, seconds: float) -> bool:
    with anyio.move_on_after(seconds):
        await process.wait()
    return process.returncode is not None


def _signal_group(process: Process, number: signal.Signals) -> None:
    """Reach the command and whatever it started; the group bears the id of its first process."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
