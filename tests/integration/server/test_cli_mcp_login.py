"""`youworker mcp login` and `logout`, and what of a server's prompts is known without."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio
import structlog
from typer.testing import CliRunner

from server.cli import mcp_login
from server.cli.connection import ApiFailure
from server.cli.main import app
from tests.fakes.authorization_server import consent, open_authorization_server
from tests.fakes.ollama_server import ScriptedOllama
from tests.fakes.protected_mcp_server import open_protected_server
from tests.fixtures.product import Product, new_secrets, open_product, settings_for
from tests.integration.server.people import Person, open_person, told
from tests.integration.server.serving_tools import SERVERS, new_name

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDS_SECONDS = 60


@pytest.fixture(autouse=True)
def product_that_logs_elsewhere() -> Iterator[None]:
    """The product runs in this process: its log would stand among what the command prints."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    yield
    structlog.reset_defaults()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(postgres_server, tmp_path_factory) -> AsyncIterator[Product]:
    database_url = postgres_server.lend()
    async with ScriptedOllama() as model:
        settings = settings_for(tmp_path_factory.mktemp("product"), database_url, model)
        settings = settings.model_copy(
            update={
                "api": settings.api.model_copy(update={"public_url": "https://youworker.example"}),
                "mcp": settings.mcp.model_copy(update={"authorization_hosts": ("127.0.0.1",)}),
            }
        )
        async with open_product(settings, new_secrets(), model) as running:
            yield running
    postgres_server.take_back(database_url)


@pytest_asyncio.fixture(loop_scope="module")
async def ada(product: Product) -> AsyncIterator[Person]:
    async with open_person(product, "ada") as person:
        yield person


@pytest_asyncio.fixture(loop_scope="module")
async def server(product: Product) -> AsyncIterator[str]:
    """The name of a server that asks people to log in."""
    async with open_authorization_server() as authority, open_protected_server(authority) as fake:
        authority.person = "ada-there"
        body = {"name": new_name(), "config": {"url": fake.url, "auth": {"type": "oauth"}}}
        made = (await product.client.post(SERVERS, json=body)).json()
        yield made["name"]
        await product.client.delete(f"{SERVERS}/{made['id']}")


class Shell:
    """Somebody's command line; the browser that it opens is the test."""

    def __init__(self, product: Product, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
        key = person.client.headers["authorization"].removeprefix("Bearer ")
        self._environment = {"YOUWORKER_URL": product.url, "YOUWORKER_API_KEY": key}
        self.opened: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def open_there(address: str) -> bool:
            loop.call_soon_threadsafe(self.opened.put_nowait, address)
            return True

        monkeypatch.setattr(mcp_login.webbrowser, "open", open_there)
        monkeypatch.setattr(mcp_login, "POLL_SECONDS", 0.01)

    async def run(self, *arguments: str):
        async with asyncio.timeout(ENDS_SECONDS):
            return await asyncio.to_thread(
                CliRunner().invoke, app, ["mcp", *arguments], env=self._environment
            )


async def grant(client: httpx.AsyncClient, address: str) -> None:
    back = await consent(address)
    assert (await client.get(back, headers={"Authorization": ""})).status_code == 200


async def test_logging_in_waits_until_it_is_granted_and_logging_out_takes_it_back(
    product: Product, server: str, ada: Person, monkeypatch: pytest.MonkeyPatch
):
    shell = Shell(product, ada, monkeypatch)
    for _ in range(2):  # whoever is logged in already can do it again
        login = asyncio.create_task(shell.run("login", server.upper(), "--browser"))
        address = await shell.opened.get()
        assert not login.done()
        await grant(product.client, address)
        ended = await login
        assert ended.exit_code == 0, ended.output
        assert ended.stdout == f"{address}\n{server} has let you in\n"

    out = await shell.run("logout", server)
    assert out.stdout.startswith(f"you are logged out of {server}")
    [standing] = (await ada.client.get("/v1/mcp/authorizations")).json()["authorizations"]
    assert standing["status"] == "missing"
    again = await shell.run("logout", server)
    assert isinstance(again.exception, ApiFailure)
    assert again.exception.code == "MCP_AUTHORIZATION_NOT_FOUND"


async def test_the_address_alone_can_be_had(
    product: Product, server: str, ada: Person, monkeypatch: pytest.MonkeyPatch
):
    shell = Shell(product, ada, monkeypatch)
    ended = await shell.run("login", server, "--no-wait")
    assert ended.exit_code == 0, ended.output
    await grant(product.client, ended.stdout.strip())
    assert shell.opened.empty()


async def test_a_server_that_asks_nobody_to_log_in_is_told_of(
    product: Product, server: str, ada: Person, monkeypatch: pytest.MonkeyPatch
):
    ended = await Shell(product, ada, monkeypatch).run("login", "datetime")
    assert isinstance(ended.exception, ApiFailure)
    assert f"no MCP server 'datetime' asks you to log in; these do: {server}." in str(
        ended.exception
    )


async def test_prompts_wait_for_the_person_to_log_in(
    product: Product, server: str, ada: Person, monkeypatch: pytest.MonkeyPatch
):
    query = {"server": server}
    listed = (await ada.client.get("/v1/prompts", params=query)).json()
    assert (listed["prompts"], listed["unavailable"]) == ([], [server])
    refused = await ada.client.post(f"/v1/prompts/{server}/any", json={})
    assert told(refused) == (409, "MCP_AUTHORIZATION_NEEDED")
    ended = await Shell(product, ada, monkeypatch).run("login", server, "--no-wait")
    await grant(product.client, ended.stdout.strip())
    assert (await ada.client.get("/v1/prompts", params=query)).json()["unavailable"] == []
    nothing = await ada.client.post(f"/v1/prompts/{server}/any", json={})
    assert told(nothing) == (404, "PROMPT_NOT_FOUND")
