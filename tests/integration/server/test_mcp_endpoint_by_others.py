"""`/mcp` as programs that others wrote use it and judge it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.fixtures.foreign_servers import MODULES, run_node
from tests.fixtures.product import Product
from tests.fixtures.web_servers import serve
from tests.integration.server.people import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFORMANCE = str(MODULES / "conformance" / "dist" / "index.js")
INSPECTOR = str(MODULES / "inspector" / "clients" / "launcher" / "build" / "index.js")
TIMEOUT_SECONDS = 60.0
CANTEEN = b"The canteen opens at noon. On Fridays there is soup of chestnuts."
HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding"}


async def inspect(product: Product, person: Person, folder: Path, *arguments: str) -> Any:
    """Runs the inspector's command line with a person's key; returns what it was answered."""
    code, out, err = await run_node(
        *(INSPECTOR, "--cli", f"{product.url}/mcp", "--transport", "http"),
        *("--header", f"Authorization: {person.client.headers['Authorization']}", *arguments),
        timeout=TIMEOUT_SECONDS,
        env={"HOME": str(folder), "MCP_CATALOG_PATH": str(folder / "catalog.json")},
    )
    assert code == 0, out + err
    return json.loads(out)


def call(tool: str, argument: str) -> tuple[str, ...]:
    return ("--method", "tools/call", "--tool-name", tool, "--tool-arg", argument)


async def test_the_inspector_searches_and_asks(
    shared_product: Product, ada: Person, tmp_path: Path
):
    await ada.client.post("/v1/ingest/upload", files={"files": ("menu.txt", CANTEEN)})
    shared_product.model.reply("On Fridays.", when="When is there soup?")

    listed = await inspect(shared_product, ada, tmp_path, "--method", "tools/list")
    found = await inspect(shared_product, ada, tmp_path, *call("search", "query=soup of chestnuts"))
    answered = await inspect(
        shared_product, ada, tmp_path, *call("ask", "question=When is there soup?")
    )

    assert {tool["name"] for tool in listed["tools"]} == {"search", "read", "ask"}
    assert "soup of chestnuts" in found["content"][0]["text"]
    assert answered["structuredContent"]["content"] == "On Fridays."


@asynccontextmanager
async def open_with_key(product: Product, person: Person) -> AsyncIterator[str]:
    """The endpoint without a key: the suite has none to give."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        headers["Authorization"] = person.client.headers["Authorization"]
        body = await request.read()
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, f"{product.url}/mcp", headers=headers, data=body
            ) as answer,
        ):
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
            told = web.StreamResponse(status=answer.status, headers=kept)
            await told.prepare(request)
            async for piece in answer.content.iter_any():
                await told.write(piece)
            await told.write_eof()
            return told

    async with serve(pass_on) as port:
        yield f"http://localhost:{port}/mcp"


@pytest.mark.parametrize(
    "scenario",
    [
        "server-initialize",
        "ping",
        "tools-list",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
    ],
)
async def test_the_endpoint_passes_the_suite(
    shared_product: Product, ada: Person, tmp_path: Path, scenario: str
):
    async with open_with_key(shared_product, ada) as url:
        code, out, err = await run_node(
            *(CONFORMANCE, "server", "--url", url, "--scenario", scenario),
            *("--output-dir", str(tmp_path)),
            timeout=TIMEOUT_SECONDS,
            env={"HOME": str(tmp_path)},
        )
    assert code == 0, out + err
