"""MCP servers that evals host themselves, for the functions that samples bring.

One server over streamable HTTP answers for all of them, by path. A path is a secret, so that
nobody else on the machine finds it. Nothing is kept between requests.
"""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from evals.errors import TargetFailed
from evals.suite.functions import FunctionSpec
from evals.target.quiet_server import QuietServer

STOP_SECONDS = 1
"""How long answers may take that are under way when all is over."""
NOT_FOUND = Response("there is no such server\n", status_code=404)


class FunctionHost:
    """Serves functions, as an ASGI application."""

    def __init__(self, address: str) -> None:
        """Args: address: `http://host:port`, where it can be reached."""
        self._address = address
        self._offered: dict[str, Mapping[str, FunctionSpec]] = {}
        server: Server[Any, Any] = Server("evals")
        server.request_handlers[types.ListToolsRequest] = self._list
        server.request_handlers[types.CallToolRequest] = self._call
        self._server = server
        self.sessions = StreamableHTTPSessionManager(server, json_response=True, stateless=True)

    @contextmanager
    def offering(self, functions: Sequence[FunctionSpec]) -> Generator[str, None, None]:
        """Serves these at an address of their own, and no longer than the block."""
        path = f"/{secrets.token_urlsafe(16)}"
        self._offered[path] = {each.name: each for each in functions}
        try:
            yield self._address + path
        finally:
            del self._offered[path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["path"] in self._offered:
            await self.sessions.handle_request(scope, receive, send)
        else:
            await NOT_FOUND(scope, receive, send)

    @property
    def _asked(self) -> Mapping[str, FunctionSpec]:
        """The functions at the path of the request that is being answered."""
        request = self._server.request_context.request
        return self._offered.get(request.url.path, {}) if request is not None else {}

    async def _list(self, _: types.ListToolsRequest) -> types.ServerResult:
        tools = [_tool(each) for each in self._asked.values()]
        return types.ServerResult(types.ListToolsResult(tools=tools))

    async def _call(self, request: types.CallToolRequest) -> types.ServerResult:
        function = self._asked.get(request.params.name)
        if function is None:
            return types.ServerResult(_text("there is no such function", is_error=True))
        result = function.result
        said = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        return types.ServerResult(_text(said))


@asynccontextmanager
async def open_function_host(host: str) -> AsyncIterator[FunctionHost]:
    """Serves at an address of this machine, on a free port.

    Raises:
        TargetFailed: This machine has no such address.
    """
    try:
        listener = socket.create_server((host, 0), backlog=256)
    except OSError as exc:
        raise TargetFailed(
            f"functions cannot be served on {host!r} ({exc.strerror}): "
            "give --tools-host an address of this machine."
        ) from exc
    with listener:
        functions = FunctionHost(f"http://{host}:{listener.getsockname()[1]}")
        config = uvicorn.Config(
            functions,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        server = QuietServer(config)
        async with functions.sessions.run():
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                yield functions
            finally:
                server.should_exit = True
                await serving


def _tool(function: FunctionSpec) -> types.Tool:
    return types.Tool(
        name=function.name,
        description=function.description,
        inputSchema=function.parameters,
        annotations=types.ToolAnnotations(readOnlyHint=function.read_only, openWorldHint=False),
    )


def _text(said: str, *, is_error: bool = False) -> types.CallToolResult:
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=said)]
    return types.CallToolResult(content=content, isError=is_error)
