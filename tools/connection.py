"""Requests to a server over the session that is held with it, within their limits."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from mcp import types

from tools.breaker import BREAKER_FAILURES, BREAKER_SECONDS, SharedBreaker
from tools.calls import CallContext
from tools.errors import (
    AnswerTooLarge,
    CallRejected,
    CallTimeout,
    RequestRefused,
    ServerUnavailable,
)
from tools.inbound import SessionProfile
from tools.session import HeldSession, SessionEnded
from tools.session_holder import SessionHolder
from tools.timeouts import PausableTimeout
from tools.transports import Transport
from tools.wire import CALLER_META_KEY, IDENTITY_META_KEY

_NOBODY = CallContext()
_PLAIN = SessionProfile()
_Result = TypeVar("_Result")


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
    breaker: Literal["closed", "open", "half-open"] = "closed"
    """Whether calls are made: closed means that they are."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long to wait for a server, and when to leave it alone."""

    connect_seconds: float
    call_seconds: float
    breaker_failures: int = BREAKER_FAILURES
    breaker_seconds: float = BREAKER_SECONDS
    user_sessions_max: int = 100
    """How many sessions people may have of their own with one server at once."""
    user_session_idle_seconds: float = 600.0
    """How long such a session is held without a call."""


class ServerConnection:
    """One session with one server, opened again whenever it ends."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        limits: Limits,
        receives_caller: bool = False,
        identity_audience: str | None = None,
        profile: SessionProfile = _PLAIN,
    ) -> None:
        """Prepare a connection; it is opened by `start`, or by the first call.

        Args:
            name: The server's.
            transport: The way to it.
            limits: How long to wait.
            receives_caller: Whether calls carry the signed caller token.
            identity_audience: Whom the token is for with which calls prove who is asking; without
                one they carry none.
            profile: What the session offers to the server.
        """
        self.name = name
        self.receives_caller = receives_caller
        self._identity_audience = identity_audience
        self._limits = limits
        self._breaker = SharedBreaker(
            failures=limits.breaker_failures, seconds=limits.breaker_seconds
        )
        self._holder = SessionHolder(
            name,
            transport,
            profile=profile,
            connect_seconds=limits.connect_seconds,
            is_back=self._breaker.allow_probe,
        )

    @property
    def tools(self) -> tuple[types.Tool, ...]:
        """What the server brings; the same object until it changes."""
        return self._holder.tools

    @property
    def status(self) -> ServerStatus:
        """How the server is now, without asking it."""
        breaker, error = self._breaker.state, self._holder.error
        if error is None and breaker != "closed":
            error = "its calls keep failing"
        return ServerStatus(
            name=self.name,
            transport=self._holder.transport.kind,
            healthy=error is None,
            tools=len(self.tools),
            error=error,
            breaker=breaker,
        )

    def on_tools(self, told: Callable[[tuple[types.Tool, ...]], None]) -> None:
        """Have somebody told of the tools whenever they change."""
        self._holder.on_tools(told)

    async def start(self) -> None:
        """Begin to hold a session, and return when the first attempt has ended either way."""
        await asyncio.shield(self._holder.begin())

    async def close(self) -> None:
        """End the session and stop holding it; takes bounded time."""
        await self._holder.close()

    async def call(
        self, tool: str, arguments: dict[str, Any], context: CallContext
    ) -> types.CallToolResult:
        """Call a tool within the time limit, opening a session first if there is none.

        Raises:
            CallTimeout: The time limit passed.
            ServerUnavailable: No session could be opened, or it ended during the call, or calls
                have failed so often that none are made for a while.
            CallRejected: The server answered with an error of the protocol.
            IdentityUnproven: It has to be told who is asking, and that is not known now.
            AuthorizationNeeded: A person has to let the product in first.
        """
        meta = await self._introduce(context)
        listener = context.listener
        return await self._make(
            lambda session: session.call(tool, arguments, meta, listener),
            seconds=self._seconds_for(context),
            person=context.user_id,
        )

    async def list_prompts(self) -> tuple[types.Prompt, ...]:
        """Ask which prompts there are; with the errors of a call."""
        return await self._make(HeldSession.list_prompts, seconds=self._limits.call_seconds)

    async def get_prompt(self, name: str, arguments: Mapping[str, str]) -> types.GetPromptResult:
        """Ask for a prompt; with the errors of a call."""
        params = {"name": name, "arguments": dict(arguments)}
        return await self._make(
            lambda session: session.ask("prompts/get", params, types.GetPromptResult),
            seconds=self._limits.call_seconds,
        )

    async def read_resource(
        self, uri: str, *, max_bytes: int, context: CallContext = _NOBODY
    ) -> types.ReadResourceResult:
        """Read what a tool has named; with the errors of a call.

        Raises:
            AnswerTooLarge: It is larger.
        """
        result = await self._make(
            lambda session: session.ask("resources/read", {"uri": uri}, types.ReadResourceResult),
            seconds=self._seconds_for(context),
            person=context.user_id,
        )
        if sum(len(_content_of(part)) for part in result.contents) > max_bytes:
            raise AnswerTooLarge(max_bytes)
        return result

    async def refresh(self) -> None:
        """Ask for the tools again; a server that is away is tried now.

        It does not raise: a failure shows in the status.
        """
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                session = await self._holder.ready()
        except (TimeoutError, ServerUnavailable):
            return
        await self._holder.list_tools(session)

    async def _make(
        self,
        request: Callable[[HeldSession], Awaitable[_Result]],
        *,
        seconds: float,
        person: int | None = None,
    ) -> _Result:
        """Make a request, unless the server is being left alone."""
        try:
            with self._breaker.guard(person):
                return await self._attempt(request, seconds)
        except CallTimeout:
            if self._breaker.leaves_alone(person):
                # Nothing gets through any more, though the session has not ended.
                self._holder.suspect()
            raise

    async def _attempt(
        self, request: Callable[[HeldSession], Awaitable[_Result]], seconds: float
    ) -> _Result:
        """Make a request, and once more in a new session when the server never took it."""
        holder = self._holder
        try:
            async with PausableTimeout(seconds):
                session = await holder.ready()
                if not holder.transport.has_ended():
                    try:
                        return await request(session)
                    except SessionEnded:
                        pass
                    except RequestRefused as refused:
                        if await session.is_alive():
                            # It was this one that the server does not take.
                            raise CallRejected(str(refused)) from refused
                holder.retire(session)
                return await request(await holder.ready())
        except SessionEnded as error:
            raise ServerUnavailable("its session ended twice") from error
        except TimeoutError as error:
            raise CallTimeout(f"it did not answer within {seconds:g} seconds") from error

    async def _introduce(self, context: CallContext) -> dict[str, Any] | None:
        """Say who is asking, as far as the server is to know."""
        meta: dict[str, Any] = {}
        if self.receives_caller and context.caller:
            meta[CALLER_META_KEY] = context.caller
        if self._identity_audience is not None and context.identity is not None:
            meta[IDENTITY_META_KEY] = await context.identity(self._identity_audience)
        return meta or None

    def _seconds_for(self, context: CallContext) -> float:
        allowed = context.limits.seconds
        most = self._limits.call_seconds
        return most if allowed is None else min(allowed, most)


def _content_of(part: types.TextResourceContents | types.BlobResourceContents) -> str:
    return part.text if isinstance(part, types.TextResourceContents) else part.blob
