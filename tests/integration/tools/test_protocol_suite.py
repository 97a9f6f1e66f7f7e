"""What others wrote to judge and to use MCP: the protocol's conformance suite, the inspector."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fixtures.foreign_servers import (
    CONFORMANCE,
    FOREIGN,
    MODULES,
    free_port,
    run_node,
)
from tests.fixtures.listening import until_listening

ROOT = FOREIGN.parents[1]
INSPECTOR = str(MODULES / "inspector" / "clients" / "launcher" / "build" / "index.js")
TIMEOUT_SECONDS = 60.0


@pytest.mark.parametrize("scenario", ["initialize", "tools_call", "sse-retry"])
async def test_our_client_passes_the_suite(scenario: str, tmp_path: Path) -> None:
    client = f"{sys.executable} {FOREIGN / 'conformance_client.py'}"
    code, out, err = await run_node(
        *(CONFORMANCE, "client", "--command", client, "--scenario", scenario),
        timeout=TIMEOUT_SECONDS,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
    )
    assert code == 0, out + err


@pytest.fixture
async def clock_url() -> AsyncIterator[str]:
    """The `datetime` server, served apart."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tools", "serve", "datetime"),
        *("--transport", "http", "--port", str(port)),
        cwd=ROOT,
    )
    try:
        await until_listening(port, lives=lambda: process.returncode is None)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        await process.wait()


async def inspect(url: str, tmp_path: Path, *arguments: str) -> tuple[int, str]:
    """Runs the inspector's command line; what it says on standard output is JSON."""
    code, out, _ = await run_node(
        *(INSPECTOR, "--cli", url, "--transport", "http", *arguments),
        timeout=TIMEOUT_SECONDS,
        env={"HOME": str(tmp_path), "MCP_CATALOG_PATH": str(tmp_path / "catalog.json")},
    )
    return code, out


async def test_the_inspector_lists_and_calls_the_tools_of_a_server_of_ours(
    clock_url: str, tmp_path: Path
) -> None:
    code, listed = await inspect(clock_url, tmp_path, "--method", "tools/list")
    assert code == 0
    assert [tool["name"] for tool in json.loads(listed)["tools"]] == ["now"]
    code, answered = await inspect(
        clock_url,
        tmp_path,
        *("--method", "tools/call", "--tool-name", "now", "--tool-arg", "timezone=Asia/Tokyo"),
    )
    assert code == 0
    assert "Asia/Tokyo" in json.loads(answered)["content"][0]["text"]
