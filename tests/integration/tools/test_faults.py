"""Servers that fail again and again, or say too much."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp import types

from tests.fakes import odd_mcp_server
from tools.calls import CallContext
from tools.config import StdioServer
from tools.connection import Limits, ServerConnection
from tools.errors import CallTimeout, ServerUnavailable
from tools.transports import Transport
from tools.transports.memory import MemoryTransport
from tools.transports.stdio import StdioTransport

WAIT_SECONDS = 30
LIMITS = Limits(connect_seconds=30, call_seconds=30)
NOBODY = CallContext()
ODD_IN_MEMORY = MemoryTransport(build=lambda: odd_mcp_server.SERVER)

Connect = Callable[..., Any]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens a session and closes it at the end."""
    async with AsyncExitStack() as stack:

        async def open_(transport: Transport, limits: Limits = LIMITS) -> ServerConnection:
            connection = ServerConnection("odd", transport, limits=limits)
            stack.push_async_callback(connection.close)
            await connection.start()
            return connection

        yield open_


async def test_a_server_that_never_starts_is_not_started_for_each_call(
    connect: Connect, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    program = f"open({str(started)!r}, 'a').write('x')"
    transport = StdioTransport("dead", StdioServer(command=sys.executable, args=["-c", program]))
    limits = Limits(connect_seconds=30, call_seconds=30, breaker_failures=2, breaker_seconds=600)
    connection = await connect(transport, limits)

    for _ in range(2):
        with pytest.raises(ServerUnavailable, match="its process ended"):
            await connection.call("echo", {}, NOBODY)
    for _ in range(20):
        with pytest.raises(ServerUnavailable, match="is left alone"):
            await connection.call("echo", {}, NOBODY)

    assert len(started.read_text()) <= 5
    assert (connection.status.healthy, connection.status.breaker) == (False, "open")


async def test_calls_that_keep_timing_out_show_in_the_status_of_a_server_that_is_there(
    connect: Connect,
) -> None:
    limits = Limits(connect_seconds=30, call_seconds=0.05, breaker_failures=2, breaker_seconds=600)
    connection = await connect(ODD_IN_MEMORY, limits)
    healthy = connection.status

    for _ in range(2):
        with pytest.raises(CallTimeout):
            await connection.call("hang", {}, NOBODY)

    assert (healthy.healthy, healthy.breaker) == (True, "closed")
    assert (connection.status.healthy, connection.status.breaker) == (False, "open")
    assert connection.status.error == "its calls keep failing"


async def test_a_server_that_says_all_the_time_that_its_tools_changed_is_not_asked_all_the_time(
    connect: Connect,
) -> None:
    connection = await connect(ODD_IN_MEMORY)
    before = odd_mcp_server.STATE.listings

    await connection.call("storm", {"times": 500}, NOBODY)
    listed = await connection.call("storm", {"times": 0}, NOBODY)

    [block] = listed.content
    assert isinstance(block, types.TextContent)
    assert int(block.text) - before <= 2


async def test_whoever_asked_for_it_is_told_when_tools_change_and_only_then(
    connect: Connect,
) -> None:
    connection = await connect(ODD_IN_MEMORY)
    told: asyncio.Queue[tuple[types.Tool, ...]] = asyncio.Queue()
    connection.on_tools(told.put_nowait)
    try:
        await connection.refresh()
        assert told.empty()

        await connection.call("grow", {}, NOBODY)
        async with asyncio.timeout(WAIT_SECONDS):
            tools = await told.get()
    finally:
        del odd_mcp_server.TOOLS["grown"]

    assert "grown" in {tool.name for tool in tools}
    assert connection.tools is tools
