"""Holds a session with a server, through its deaths and its returns."""

import asyncio
import time
from collections.abc import Callable

import structlog
from mcp import types

from tools.answers import Answers
from tools.errors import CallRejected, ServerAway, ToolsError
from tools.inbound import SessionProfile
from tools.session import HeldSession, SessionEnded, Signal
from tools.transports import Observer, Transport

CLOSE_TIMEOUT_SECONDS = 4.0
RETRY_FIRST_SECONDS = 1.0
RETRY_MAX_SECONDS = 60.0
STABLE_SECONDS = 30.0
RELIST_SECONDS = 2.0
"""How often the tools are listed at most, however often a server says that they changed."""
STILL_STARTING = "it is still starting"

_SHUT_DOWN = "it is shut down"

_log = structlog.get_logger(__name__)


class SessionHolder:
    """Opens a session, and a new one whenever it ends.

    A session lives in a task of its own, because the scopes inside it must be left by the task that
    entered them; callers come and go in theirs.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        profile: SessionProfile,
        connect_seconds: float,
        is_back: Callable[[], None],
    ) -> None:
        """Args: is_back: told whenever a session was opened."""
        self.tools: tuple[types.Tool, ...] = ()
        self.error: str | None = STILL_STARTING
        """Why there is no session, free of secrets."""
        self.transport = transport
        self._name = name
        self._profile = profile
        self._connect_seconds = connect_seconds
        self._is_back = is_back
        self._told: list[Callable[[tuple[types.Tool, ...]], None]] = []
        self._session: HeldSession | None = None
        self._signals: dict[Signal, None] = {}
        self._signalled = asyncio.Event()
        self._wanted = asyncio.Event()
        self._tools_changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._outcome: asyncio.Future[HeldSession | str]
        self._outcome = asyncio.get_running_loop().create_future()
        self._supervisor: asyncio.Task[None] | None = None

    def on_tools(self, told: Callable[[tuple[types.Tool, ...]], None]) -> None:
        """Have somebody told of the tools whenever they change."""
        self._told.append(told)

    def begin(self) -> "asyncio.Future[HeldSession | str]":
        """Begin to hold a session; what is returned is done when the first attempt has ended."""
        outcome = self._outcome
        if self._closing.is_set():
            self._settle(_SHUT_DOWN)
        elif self._supervisor is None:
            self._supervisor = asyncio.create_task(self._supervise(), name=f"mcp {self._name}")
        return outcome

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
        self._settle(_SHUT_DOWN)

    async def ready(self) -> HeldSession:
        """Return the session; without one, wait until the attempt at one has ended.

        Raises:
            ServerAway: There is none.
        """
        if self._session is not None:
            return self._session
        if self._closing.is_set():
            raise ServerAway(_SHUT_DOWN)
        self._wanted.set()
        outcome = await asyncio.shield(self.begin())
        if isinstance(outcome, str):
            raise ServerAway(outcome)
        return outcome

    def retire(self, session: HeldSession) -> None:
        """Let nobody use a session that has ended."""
        if self._session is session:
            self._session, self.error = None, "the connection to it was lost"
            self._signal(Signal.ENDED)

    def suspect(self) -> None:
        """Have the server asked whether it is still there."""
        self._signal(Signal.SUSPECT)

    async def list_tools(self, session: HeldSession) -> None:
        """Ask for the tools; does not raise, and keeps those there were when that fails."""
        try:
            async with asyncio.timeout(self._connect_seconds):
                self._take_tools(await session.discover())
        except SessionEnded:
            self.retire(session)
        except (TimeoutError, ToolsError) as error:
            _log.warning("mcp_tools_not_listed", server=self._name, error=type(error).__name__)

    def _take_tools(self, tools: tuple[types.Tool, ...]) -> None:
        if tools == self.tools:
            return
        self.tools = tools
        for told in self._told:
            told(tools)

    async def _supervise(self) -> None:
        delay = RETRY_FIRST_SECONDS
        while not self._closing.is_set():
            outcome, began = self._outcome, time.monotonic()
            self._wanted.clear()
            holder = asyncio.create_task(self._hold(), name=f"mcp session {self._name}")
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
            delay = RETRY_FIRST_SECONDS if time.monotonic() - began > STABLE_SECONDS else delay
            # Not why: a server may have said that, with whatever words.
            _log.warning("mcp_server_away", server=self._name, retry_seconds=delay)
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
        self._tools_changed.clear()
        answers = Answers()
        observer = Observer(suspect=self.suspect, drop=answers.drop)
        async with (
            asyncio.timeout(self._connect_seconds) as deadline,
            self.transport.open(observer) as streams,
            HeldSession(
                streams,
                name=self._name,
                answers=answers,
                profile=self._profile,
                signal=self._signal,
            ) as session,
        ):
            await session.initialize()
            self._take_tools(await session.discover())
            deadline.reschedule(None)
            self._is_back()
            self._settle(session)
            follower = asyncio.create_task(self._follow_tools(session))
            try:
                await self._watch(session)
            finally:
                follower.cancel()
                self.retire(session)
                deadline.reschedule(loop.time() + CLOSE_TIMEOUT_SECONDS)

    async def _watch(self, session: HeldSession) -> None:
        """Act on what the session tells until it has ended."""
        while not self._closing.is_set():
            await self._signalled.wait()
            self._signalled.clear()
            told, self._signals = self._signals, {}
            if Signal.ENDED in told:
                return
            if Signal.SUSPECT in told and not await session.is_alive():
                return
            if Signal.TOOLS_CHANGED in told:
                self._tools_changed.set()

    async def _follow_tools(self, session: HeldSession) -> None:
        """List the tools when the server says that they changed."""
        while True:
            await self._tools_changed.wait()
            self._tools_changed.clear()
            await self.list_tools(session)
            await asyncio.sleep(RELIST_SECONDS)

    def _signal(self, signal: Signal) -> None:
        self._signals[signal] = None
        self._signalled.set()

    def _settle(self, outcome: HeldSession | str) -> None:
        """Tell everybody who waits how an attempt ended."""
        if isinstance(outcome, str):
            self._session, self.error = None, outcome
        else:
            self._session, self.error = outcome, None
            _log.info("mcp_server_ready", server=self._name, tools=len(self.tools))
        self._outcome.set_result(outcome)
        self._outcome = asyncio.get_running_loop().create_future()

    def _explain(self, holder: asyncio.Task[None]) -> str:
        error = None if holder.cancelled() else holder.exception()
        if error is None:
            return "the connection to it was lost"
        cause = _first_cause(error)
        if isinstance(cause, TimeoutError):
            return "it did not start in time"
        if isinstance(cause, CallRejected):
            return "it did not begin a session"
        return self.transport.explain(cause)


def _first_cause(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
