"""Catalogs over real servers."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import ToolMessage

from tests.fixtures.listening import until_listening
from tools.calls import CALL_KEY, CallContext
from tools.catalog import ToolCatalog, open_catalog
from tools.settings import McpSettings

ROOT = Path(__file__).parents[3]
ODD = {"command": sys.executable, "args": ["-m", "tests.fakes.odd_mcp_server"], "cwd": str(ROOT)}

OpenCatalog = Callable[..., AbstractAsyncContextManager[ToolCatalog]]


@pytest.fixture
def open_with(tmp_path: Path) -> OpenCatalog:
    """Opens a catalog with these entries of a servers file."""

    def open_(entries: dict[str, Any], **settings: Any) -> Any:
        path = tmp_path / "mcp.json"
        path.write_text(json.dumps({"mcpServers": entries}), encoding="utf-8")
        chosen: dict[str, Any] = {"servers_file": path, "start_wait_seconds": 60, **settings}
        return open_catalog(McpSettings(**chosen))

    return open_


async def call(
    catalog: ToolCatalog, name: str, *, context: CallContext | None = None, **arguments: Any
) -> ToolMessage:
    """Calls a tool the way the graph does."""
    tool = next(tool for tool in catalog.tools() if tool.qualified_name == name)
    request = {"type": "tool_call", "id": "call-1", "name": tool.name, "args": arguments}
    message = await tool.ainvoke(request, {"configurable": {CALL_KEY: context}})
    assert isinstance(message, ToolMessage)
    return message


@dataclass
class HttpProcess:
    """The odd server over HTTP, which can be killed and started again on the same port."""

    port: int
    options: tuple[str, ...] = ()
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, *ODD["args"], "--http", str(self.port), *self.options, cwd=ROOT
        )
        await until_listening(self.port)

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process is not None:
            await self.process.wait()


@pytest.fixture(params=[(), ("--json",)], ids=["event streams", "plain answers"])
async def http_server(request: pytest.FixtureRequest) -> AsyncIterator[HttpProcess]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = HttpProcess(port=probe.getsockname()[1], options=request.param)
    await server.start()
    yield server
    await server.kill()


@dataclass
class Doorbell:
    """Rings when a hanging tool is at work, and hears what it says at its end."""

    port: int
    rung: asyncio.Event
    said: asyncio.Future[bytes]


@pytest.fixture
async def doorbell() -> AsyncIterator[Doorbell]:
    async with _open_doorbell() as bell:
        yield bell


@asynccontextmanager
async def _open_doorbell() -> AsyncIterator[Doorbell]:
    rung = asyncio.Event()
    said: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rung.set()
        try:
            words = await reader.read()
        except ConnectionError:
            words = b""
        if not said.done():
            said.set_result(words)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield Doorbell(port=server.sockets[0].getsockname()[1], rung=rung, said=said)


@asynccontextmanager
async def _serve_text(status: int, seen: list[str]) -> AsyncIterator[str]:
    """Something on the web that is no MCP server."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line for line in head.splitlines() if line.lower().startswith("authorization:")]
        seen.extend(line.partition(": ")[2] for line in lines)
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: text/html\r\n"
            "Content-Length: 5\r\nConnection: close\r\n\r\nhello".encode()
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"


@pytest.fixture
async def web_page() -> AsyncIterator[str]:
    async with _serve_text(200, []) as url:
        yield url


@pytest.fixture
async def lists_headers() -> AsyncIterator[tuple[str, list[str]]]:
    seen: list[str] = []
    async with _serve_text(401, seen) as url:
        yield url, seen
