"""What a tool call costs over a raw session that is held: `python -m bench.mcp_calls`.

Per transport, a tool of the catalog is measured beside `ClientSession.call_tool` of the official
client against the same server, in alternating batches of one run. Times vary by machine and load;
the ratios are what counts.
"""

import argparse
import asyncio
import json
import logging
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.memory import create_connected_server_and_client_session

from bench.processes import free_port
from tools.catalog import open_catalog
from tools.client import McpTool
from tools.servers.datetime_ import build_datetime_server
from tools.settings import McpSettings
from tools.transports import ReadStream, WriteStream

ARGUMENTS = {"timezone": "Asia/Tokyo"}
WARM_UP_CALLS = 30
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 10
POLL_SECONDS = 0.05
MUST_RATIO = 1.3

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The same call made in two ways."""

    transport: str
    raw: Call
    ours: Call


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the two ways cost: medians over the batches."""

    transport: str
    raw_ms: float
    ours_ms: float
    ratio: float
    """The median of the batches' own ratios, which a change of load in between does not move."""


async def compare(pair: Pair, *, batches: int, calls: int) -> Comparison:
    """Measure both ways in alternating batches."""
    for call in (pair.raw, pair.ours):
        await _time(call, WARM_UP_CALLS)
    raw, ours = [], []
    for _ in range(batches):
        raw.append(await _time(pair.raw, calls))
        ours.append(await _time(pair.ours, calls))
    return Comparison(
        transport=pair.transport,
        raw_ms=statistics.median(raw),
        ours_ms=statistics.median(ours),
        ratio=statistics.median(b / a for a, b in zip(raw, ours, strict=True)),
    )


async def _time(call: Call, calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        await call()
    return (time.perf_counter() - began) / calls * 1000


@asynccontextmanager
async def open_pairs() -> AsyncIterator[list[Pair]]:
    """Serve `datetime` over every transport and connect to it in both ways."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(_serve_http())
        arguments = ["-m", "tools", "serve", "datetime"]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        entries = {"stdio": {"command": sys.executable, "args": arguments}, "http": {"url": url}}
        servers_file = folder / "mcp.json"
        servers_file.write_text(json.dumps({"mcpServers": entries}), encoding="utf-8")
        settings = McpSettings(servers_file=servers_file, start_wait_seconds=START_TIMEOUT_SECONDS)
        catalog = await stack.enter_async_context(open_catalog(settings))
        tools = {tool.qualified_name: tool for tool in catalog.tools()}
        child = StdioServerParameters(command=sys.executable, args=arguments)
        memory = await stack.enter_async_context(
            create_connected_server_and_client_session(build_datetime_server())
        )
        stdio = await _open_raw(stack, *await stack.enter_async_context(stdio_client(child)))
        read, write, _ = await stack.enter_async_context(streamable_http_client(url))
        http = await _open_raw(stack, read, write)
        yield [
            _pair("memory", memory, tools["datetime.now"]),
            _pair("stdio", stdio, tools["stdio.now"]),
            _pair("http", http, tools["http.now"]),
        ]


async def _open_raw(stack: AsyncExitStack, read: ReadStream, write: WriteStream) -> ClientSession:
    session = await stack.enter_async_context(ClientSession(read, write))
    await session.initialize()
    return session


def _pair(transport: str, session: ClientSession, tool: McpTool) -> Pair:
    request = {"type": "tool_call", "id": "call", "name": tool.name, "args": ARGUMENTS}
    return Pair(
        transport=transport,
        raw=lambda: session.call_tool("now", ARGUMENTS),
        ours=lambda: tool.ainvoke(request, {"configurable": {"caller": "token"}}),
    )


@asynccontextmanager
async def _serve_http() -> AsyncIterator[str]:
    port = free_port()
    arguments = ("-m", "tools", "serve", "datetime", "--transport", "http", "--port", str(port))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    try:
        await asyncio.to_thread(_wait_until_it_answers, port)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await process.wait()


def _wait_until_it_answers(port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=POLL_SECONDS).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
        else:
            return


async def run(*, batches: int, calls: int) -> list[Comparison]:
    """Measure every transport."""
    async with open_pairs() as pairs:
        return [await compare(pair, batches=batches, calls=calls) for pair in pairs]


def main() -> None:
    """Print one line a transport; exit 1 when a ratio is over what the product must keep."""
    parser = argparse.ArgumentParser(prog="python -m bench.mcp_calls", description=__doc__)
    parser.add_argument("--batches", type=int, default=15)
    parser.add_argument("--calls", type=int, default=100)
    options = parser.parse_args()
    quiet = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=quiet)
    results = asyncio.run(run(batches=options.batches, calls=options.calls))
    for result in results:
        print(
            f"{result.transport:8} raw {result.raw_ms:6.3f} ms   ours {result.ours_ms:6.3f} ms"
            f"   ratio {result.ratio:.2f}"
        )
    sys.exit(any(result.ratio > MUST_RATIO for result in results))


if __name__ == "__main__":
    main()
