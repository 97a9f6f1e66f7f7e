"""Sessions with a server that lets people in by what they have granted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from mcp import types
from mcp.server.lowlevel import Server

from tests.fakes import odd_mcp_server
from tests.fakes.call_listener import RecordingListener
from tools.breaker import BREAKER_FAILURES
from tools.calls import CallContext
from tools.connection import Limits
from tools.errors import AuthorizationNeeded
from tools.inbound import SessionProfile
from tools.session_pool import SessionPool
from tools.transports import Observer, Streams
from tools.transports.memory import MemoryTransport

LIMITS = Limits(connect_seconds=30, call_seconds=30)


class Granted:
    """Who has authorized."""

    def __init__(self, *people: int) -> None:
        self.people = set(people)

    async def token(self, user_id: int | None) -> str:
        if user_id not in self.people:
            raise AuthorizationNeeded("authorize first")
        return f"token-{user_id}"

    async def renew(self, user_id: int | None, rejected: str) -> str:
        raise AuthorizationNeeded("authorize first")

    async def refuse(self, user_id: int | None, token: str) -> AuthorizationNeeded:
        return AuthorizationNeeded("authorize first")

    async def ask_more(
        self, user_id: int | None, scopes: Sequence[str], token: str
    ) -> AuthorizationNeeded:
        return AuthorizationNeeded("authorize first")

    async def holders(self) -> Sequence[int]:
        return sorted(self.people)


class Opened:
    """Transports to the odd server in this process, and whose were opened."""

    def __init__(self) -> None:
        self.people: list[int | None] = []
        self.restricted: set[int | None] = set()
        """Who is told of one tool only, and in other words."""

    def make(self, user_id: int | None) -> "_Transport":
        return _Transport(self, user_id)


class _Transport:
    kind: Literal["memory"] = "memory"
    loses_messages = False

    def __init__(self, opened: Opened, user_id: int | None) -> None:
        self._opened = opened
        self._user_id = user_id

    def has_ended(self) -> bool:
        return False

    @asynccontextmanager
    async def open(self, observer: Observer) -> AsyncIterator[Streams]:
        self._opened.people.append(self._user_id)
        build = _restricted if self._user_id in self._opened.restricted else _odd
        async with MemoryTransport(build=build).open(observer) as streams:
            yield streams

    def explain(self, error: BaseException) -> str:
        return str(error)


def _odd() -> Server[Any, Any]:
    return odd_mcp_server.SERVER


def _restricted() -> Server[Any, Any]:
    server: Server[Any, Any] = Server("restricted", version="1")

    @server.list_tools()
    async def list_tools() -> list[types.Tool]:
        return [types.Tool(name="echo", description="Yours.", inputSchema={"type": "object"})]

    @server.call_tool()
    async def call_tool(name: str, arguments: dict[str, Any]) -> list[types.ContentBlock]:
        return [types.TextContent(type="text", text=name)]

    return server


@pytest.fixture
def opened() -> Opened:
    return Opened()


@asynccontextmanager
async def pool_for(granted: Granted, opened: Opened) -> AsyncIterator[SessionPool]:
    pool = SessionPool(
        "odd",
        opened.make,
        per_user=True,
        limits=LIMITS,
        profile=SessionProfile(),
        authorizations=granted,
    )
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


async def call(pool: SessionPool, user_id: int | None, **more: object) -> None:
    context = CallContext(user_id=user_id, run_id="r", **more)  # type: ignore[arg-type]
    await pool.call("echo", {}, context)


async def test_nobodys_session_is_never_tried(opened: Opened):
    async with pool_for(Granted(), opened) as pool:
        assert pool.tools == ()
        assert not pool.status.healthy
        assert pool.status.error == "nobody who may use it has authorized it yet"
        await pool.refresh()
    assert opened.people == []


async def test_the_tools_are_those_that_somebody_who_authorized_is_told(opened: Opened):
    granted = Granted()
    async with pool_for(granted, opened) as pool:
        told: list[int] = []
        pool.on_tools(lambda tools: told.append(len(tools)))
        granted.people.add(7)
        await pool.refresh()
        assert pool.status.healthy
        assert told == [len(pool.tools)]
        assert opened.people == [7]


async def test_who_has_not_authorized_opens_nothing_and_is_told_so(opened: Opened):
    listener = RecordingListener()
    async with pool_for(Granted(7), opened) as pool:
        for _ in range(BREAKER_FAILURES + 1):
            with pytest.raises(AuthorizationNeeded):
                await call(pool, 8, listener=listener)
        with pytest.raises(AuthorizationNeeded):
            await call(pool, None)
        await call(pool, 7)
        assert pool.status.healthy
    assert set(opened.people) == {7}
    assert listener.logged[0] == ("warning", "odd: authorize first")


async def test_a_persons_sessions_end_and_no_others(opened: Opened):
    async with pool_for(Granted(7, 8), opened) as pool:
        await asyncio.gather(call(pool, 7), call(pool, 8))
        before = list(opened.people)
        pool.end_sessions_of(7)
        await call(pool, 8)
        assert opened.people == before
        await call(pool, 7)
        assert opened.people == [*before, 7]


async def test_tools_are_looked_for_with_all_who_authorized_in_turn(opened: Opened):
    async with pool_for(Granted(*range(1, 6)), opened) as pool:
        assert set(opened.people) == {1, 2, 3}
        await pool.refresh()
        assert set(opened.people) == {1, 2, 3, 4, 5}


async def test_one_whose_session_tells_less_takes_no_tools_away(opened: Opened):
    granted = Granted(7)
    opened.restricted = {8}
    async with pool_for(granted, opened) as pool:
        told: list[object] = []
        pool.on_tools(told.append)
        before = pool.tools
        pool.end_sessions_of(7)
        granted.people = {8}
        await pool.refresh()
        await call(pool, 8)
        assert opened.people == [7, 8]
        assert pool.tools is before
        assert told == []
