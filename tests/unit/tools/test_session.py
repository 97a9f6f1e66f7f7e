"""One session with a server: its lists, and what is made of its answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from mcp import types
from mcp.server.lowlevel import Server
from structlog.testing import LogCapture

from tools import listing
from tools.answers import Answers
from tools.errors import AnswerTooIntricate
from tools.inbound import SessionProfile
from tools.listing import MAX_PAGES
from tools.session import MAX_BLOCKS, MAX_TOOLS, HeldSession
from tools.transports import Observer
from tools.transports.memory import MemoryTransport

_OBSERVER = Observer(suspect=lambda: None, drop=lambda number, error: None)


def server_with(tools: int, *, page: int) -> Server[Any, Any]:
    """A server that lists so many tools, so many a page."""
    server: Server[Any, Any] = Server("many")

    async def list_tools(request: types.ListToolsRequest) -> types.ServerResult:
        begin = int((request.params and request.params.cursor) or 0)
        end = min(begin + page, tools)
        listed = [types.Tool(name=f"t{at}", inputSchema={}) for at in range(begin, end)]
        cursor = str(end) if end < tools else None
        return types.ServerResult(types.ListToolsResult(tools=listed, nextCursor=cursor))

    async def call_tool(request: types.CallToolRequest) -> types.ServerResult:
        blocks = int((request.params.arguments or {})["blocks"])
        block = types.TextContent(type="text", text="x")
        return types.ServerResult(types.CallToolResult(content=[block] * blocks))

    server.request_handlers[types.ListToolsRequest] = list_tools
    server.request_handlers[types.CallToolRequest] = call_tool
    return server


@asynccontextmanager
async def open_session(server: Server[Any, Any]) -> AsyncIterator[HeldSession]:
    async with (
        MemoryTransport(build=lambda: server).open(_OBSERVER) as streams,
        HeldSession(
            streams,
            name="many",
            answers=Answers(),
            profile=SessionProfile(),
            signal=lambda signal: None,
        ) as session,
    ):
        await session.initialize()
        yield session


async def list_all(tools: int, *, page: int) -> tuple[int, list[Any]]:
    """List what such a server has; how much that is, and what is logged."""
    logs = LogCapture()
    with pytest.MonkeyPatch.context() as patch:
        # However the process logs.
        patch.setattr(listing, "_log", structlog.wrap_logger(None, processors=[logs]))
        async with open_session(server_with(tools, page=page)) as session:
            found = await session.discover()
    return len(found), [(log["event"], log["what"]) for log in logs.entries]


@pytest.mark.parametrize("page", [MAX_TOOLS - 1, MAX_TOOLS, MAX_TOOLS + 1])
async def test_of_too_many_tools_the_first_are_listed_and_it_is_told(page: int) -> None:
    assert await list_all(MAX_TOOLS, page=page) == (MAX_TOOLS, [])
    cut = [("mcp_list_cut", "tools")]
    assert await list_all(MAX_TOOLS + 1, page=page) == (MAX_TOOLS, cut)


async def test_of_too_many_pages_the_first_are_listed_and_it_is_told() -> None:
    assert await list_all(MAX_PAGES, page=1) == (MAX_PAGES, [])
    cut = [("mcp_list_cut", "tools")]
    assert await list_all(MAX_PAGES + 1, page=1) == (MAX_PAGES, cut)


async def test_an_answer_of_too_many_blocks_is_not_looked_at() -> None:
    async with open_session(server_with(0, page=1)) as session:
        answer = await session.call("any", {"blocks": MAX_BLOCKS}, None)
        with pytest.raises(AnswerTooIntricate):
            await session.call("any", {"blocks": MAX_BLOCKS + 1}, None)

    assert len(answer.content) == MAX_BLOCKS
