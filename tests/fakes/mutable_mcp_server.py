"""An MCP server over HTTP, in the test's own loop, whose tools the test changes as it likes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import uvicorn
from mcp import types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.session import ServerSession
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


def tool(name: str, description: str = "Does it.", **values: Any) -> types.Tool:
    given: dict[str, Any] = {
        "inputSchema": {"type": "object"},
        "annotations": types.ToolAnnotations(readOnlyHint=True),
        **values,
    }
    return types.Tool(name=name, description=description, **given)


class MutableServer:
    """Its tools answer with their names, or with what a test has put down for them."""

    def __init__(self) -> None:
        self.url = ""
        self.tools: list[types.Tool] = [tool("send"), tool("read")]
        self.called: list[str] = []
        self.answers: dict[str, types.CallToolResult] = {}
        self.headers: list[dict[str, str]] = []
        """What came with each request."""
        self.is_called = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._sessions: dict[int, ServerSession] = {}
        self._server: Server[Any, Any] = Server("mutable", version="1")
        self._server.list_tools()(self._list)
        self._server.request_handlers[types.CallToolRequest] = self._call

    async def tell(self) -> None:
        """Say to every client that the tools are others now."""
        for session in self._sessions.values():
            await session.send_tool_list_changed()

    async def _list(self) -> list[types.Tool]:
        session = self._server.request_context.session
        self._sessions[id(session)] = session
        return self.tools

    async def _call(self, request: types.CallToolRequest) -> types.ServerResult:
        name = request.params.name
        self.called.append(name)
        self.is_called.set()
        await self.may_answer.wait()
        if name in self.answers:
            return types.ServerResult(self.answers[name])
        content: list[types.ContentBlock] = [types.TextContent(type="text", text=f"{name}!")]
        return types.ServerResult(types.CallToolResult(content=content))

    async def serve(self, ready: asyncio.Event, stop: asyncio.Event) -> None:
        """Serve until told to stop."""
        told = self._server.create_initialization_options(NotificationOptions(tools_changed=True))
        self._server.create_initialization_options = lambda *_, **__: told  # type: ignore[method-assign]
        manager = StreamableHTTPSessionManager(self._server)
        app = Starlette(routes=[Route("/mcp", Endpoint(manager, self.headers))])
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
        async with manager.run():
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            ready.set()
            await stop.wait()
            server.should_exit = True
            await serving
        listener.close()


class Endpoint:
    """Writes down what it is asked with."""

    def __init__(
        self, manager: StreamableHTTPSessionManager, headers: list[dict[str, str]]
    ) -> None:
        self._manager = manager
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._headers.append({k.decode(): v.decode() for k, v in scope["headers"]})
        await self._manager.handle_request(scope, receive, send)


@asynccontextmanager
async def open_mutable_server() -> AsyncIterator[MutableServer]:
    server, ready, stop = MutableServer(), asyncio.Event(), asyncio.Event()
    # A task of its own: what it opens has to be closed by who opened it.
    serving = asyncio.create_task(server.serve(ready, stop))
    await ready.wait()
    try:
        yield server
    finally:
        stop.set()
        await serving
