"""A built-in server called over its in-memory session."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from mcp import types
from mcp.server.lowlevel import Server
from mcp.shared.memory import create_connected_server_and_client_session

Ask = Callable[..., Awaitable[types.CallToolResult]]


@pytest.fixture
def ask() -> Ask:
    """Calls one tool of a server: `await ask(server, tool, meta=…, **arguments)`."""

    async def call(
        server: Server[Any, Any], tool: str, *, meta: dict[str, Any] | None = None, **arguments: Any
    ) -> types.CallToolResult:
        async with create_connected_server_and_client_session(server) as session:
            return await session.call_tool(tool, arguments, meta=meta)

    return call


def text_of(result: types.CallToolResult) -> str:
    [block] = result.content
    assert isinstance(block, types.TextContent)
    return block.text
