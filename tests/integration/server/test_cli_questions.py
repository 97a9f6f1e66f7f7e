"""`youworker chat` where the server of a tool asks during a call."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.product import Product, new_secrets, open_product, settings_for
from tests.integration.server.people import Person, open_person
from tests.integration.server.test_cli_chat import youworker
from tests.integration.tools.conftest import ODD

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = {
    "type": "object",
    "properties": {
        "seats": {"type": "integer", "minimum": 1, "maximum": 6},
        "room": {"type": "string", "enum": ["A", "B"], "default": "A"},
    },
    "required": ["seats"],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Product]:
    database_url = postgres_server.lend()
    folder = tmp_path_factory.mktemp("product")
    servers = {"odd": {**ODD, "session": "user"}}
    (folder / "mcp.json").write_text(json.dumps({"mcpServers": servers}), "utf-8")
    async with ScriptedOllama() as model:
        settings = settings_for(folder, database_url, model)
        chosen = {"unmarked_tools": "allow", "start_wait_seconds": 60}
        settings = settings.model_copy(update={"mcp": settings.mcp.model_copy(update=chosen)})
        async with open_product(settings, new_secrets(), model) as running:
            yield running
    postgres_server.take_back(database_url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ada(product: Product) -> AsyncIterator[Person]:
    async with open_person(product, "ada") as ada:
        yield ada


def script(product: Product, **args: object) -> None:
    product.model.call("odd__ask_person", args)
    product.model.reply("As you said.")


async def test_a_form_is_filled_in_field_by_field(product: Product, ada: Person):
    script(product, message="Which seats?", schema=FORM)
    async with youworker(ada, "Book.", url=product.url, with_person=True) as terminal:
        await terminal.until("[c]ancel? ")
        terminal.type("what")
        await terminal.until("[c]ancel? ")
        terminal.type("a")
        await terminal.until("seats (a whole number): ")
        terminal.type("9")
        await terminal.until("seats (a whole number): ")
        terminal.type("2")
        await terminal.until("room (a number of these, empty: A): ")
        terminal.type("2")
        code, shown = await terminal.end()
    assert code == 0
    assert "? odd.ask_person asks:" in shown
    assert "Which seats?" in shown
    assert "This is at most 6" in shown
    assert "As you said." in shown
    told = str(product.model.requests[-1].messages[-1]["content"])
    assert '"seats": 2' in told
    assert '"room": "B"' in told


async def test_the_person_declines(product: Product, ada: Person):
    script(product, url="https://example.org/sign")
    async with youworker(ada, "Sign.", url=product.url, with_person=True) as terminal:
        await terminal.until("https://example.org/sign")
        await terminal.until("[c]ancel? ")
        terminal.type("d")
        code, _ = await terminal.end()
    assert code == 0
    assert "decline" in str(product.model.requests[-1].messages[-1]["content"])


async def test_without_a_terminal_it_is_told_how_to_answer(product: Product, ada: Person):
    script(product)
    async with youworker(ada, "Ask.", url=product.url) as terminal:
        await terminal.until('"action"')
        listed = await ada.client.get("/v1/questions", params={"status": "open"})
        [question] = listed.json()["questions"]
        body = {"answers": {question["question_id"]: {"action": "cancel"}}}
        path = f"/v1/runs/{question['run_id']}/answers"
        assert (await ada.client.post(path, json=body)).status_code == 202
        code, shown = await terminal.end()
    assert code == 0
    assert path in shown.replace("\n", "")
    assert "The question is over: cancelled." in shown
