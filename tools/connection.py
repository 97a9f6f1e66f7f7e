"""A server and the session that is held with it, through its deaths and its returns."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any

import structlog
from mcp import types

from tools.errors import CallTimeout, ServerUnavailable, ToolsError
from tools.session import HeldSession, SessionEnded, Signal
from tools.transports import Transport
from tools.wire import CALLER_META_KEY

CLOSE_TIMEOUT_SECONDS = 4.0
RETRY_FIRST_SECONDS = 1.0
RETRY_MAX_SECONDS = 60.0
STABLE_SECONDS = 30.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServerStatus:
    """How a server is now."""

    name: str
    transport: str
    """`memory`, `stdio` or `http`."""
    healthy: bool
    tools: int
    error: str | None
    """Why it is not healthy, free of secrets."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long to wait for a server."""

    connect_seconds: float
    call_seconds: float


class ServerConnection:
    """Holds a session with one server and opens a new one whenever it ends.

    A session lives in a task of its own, because the scopes inside it must be left by the task that
    entered them; callers come and go in theirs.
    """

    def __init__(
        self, name: str, transport: Transport, *, limits: Limits, receives_caller: bool = False
    ) -> None:
        self.name = name
        self.receives_caller = receives_caller
        self.tools: tuple[types.Tool, ...] = ()
        self._transport = transport
        self._limits = limits
        self._session: HeldSession | None = None
        self._signals: dict[Signal, None] = {}
        self._signalled = asyncio.Event()
        self._wanted = asyncio.Event()
        self._closing = asyncio.Event()
        self._error: str | None = "it is still starting"
        self._outcome: asyncio.Future[HeldSession | str]
        self._outcome = asyncio.get_running_loop().create_future()
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def status(self) -> ServerStatus:
        """How the server is now, without asking it."""
        return ServerStatus(
            name=self.name,
            transport=self._transport.kind,
            healthy=self._session is not None,
            tools=len(self.tools),
            error=self._error,
        )

    async def start(self) -> None:
        """Begin to hold a session, and return when the first attempt has ended either way."""
        outcome = self._outcome
        if self._supervisor is None:
            self._supervisor = asyncio.create_task(self._supervise(), name=f"mcp {self.name}")
        await asyncio.shield(outcome)

    async def close(self) -> None:
        """End the session and stop holding it; takes bounded time."""
        self._closing.set()
        self._wanted.set()
        self._signal(Signal.ENDED)
        if self._supervisor is None:
            return
        late = {self._supervisor}
        if self._session is not None:
            _, late = await asyncio.wait(late, timeout=CLOSE_TIMEOUT_SECONDS)
        if late:
            self._supervisor.cancel()
            await asyncio.wait(late, timeout=CLOSE_TIMEOUT_SECONDS)
        self._settle("it is shut down")

    async def call(
        self, tool: str, arguments: dict[str, Any], *, caller: str | None = None
    ) -> types.CallToolResult:
        """Call a tool within the time limit, opening a session first if there is none.

        Raises:
            CallTimeout: The time limit passed.
            ServerUnavailable: No session could be opened, or it ended during the call.
            CallRejected: The server answered with an error of the protocol.
        """
        meta = {CALLER_META_KEY: caller} if caller and self.receives_caller else None
        try:
            async with asyncio.timeout(self._limits.call_seconds):
                session = await self._ready()
                if not self._transport.has_ended():
                    with contextlib.suppress(SessionEnded):
                        return await session.call(tool, arguments, meta)
                self._retire(session)
                session = await self._ready()
                return await session.call(tool, arguments, meta)
        except SessionEnded as error:
            raise ServerUnavailable("its session ended twice") from error
        except TimeoutError as error:
            limit = f"{self._limits.call_seconds:g}"
            raise CallTimeout(f"it did not answer within {limit} seconds") from error

    async def refresh(self) -> None:
        """Ask for the tools again; a server that is away is tried now.

        It does not raise: a failure shows in the status.
        """
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                session = await self._ready()
        except (TimeoutError, ServerUnavailable):
            return
        await self._list_tools(session)

    async def _list_tools(self, session: HeldSession) -> None:
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                self.tools = await session.discover()
        except SessionEnded:
            self._retire(session)
        except (TimeoutError, ToolsError) as error:
            _log.warning("mcp_tools_not_listed", server=self.name, error=type(error).__name__)

    async def _ready(self) -> HeldSession:
        if self._session is not None:
            return self._session
        if self._closing.is_set():
            raise ServerUnavailable("it is shut down")
        self._wanted.set()
        outcome = await asyncio.shield(self._outcome)
        if isinstance(outcome, str):
            raise ServerUnavailable(outcome)
        return outcome

    async def _supervise(self) -> None:
        delay = RETRY_FIRST_SECONDS
        while not self._closing.is_set():
            outcome, began = self._outcome, time.monotonic()
            self._wanted.clear()
            holder = asyncio.create_task(self._hold(), name=f"mcp session {self.name}")
            try:
                await asyncio.wait({holder})
            except asyncio.CancelledError:
                holder.cancel()
                await asyncio.wait({holder}, timeout=CLOSE_TIMEOUT_SECONDS)
                raise
            error = self._explain(holder)
            if not outcome.done():
                # The attempt failed: whoever waited for it hears so, and need not be waited on.
                self._settle(error)
                self._wanted.clear()
            if self._closing.is_set():
                return
            _log.warning("mcp_server_away", server=self.name, error=self._error)
            delay = RETRY_FIRST_SECONDS if time.monotonic() - began > STABLE_SECONDS else delay
            await self._rest(delay)
            delay = min(delay * 2, RETRY_MAX_SECONDS)

    async def _rest(self, seconds: float) -> None:
        """Wait before the next attempt, unless somebody wants the server now."""
        try:
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        except TimeoutError:
            return

    async def _hold(self) -> None:
        """Open a session and keep it until it ends."""
        loop = asyncio.get_running_loop()
        self._signals.clear()
        self._signalled.clear()
        async with (
            asyncio.timeout(self._limits.connect_seconds) as deadline,
            self._transport.open(lambda: self._signal(Signal.SUSPECT)) as streams,
            HeldSession(
                streams, signal=self._signal, loses_messages=self._transport.loses_messages
            ) as session,
        ):
            await session.initialize()
            self.tools = await session.discover()
            deadline.reschedule(None)
            self._settle(session)
            try:
                await self._watch(session)
            finally:
                self._retire(session)
                deadline.reschedule(loop.time() + CLOSE_TIMEOUT_SECONDS)

    async def _watch(self, session: HeldSession) -> None:
        """Act on what the session tells until it has ended."""
        while not self._closing.is_set():
            await self._signalled.wait()
            self._signalled.clear()
            told, self._signals = self._signals, {}
            if Signal.ENDED in told or Signal.BROKEN in told:
                return
            if Signal.SUSPECT in told and not await session.is_alive():
                return
            if Signal.TOOLS_CHANGED in told:
                await self._list_tools(session)

    def _signal(self, signal: Signal) -> None:
        self._signals[signal] = None
        self._signalled.set()

    def _settle(self, outcome: HeldSession | str) -> None:
        """Tell everybody who waits how an attempt ended."""
        if isinstance(outcome, str):
            self._session, self._error = None, outcome
        else:
            self._session, self._error = outcome, None
            _log.info("mcp_server_ready", server=self.name, tools=len(self.tools))
        self._outcome.set_result(outcome)
        self._outcome = asyncio.get_running_loop().create_future()

    def _retire(self, session: HeldSession) -> None:
        """Let nobody use a session that has ended."""
        if self._session is session:
            self._session, self._error = None, "the connection to it was lost"
            self._signal(Signal.ENDED)

    def _explain(self, holder: asyncio.Task[None]) -> str:
        error = None if holder.cancelled() else holder.exception()
        if error is None:
            return "the connection to it was lost"
        cause = _first_cause(error)
        if isinstance(cause, TimeoutError):
            return "it did not start in time"
        return self._transport.explain(cause)


def _first_cause(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
