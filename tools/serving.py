"""One of our servers served apart: over standard input and output, or over streamable HTTP."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.routing import Mount

HTTP_PATH = "/mcp"
SHUTDOWN_TIMEOUT_SECONDS = 3


async def serve_stdio(server: Server[Any, Any]) -> None:
    """Serve until the input ends."""
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


async def serve_http(server: Server[Any, Any], *, host: str, port: int) -> None:
    """Serve at `http://host:port/mcp` until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        build_http_app(server, host=host),
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECONDS,
    )
    await uvicorn.Server(config).serve()


def build_http_app(server: Server[Any, Any], *, host: str) -> Starlette:
    """Build the ASGI application; on loopback it refuses requests that a web page may have sent."""
    manager = StreamableHTTPSessionManager(
        server, json_response=True, security_settings=_security(host)
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with manager.run():
            yield

    return Starlette(routes=[Mount(HTTP_PATH, app=manager.handle_request)], lifespan=lifespan)


def _security(host: str) -> TransportSecuritySettings:
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    names = ("127.0.0.1", "localhost", "[::1]")
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=loopback,
        allowed_hosts=[f"{name}:*" for name in names],
        allowed_origins=[f"http://{name}:*" for name in names],
    )
