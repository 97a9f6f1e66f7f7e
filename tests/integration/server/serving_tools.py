"""MCP servers whose tools tests change, added to the product over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx

from tests.fakes.mutable_mcp_server import MutableServer, open_mutable_server
from tests.fixtures.product import Product

SERVERS = "/v1/mcp/servers"
TOOLS = "/v1/tools"
SECRET = "s3cret-walnut"


class AddedServer:
    """A server that root has added."""

    def __init__(self, product: Product, fake: MutableServer, made: dict[str, Any]) -> None:
        self.fake = fake
        self.made = made
        self.name: str = made["name"]
        self.path = f"{SERVERS}/{made['id']}"
        self._root = product.client

    def called(self, tool: str) -> str:
        """A tool's name as models know it."""
        return f"{self.name}__{tool}"

    async def refresh(self) -> dict[str, Any]:
        """Have the product look at its tools again."""
        answer = await self._root.post(f"{self.path}/refresh")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def seen_by(self, client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
        """Its tools as somebody sees them, by their own names."""
        answer = await client.get(TOOLS, params={"limit": 100})
        assert answer.status_code == 200, answer.text
        return {
            each["name"].partition(".")[2]: each
            for each in answer.json()["tools"]
            if each["server"] == self.name
        }

    async def seen_by_root(self) -> dict[str, dict[str, Any]]:
        """Its tools as root sees them."""
        return await self.seen_by(self._root)


def new_name() -> str:
    return f"s{uuid4().hex[:8]}"


async def add_server(product: Product, fake: MutableServer, **body: Any) -> AddedServer:
    config = {
        "url": fake.url,
        "headers": {"Authorization": f"Bearer {SECRET}"},
        "trustAnnotations": True,
    }
    answer = await product.client.post(SERVERS, json={"name": new_name(), "config": config, **body})
    assert answer.status_code == 201, answer.text
    return AddedServer(product, fake, answer.json())


@asynccontextmanager
async def open_added_server(product: Product, **body: Any) -> AsyncIterator[AddedServer]:
    """A server of its own that root has added; removed in the end."""
    async with open_mutable_server() as fake:
        added = await add_server(product, fake, **body)
        try:
            yield added
        finally:
            await product.client.delete(added.path)


async def ask(product: Product, client: httpx.AsyncClient) -> set[str]:
    """Asks something; returns the tools that the model was offered."""
    product.model.reply("Well.")
    answer = await client.post("/v1/chat", json={"text_input": "What can you do?"})
    assert answer.status_code == 200, answer.text
    return set(product.model.requests[-1].tool_names)


def results_told(product: Product) -> list[str]:
    """What the model was told of its calls in the newest request."""
    messages = product.model.requests[-1].body["messages"]
    return [message["content"] for message in messages if message["role"] == "tool"]
