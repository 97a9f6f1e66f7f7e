"""An MCP server that lets nobody in whose token its authorization server does not know."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from tests.fakes.authorization_server import AuthorizationServerFake
from tests.fakes.serving import serve_here

RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
READ_ONLY = types.ToolAnnotations(readOnlyHint=True)
TOOLS = [
    types.Tool(
        name=name, description="Does it.", inputSchema={"type": "object"}, annotations=READ_ONLY
    )
    for name in ("whoami", "write")
]


class ProtectedServer:
    """Its tool `whoami` says whose token came, `write` needs the scope of that name."""

    def __init__(self, authority: AuthorizationServerFake) -> None:
        self.authority = authority
        self.origin = ""
        self.published: dict[str, Any] = {}
        """What it says beside or instead of the truth of its protection."""
        self.names_its_metadata = True
        self.first_scopes = "read"
        self.tokens: list[str] = []
        """What came with each request that called a tool."""
        self.headers: list[dict[str, str]] = []
        self.metas: list[dict[str, Any]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_called = asyncio.Event()
        self._server: Server[Any, Any] = Server("protected", version="1")
        self._server.list_tools()(self._list)
        self._server.request_handlers[types.CallToolRequest] = self._call
        self.manager = StreamableHTTPSessionManager(self._server)

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    async def _list(self) -> list[types.Tool]:
        return TOOLS

    async def _call(self, request: types.CallToolRequest) -> types.ServerResult:
        context = self._server.request_context
        assert context.request is not None
        token = context.request.headers["authorization"].removeprefix("Bearer ")
        self.tokens.append(token)
        self.headers.append(dict(context.request.headers))
        self.metas.append(dict(context.meta.model_extra or {}) if context.meta else {})
        person = self.authority.access[token].subject
        self.is_called.set()
        await self.may_answer.wait()
        content: list[types.ContentBlock] = [types.TextContent(type="text", text=f"You: {person}")]
        return types.ServerResult(types.CallToolResult(content=content))

    async def say(self, request: Request) -> Response:
        """Publish who may let people in."""
        said = {
            "resource": self.url,
            "authorization_servers": [self.authority.url],
            "scopes_supported": ["read"],
            **self.published,
        }
        return JSONResponse(said)

    def app(self, url: str) -> Starlette:
        self.origin = url
        return Starlette(
            routes=[
                Route(f"{RESOURCE_METADATA}/mcp", self.say),
                Route("/mcp", _Guard(self)),
            ]
        )


class _Guard:
    def __init__(self, fake: ProtectedServer) -> None:
        self._fake = fake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        token = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
        known = self._fake.authority.access.get(token)
        if known is None or known.resource != self._fake.url:
            await self._refuse(401, "invalid_token", self._fake.first_scopes)(scope, receive, send)
            return
        if _called_tool(body) == "write" and "write" not in known.scopes:
            await self._refuse(403, "insufficient_scope", "write")(scope, receive, send)
            return
        is_told = False

        async def replay() -> Message:
            nonlocal is_told
            if is_told:
                return await receive()
            is_told = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._fake.manager.handle_request(scope, replay, send)

    def _refuse(self, status: int, error: str, scope: str) -> Response:
        parts = [f'error="{error}"', f'scope="{scope}"']
        if self._fake.names_its_metadata:
            parts.append(f'resource_metadata="{self._fake.origin}{RESOURCE_METADATA}/mcp"')
        header = {"WWW-Authenticate": f"Bearer {', '.join(parts)}"}
        return JSONResponse({"error": error}, status_code=status, headers=header)


def _called_tool(body: bytes) -> str | None:
    message = json.loads(body) if body else {}
    if message.get("method") != "tools/call":
        return None
    name: str = message["params"]["name"]
    return name


@asynccontextmanager
async def open_protected_server(
    authority: AuthorizationServerFake,
) -> AsyncIterator[ProtectedServer]:
    fake = ProtectedServer(authority)
    ready, stop = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        async with fake.manager.run(), serve_here(fake.app):
            ready.set()
            await stop.wait()

    # A task of its own: what it opens has to be closed by who opened it.
    running = asyncio.create_task(run())
    await ready.wait()
    try:
        yield fake
    finally:
        stop.set()
        await running
