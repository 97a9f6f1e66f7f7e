"""What a tool call costs: `python -m bench.mcp`.

Per transport, a tool of the catalog is measured beside `ClientSession.call_tool` of the official
client over a session that is held, and beside what `langchain-mcp-adapters` does unless told
otherwise, which is a session per call (the package itself where it is installed, else the same
steps), in alternating batches of one run: one call at a time, and many at once. Times vary by
machine and load; the ratios are what counts. CPU is that of this process, without the servers'.
It fails when a tool of the catalog costs more than 1.3 times what the held session does.
"""

import argparse
import asyncio
import importlib
import importlib.util
import json
import logging
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.memory import create_connected_server_and_client_session

from bench.processes import free_port
from tools.calls import CALL_KEY, CallContext
from tools.catalog import open_catalog
from tools.client import McpTool
from tools.servers.datetime_ import build_datetime_server
from tools.settings import McpSettings
from tools.transports import ReadStream, WriteStream

ARGUMENTS = {"timezone": "Asia/Tokyo"}
SERVE = ["-m", "tools", "serve", "datetime"]
WARM_UP_CALLS = 30
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 10
POLL_SECONDS = 0.05
MANY = 32
MUST_RATIO = 1.3

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class Ways:
    """The same call made in several ways."""

    transport: str
    raw: Call
    ours: Call
    adapters: Call | None = None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one call, in milliseconds."""

    wall: float
    cpu: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the ways cost: medians over the batches."""

    transport: str
    at_once: int
    raw: Cost
    ours: Cost
    adapters: Cost | None
    ratio: float
    """Ours over raw: the median of the batches' own, which a change of load in between does not
    move."""
    cpu_ratio: float


async def compare(
    ways: Ways, *, at_once: int, batches: int, calls: int, adapter_calls: int
) -> Comparison:
    """Measure all ways, ours and the raw one in alternating batches."""
    for call in (ways.raw, ways.ours):
        await _measure(call, WARM_UP_CALLS, at_once)
    raw, ours = [], []
    for _ in range(batches):
        raw.append(await _measure(ways.raw, calls, at_once))
        ours.append(await _measure(ways.ours, calls, at_once))
    adapters = None
    # Many at once over stdio would be as many servers at once, which measures the machine.
    if ways.adapters is not None and (at_once == 1 or ways.transport != "stdio"):
        adapters = await _measure(ways.adapters, adapter_calls, at_once)
    return Comparison(
        transport=ways.transport,
        at_once=at_once,
        raw=_median(raw),
        ours=_median(ours),
        adapters=adapters,
        ratio=statistics.median(b.wall / a.wall for a, b in zip(raw, ours, strict=True)),
        cpu_ratio=statistics.median(b.cpu / a.cpu for a, b in zip(raw, ours, strict=True)),
    )


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        wall=statistics.median(cost.wall for cost in costs),
        cpu=statistics.median(cost.cpu for cost in costs),
    )


async def _measure(call: Call, calls: int, at_once: int) -> Cost:
    rounds = max(1, calls // at_once)
    began, cpu_began = time.perf_counter(), time.process_time()
    for _ in range(rounds):
        await asyncio.gather(*(call() for _ in range(at_once)))
    per_call = 1000 / (rounds * at_once)
    return Cost(
        wall=(time.perf_counter() - began) * per_call,
        cpu=(time.process_time() - cpu_began) * per_call,
    )


@asynccontextmanager
async def open_ways() -> AsyncIterator[list[Ways]]:
    """Serve `datetime` over every transport and connect to it in all ways."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(_serve_http())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        entries = {"stdio": {"command": sys.executable, "args": SERVE}, "http": {"url": url}}
        servers_file = folder / "mcp.json"
        servers_file.write_text(json.dumps({"mcpServers": entries}), encoding="utf-8")
        settings = McpSettings(servers_file=servers_file, start_wait_seconds=START_TIMEOUT_SECONDS)
        catalog = await stack.enter_async_context(open_catalog(settings))
        ours = {tool.qualified_name: _ours(tool) for tool in catalog.tools()}
        memory = await stack.enter_async_context(
            create_connected_server_and_client_session(build_datetime_server())
        )
        stdio = await _hold(stack, *await stack.enter_async_context(stdio_client(_child())))
        read, write, _ = await stack.enter_async_context(streamable_http_client(url))
        http = await _hold(stack, read, write)
        adapters = await _open_adapters(url)
        yield [
            Ways(transport="memory", raw=_raw(memory), ours=ours["datetime.now"]),
            Ways(
                transport="stdio",
                raw=_raw(stdio),
                ours=ours["stdio.now"],
                adapters=adapters["stdio"],
            ),
            Ways(
                transport="http", raw=_raw(http), ours=ours["http.now"], adapters=adapters["http"]
            ),
        ]


def _child() -> StdioServerParameters:
    return StdioServerParameters(command=sys.executable, args=SERVE)


async def _hold(stack: AsyncExitStack, read: ReadStream, write: WriteStream) -> ClientSession:
    session = await stack.enter_async_context(ClientSession(read, write))
    await session.initialize()
    return session


def _raw(session: ClientSession) -> Call:
    return lambda: session.call_tool("now", ARGUMENTS)


def _ours(tool: McpTool) -> Call:
    request = {"type": "tool_call", "id": "call", "name": tool.name, "args": ARGUMENTS}
    return lambda: tool.ainvoke(request, {"configurable": {CALL_KEY: CallContext(caller="token")}})


async def _open_adapters(url: str) -> Mapping[str, Call]:
    if importlib.util.find_spec("langchain_mcp_adapters") is None:
        return {"stdio": _call_in_a_child, "http": lambda: _call_over_http(url)}
    adapters: Any = importlib.import_module("langchain_mcp_adapters.client")
    ways: dict[str, Call] = {}
    for name, connection in {
        "stdio": {"transport": "stdio", "command": sys.executable, "args": SERVE},
        "http": {"transport": "streamable_http", "url": url},
    }.items():
        [tool] = await adapters.MultiServerMCPClient({name: connection}).get_tools()
        ways[name] = lambda tool=tool: tool.ainvoke(ARGUMENTS)  # type: ignore[misc]
    return ways


async def _call_in_a_child() -> object:
    async with AsyncExitStack() as stack:
        session = await _hold(stack, *await stack.enter_async_context(stdio_client(_child())))
        return await session.call_tool("now", ARGUMENTS)


async def _call_over_http(url: str) -> object:
    async with AsyncExitStack() as stack:
        read, write, _ = await stack.enter_async_context(streamable_http_client(url))
        session = await _hold(stack, read, write)
        return await session.call_tool("now", ARGUMENTS)


@asynccontextmanager
async def _serve_http() -> AsyncIterator[str]:
    port = free_port()
    arguments = (*SERVE, "--transport", "http", "--port", str(port))
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


async def run(
    *, batches: int, calls: int, adapter_calls: int, many: int = MANY
) -> list[Comparison]:
    """Measure every transport, one call at a time and many at once."""
    async with open_ways() as all_ways:
        return [
            await compare(
                ways, at_once=at_once, batches=batches, calls=calls, adapter_calls=adapter_calls
            )
            for at_once in (1, many)
            for ways in all_ways
        ]


def main() -> None:
    """Print one line a measurement; exit 1 when a ratio is over what the product must keep."""
    parser = argparse.ArgumentParser(prog="python -m bench.mcp", description=__doc__)
    parser.add_argument("--batches", type=int, default=15)
    parser.add_argument("--calls", type=int, default=96)
    parser.add_argument("--adapter-calls", type=int, default=10)
    options = parser.parse_args()
    quiet = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=quiet)
    results = asyncio.run(
        run(batches=options.batches, calls=options.calls, adapter_calls=options.adapter_calls)
    )
    for result in results:
        print(_line(result))
    sys.exit(any(result.ratio > MUST_RATIO for result in results))


def _line(result: Comparison) -> str:
    parts = [f"{result.transport:6} {result.at_once:2} at once"]
    for name, cost in (("raw", result.raw), ("ours", result.ours), ("adapters", result.adapters)):
        if cost is not None:
            parts.append(f"{name} {cost.wall:7.3f} ms (CPU {cost.cpu:6.3f})")
    parts.append(f"ours over raw {result.ratio:.2f} (CPU {result.cpu_ratio:.2f})")
    if result.adapters is not None:
        parts.append(f"adapters over ours {result.adapters.wall / result.ours.wall:.1f}")
    return "   ".join(parts)


if __name__ == "__main__":
    main()
