"""Sessions with one server: one for everybody, or one for each person."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import structlog
from mcp import types

from tools.authorization.bearer import ServerAuthorizations
from tools.calls import CallContext
from tools.connection import Limits, ServerConnection, ServerStatus
from tools.errors import AuthorizationNeeded, ServerUnavailable, ToolsError
from tools.inbound import SessionProfile
from tools.learned_tools import LearnedTools
from tools.personal_session import PersonalSession
from tools.transports import Transport

__all__ = ["SessionPool", "SessionProfile", "ToolServer"]

NOBODY = CallContext()

ASKED_AT_ONCE = 3
"""How many people's sessions are asked for tools at a time where each may be told of others."""

_UNAUTHORIZED = "nobody who may use it has authorized it yet"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Owner:
    """Whose session it is; one that somebody listens to offers more to the server."""

    user_id: int | None
    listens: bool


class SessionPool:
    """A server's sessions behind one face, which is that of a `ServerConnection`.

    Where each person has a session of their own, one more that carries nobody's calls tells which
    tools there are and whether the server is there.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[int | None], Transport],
        *,
        per_user: bool,
        limits: Limits,
        profile: SessionProfile,
        receives_caller: bool = False,
        identity_audience: str | None = None,
        authorizations: ServerAuthorizations | None = None,
    ) -> None:
        """Prepare a pool.

        Args:
            name: The server's.
            make: Makes the way to it for a person; for None, the one that is nobody's.
            per_user: Whether each person has a session of their own.
            limits: How long to wait, and how many sessions to hold.
            profile: What personal sessions offer to the server; a shared one only its roots.
            receives_caller: Whether calls carry the signed caller token.
            identity_audience: Whom the token is for that proves who is asking, if calls carry one.
            authorizations: What people have granted, where nobody is let in without: then nobody's
                session is not held, and the tools are those that somebody who authorized is told.
        """
        self.name = name
        self._make_transport = make
        self._per_user = per_user
        self._limits = limits
        self._profile = profile
        self._receives_caller = receives_caller
        self._identity_audience = identity_audience
        self._authorizations = authorizations
        self._told: list[Callable[[tuple[types.Tool, ...]], None]] = []
        self._learned = LearnedTools()
        self._rounds = 0
        self._personal: dict[_Owner, PersonalSession] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._is_closed = False
        # Some servers have tools that ask only where somebody can be asked. Whoever asks over the
        # session that tells of them, which carries no calls, is answered with an error.
        self._common = self._connect(
            None, profile if per_user else SessionProfile(roots=profile.roots)
        )

    @property
    def tools(self) -> tuple[types.Tool, ...]:
        """What the server brings; where it tells that to known people only, what it told them."""
        return self._common.tools or self._learned.tools

    @property
    def status(self) -> ServerStatus:
        """How the server is now, without asking it."""
        status = replace(self._common.status, tools=len(self.tools))
        if self._authorizations is None:
            return status
        error = _UNAUTHORIZED if not self._learned.tools else None
        if status.breaker != "closed":
            error = "its calls keep failing"
        return replace(status, healthy=error is None, error=error)

    @property
    def is_personal(self) -> bool:
        """Whether each person has a session of their own."""
        return self._per_user

    def on_tools(self, told: Callable[[tuple[types.Tool, ...]], None]) -> None:
        """Have somebody told of the tools whenever they change."""
        self._told.append(told)
        self._common.on_tools(told)

    async def start(self) -> None:
        """Begin to hold the common session; return when the first attempt has ended."""
        if self._authorizations is None:
            await self._common.start()
        else:
            await self._ask_somebody(self._authorizations)

    async def close(self) -> None:
        """End all sessions; takes bounded time."""
        self._is_closed = True
        for owner in list(self._personal):
            self._end(owner)
        await asyncio.gather(self._common.close(), *self._ending)

    async def refresh(self) -> None:
        """Ask for the tools again; does not raise."""
        if self._authorizations is None:
            await self._common.refresh()
        else:
            await self._ask_somebody(self._authorizations)
        with self._telling():
            self._learned.end_round(self._present())

    def end_sessions_of(self, user_id: int) -> None:
        """End a person's sessions, calls under way included."""
        for owner in [each for each in self._personal if each.user_id == user_id]:
            self._end(owner)

    async def call(
        self, tool: str, arguments: dict[str, Any], context: CallContext
    ) -> types.CallToolResult:
        """Call a tool, with the errors of `ServerConnection.call`."""
        if not self._per_user:
            return await self._common.call(tool, arguments, context)
        try:
            async with self._borrow(context) as connection:
                return await connection.call(tool, arguments, context)
        except AuthorizationNeeded as error:
            if context.listener is not None:
                context.listener.log("warning", f"{self.name}: {error}")
            raise

    async def list_prompts(self, context: CallContext = NOBODY) -> tuple[types.Prompt, ...]:
        """Ask which prompts there are; with the errors of a call."""
        if self._common.status.healthy:
            # As with tools: a list is no reason to open a session for somebody.
            return await self._common.list_prompts()
        async with self._borrow(context) as connection:
            return await connection.list_prompts()

    async def get_prompt(
        self, name: str, arguments: Mapping[str, str], context: CallContext = NOBODY
    ) -> types.GetPromptResult:
        """Ask for a prompt; with the errors of a call."""
        async with self._borrow(context) as connection:
            return await connection.get_prompt(name, arguments)

    async def read_resource(
        self, uri: str, *, max_bytes: int, context: CallContext = NOBODY
    ) -> types.ReadResourceResult:
        """Read what a tool has named; with the errors of a call."""
        async with self._borrow(context) as connection:
            return await connection.read_resource(uri, max_bytes=max_bytes, context=context)

    @asynccontextmanager
    async def _borrow(self, context: CallContext) -> AsyncIterator[ServerConnection]:
        """The session that a call goes over; a person's is kept while it is borrowed."""
        if not self._per_user:
            yield self._common
            return
        if self._authorizations is not None:
            # Before a session is tried: that nobody has authorized is no fault of the server's.
            await self._authorizations.token(context.user_id)
        owner = _Owner(user_id=context.user_id, listens=context.listener is not None)
        personal = self._personal.pop(owner, None) or self._open(owner)
        self._personal[owner] = personal
        if personal.expiry is not None:
            personal.expiry.cancel()
        personal.borrowers += 1
        try:
            async with personal.carry(context.run_id, wait_seconds=self._limits.call_seconds):
                yield personal.connection
        except ServerUnavailable:
            if self._authorizations is not None:
                # It may be that which has ended meanwhile, and the session with it.
                await self._authorizations.token(context.user_id)
            raise
        finally:
            personal.borrowers -= 1
            if not personal.borrowers and self._personal.get(owner) is personal:
                loop = asyncio.get_running_loop()
                idle = self._limits.user_session_idle_seconds
                personal.expiry = loop.call_later(idle, self._end, owner)

    def _open(self, owner: _Owner) -> PersonalSession:
        if self._is_closed:
            raise ServerUnavailable("it is shut down")
        if len(self._personal) >= self._limits.user_sessions_max:
            # The oldest use comes first.
            idle = (other for other, held in self._personal.items() if not held.borrowers)
            if (longest := next(idle, None)) is None:
                raise ServerUnavailable("too many people are using it at the moment")
            self._end(longest)
        offered = self._profile
        if not owner.listens:
            offered = SessionProfile(roots=offered.roots)
        connection = self._connect(owner.user_id, replace(offered, log=owner.listens))
        connection.on_tools(partial(self._learn, owner))
        return PersonalSession(connection)

    def _connect(self, user_id: int | None, profile: SessionProfile) -> ServerConnection:
        return ServerConnection(
            self.name,
            self._make_transport(user_id),
            limits=self._limits,
            receives_caller=self._receives_caller,
            identity_audience=self._identity_audience,
            profile=profile,
        )

    async def _ask_somebody(self, authorizations: ServerAuthorizations) -> None:
        """Have some of those who authorized told of the tools, others each time; does not raise."""
        try:
            holders = await authorizations.holders()
        except ToolsError as error:
            _log.warning("mcp_tools_not_listed", server=self.name, error=type(error).__name__)
            return
        first = self._rounds * ASKED_AT_ONCE % max(1, len(holders))
        self._rounds += 1
        turn = [*holders[first:], *holders[:first]][:ASKED_AT_ONCE]
        await asyncio.gather(*map(self._ask_for_tools, turn))

    async def _ask_for_tools(self, user_id: int) -> None:
        try:
            async with self._borrow(CallContext(user_id=user_id)) as connection:
                await connection.refresh()
        except ToolsError as error:
            _log.warning("mcp_tools_not_listed", server=self.name, error=type(error).__name__)

    def _present(self) -> frozenset[_Owner]:
        """Those whose sessions would tell of a change."""
        return frozenset(
            owner for owner, held in self._personal.items() if held.connection.status.healthy
        )

    def _learn(self, owner: _Owner, tools: tuple[types.Tool, ...]) -> None:
        with self._telling():
            self._learned.learn(owner, tools)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tell whoever wants to know if the tools are others afterwards."""
        before = self._learned.tools
        yield
        if self._learned.tools is not before and not self._common.tools:
            for told in self._told:
                told(self._learned.tools)

    def _end(self, owner: _Owner) -> None:
        personal = self._personal.pop(owner)
        if personal.expiry is not None:
            personal.expiry.cancel()
        task = asyncio.create_task(
            personal.connection.close(), name=f"mcp end of a session with {self.name}"
        )
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


ToolServer: TypeAlias = ServerConnection | SessionPool
"""What calls of tools are made to."""
