"""What the protocol's conformance suite says of how people let the product act for them.

The suite wants a client that is one program. Here a person uses a product that is there all the
time: they have root add the suite's server, and follow their browser's way by hand.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.fakes.authorization_server import consent
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.foreign_servers import CONFORMANCE, FOREIGN, run_node
from tests.fixtures.product import Product, new_secrets, open_product, settings_for
from tests.integration.server.serving_tools import SERVERS, new_name, results_told

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("conformance suite"),
]

RELAY = FOREIGN / "conformance_relay.py"
TIMEOUT_SECONDS = 60.0
TOOL = "test-tool"
CLIENT_DOCUMENT = "https://conformance-test.local/client-metadata.json"
"""Where the suite thinks that the client describes itself: root names it in the server's entry."""
GRANTED = (
    "metadata-default",
    "metadata-var1",
    "metadata-var2",
    "metadata-var3",
    "scope-from-www-authenticate",
    "scope-from-scopes-supported",
    "scope-omitted-when-undefined",
    "token-endpoint-auth-basic",
    "token-endpoint-auth-post",
    "token-endpoint-auth-none",
    "pre-registration",
    "offline-access-scope",
    "offline-access-not-supported",
)
# Not driven: `2025-03-26-oauth-metadata-backcompat` and `2025-03-26-oauth-endpoint-fallback`, in
# which a server says nothing of what protects it: such a one is not authorized here.
# `client-credentials-jwt`, `client-credentials-basic` and `cross-app-access-complete-flow`, in
# which no person grants anything: the product has no grant but that of a person.


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(postgres_server, tmp_path_factory) -> AsyncIterator[Product]:
    database_url = postgres_server.lend()
    async with ScriptedOllama() as model:
        settings = settings_for(tmp_path_factory.mktemp("product"), database_url, model)
        update = {"authorization_hosts": ("localhost",), "unmarked_tools": "allow"}
        settings = settings.model_copy(
            update={
                "api": settings.api.model_copy(update={"public_url": "https://youworker.example"}),
                "mcp": settings.mcp.model_copy(update=update),
            }
        )
        async with open_product(settings, new_secrets(), model) as running:
            yield running
    postgres_server.take_back(database_url)


class Suite:
    """A scenario that is being played."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}
        """Where its server is, and the client that is registered there."""
        self.verdict: tuple[int, str] = (-1, "")
        """Its exit code and what it said, at the end."""


@asynccontextmanager
async def play(scenario: str, home: Path) -> AsyncIterator[Suite]:
    """Be the client of a scenario; the suite judges when this ends."""
    suite, begun, over = Suite(), asyncio.Event(), asyncio.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        suite.known = json.loads(await reader.readline())
        begun.set()
        await over.wait()
        writer.close()

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        command = f"{sys.executable} {RELAY} {port}"
        judging = asyncio.create_task(
            run_node(
                *(CONFORMANCE, "client", "--command", command, "--scenario", f"auth/{scenario}"),
                timeout=TIMEOUT_SECONDS,
                env={"HOME": str(home)},
            )
        )
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await begun.wait()
            yield suite
        finally:
            over.set()
            code, out, err = await judging
        suite.verdict = (code, out + err)


class Server:
    """The suite's server, as root has added it."""

    def __init__(self, product: Product, made: dict[str, Any]) -> None:
        self.name: str = made["name"]
        self.path = f"{SERVERS}/{made['id']}"
        self._product = product

    async def begin(self) -> tuple[int, dict[str, Any]]:
        """Ask where to grant it."""
        answer = await self._product.client.post(f"{self.path}/authorization")
        return answer.status_code, answer.json()

    async def authorize(self) -> None:
        """Grant it."""
        status, begun = await self.begin()
        assert status == 200, begun
        back = await consent(begun["authorization_url"])
        page = await self._product.client.get(back, headers={"Authorization": ""})
        assert page.status_code == 200, page.text
        await self._product.client.post(f"{self.path}/refresh")

    async def call(self) -> str:
        """Have the model call the tool; return what it was told."""
        self._product.model.call(f"{self.name}__{TOOL}", {})
        self._product.model.reply("Done.")
        answer = await self._product.client.post("/v1/chat", json={"text_input": "Try it."})
        assert answer.status_code == 200, answer.text
        return results_told(self._product)[-1]


@asynccontextmanager
async def added(product: Product, known: dict[str, Any]) -> AsyncIterator[Server]:
    """Has root add the suite's server until the end."""
    auth = {"type": "oauth"}
    if "client_id" in known:
        auth |= {"clientId": known["client_id"]}
    if "client_secret" in known:
        auth |= {"clientSecret": known["client_secret"]}
    body = {"name": new_name(), "config": {"url": known["url"], "auth": auth}}
    answer = await product.client.post(SERVERS, json=body)
    assert answer.status_code == 201, answer.text
    server = Server(product, answer.json())
    try:
        yield server
    finally:
        await product.client.delete(server.path)


@pytest.mark.parametrize("scenario", GRANTED)
async def test_a_person_grants_it_and_the_tool_is_called(
    product: Product, scenario: str, tmp_path: Path
):
    async with play(scenario, tmp_path) as suite, added(product, suite.known) as server:
        await server.authorize()
        told = await server.call()
    assert told == "test"
    assert suite.verdict[0] == 0, suite.verdict[1]


async def test_a_client_that_describes_itself_at_an_address_need_not_be_registered(
    product: Product, tmp_path: Path
):
    async with play("basic-cimd", tmp_path) as suite:
        known = {**suite.known, "client_id": CLIENT_DOCUMENT}
        async with added(product, known) as server:
            await server.authorize()
            assert await server.call() == "test"
    assert suite.verdict[0] == 0, suite.verdict[1]


async def test_what_is_missing_is_asked_for_when_the_person_grants_it_again(
    product: Product, tmp_path: Path
):
    async with play("scope-step-up", tmp_path) as suite, added(product, suite.known) as server:
        await server.authorize()
        first = await server.call()
        await server.authorize()
        second = await server.call()
    assert "authorize" in first
    assert second == "test"
    assert suite.verdict[0] == 0, suite.verdict[1]


async def test_a_server_for_which_nothing_is_enough_has_nobody_sent_there_again_by_itself(
    product: Product, tmp_path: Path
):
    async with play("scope-retry-limit", tmp_path) as suite, added(product, suite.known) as server:
        for _ in range(2):
            await server.authorize()
            assert "There is no tool" in await server.call()
    assert "limited retry attempts to 2 " in suite.verdict[1]
    assert suite.verdict[0] == 0, suite.verdict[1]


async def test_a_server_that_calls_itself_another_is_not_authorized(
    product: Product, tmp_path: Path
):
    async with play("resource-mismatch", tmp_path) as suite, added(product, suite.known) as server:
        status, refused = await server.begin()
    assert (status, refused["error"]["code"]) == (502, "MCP_AUTHORIZATION_FAILED")
    assert suite.verdict[0] == 0, suite.verdict[1]
