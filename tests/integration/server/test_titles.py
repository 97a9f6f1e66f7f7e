"""Titles that the model makes, in the whole product."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from persistence.access import AccessScope
from tests.fakes.model_turns import Turn
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.plaintext_scan import find_in_database
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.product import Product, new_secrets, open_product, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAIT_SECONDS = 10
ASKED = "User: "
"""How the model is told of a conversation that wants a title."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def titled_product(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory):
    database_url = postgres_server.lend()
    async with ScriptedOllama() as model:
        settings = settings_for(tmp_path_factory.mktemp("titles"), database_url, model)
        agent = settings.agent.model_copy(update={"titles": True})
        settings = settings.model_copy(update={"agent": agent})
        async with open_product(settings, new_secrets(), model) as running:
            yield running
    postgres_server.take_back(database_url)


@pytest_asyncio.fixture(loop_scope="module")
async def product(titled_product: Product):
    async with await titled_product.new_user(f"user-{uuid4().hex}") as client:
        yield replace(titled_product, client=client)


async def session_of(product: Product, session_id: str) -> dict:
    return (await product.client.get(f"/v1/chat/sessions/{session_id}")).json()


async def title_by(product: Product, session_id: str, origin: str) -> str:
    """The session's title, as soon as it is of this origin."""
    async with asyncio.timeout(WAIT_SECONDS):
        while (session := await session_of(product, session_id))["title_by"] != origin:
            await asyncio.sleep(0)
    return session["title"]


async def until_asked(product: Product, count: int) -> None:
    """Waits until the model was asked so often for titles."""
    async with asyncio.timeout(WAIT_SECONDS):
        while len(asked_for_titles(product)) < count:
            await asyncio.sleep(0)


def asked_for_titles(product: Product) -> list:
    return [
        request
        for request in product.model.requests
        if request.messages[-1]["content"].startswith(ASKED)
    ]


async def say(product: Product, question: str, answer: str, **body: object) -> None:
    product.model.reply(answer, when=question)
    await product.stream(question, **body)


async def test_the_first_answered_message_gives_the_session_its_title(product: Product):
    product.model.reply("**Titolo flieder-elefant**\n\nEcco.", when=f"{ASKED}Che ore")
    await say(product, "Che ore sono a Roma?", "Le tre.", session_id="s")

    assert await title_by(product, "s", "model") == "Titolo flieder-elefant"

    before = len(asked_for_titles(product))
    await say(product, "E a Tokyo?", "Le dieci.", session_id="s")
    assert (await session_of(product, "s"))["title"] == "Titolo flieder-elefant"
    assert len(asked_for_titles(product)) == before
    dsn = product.settings.database.url.get_secret_value()
    assert await find_in_database(dsn, "flieder-elefant") == []


async def test_a_title_counts_as_a_call_of_the_model(product: Product):
    product.model.reply("A title", when=f"{ASKED}Count")
    await say(product, "Count me?", "Yes.", session_id="s")
    await title_by(product, "s", "model")

    service = product.resources.sessions
    user_id = (await product.client.get("/v1/auth/me")).json()["id"]
    async with service._database.unit_of_work(AccessScope(user_id=user_id)) as uow:
        calls = await uow.model_calls.after(0, limit=10)
    assert sorted(call.purpose for call in calls) == ["answer", "title"]
    assert all(call.tokens_out > 0 for call in calls)


async def test_a_users_title_is_not_taken_away(product: Product):
    pause = product.model.hang(text="The title of a model", after=0, when=f"{ASKED}Slow")
    await say(product, "Slow?", "Yes.", session_id="s")
    await asyncio.wait_for(pause.reached.wait(), WAIT_SECONDS)
    await product.client.patch("/v1/chat/sessions/s", json={"title": "Mine"})
    pause.release()

    product.model.reply("Next", when=f"{ASKED}Other")
    await say(product, "Other?", "Yes.", session_id="t")
    await title_by(product, "t", "model")

    session = await session_of(product, "s")
    assert (session["title"], session["title_by"]) == ("Mine", "user")


@pytest.mark.parametrize("trouble", ["refused", "cut off", "empty"])
async def test_a_model_that_makes_no_title_leaves_the_first_line(product: Product, trouble: str):
    turn = {
        "refused": Turn(status=500, error="broken", when=f"{ASKED}Hard"),
        "cut off": Turn(text="half a", ending="cut", sent_pieces=1, when=f"{ASKED}Hard"),
        "empty": Turn(text="  \n", when=f"{ASKED}Hard"),
    }[trouble]
    product.model.add(turn)
    asked = len(asked_for_titles(product))
    await say(product, "Hard to say?\nYes.", "Indeed.", session_id="s")
    await until_asked(product, asked + 1)

    product.model.reply("Made later", when=f"{ASKED}And")
    await say(product, "And now?", "Better.", session_id="s")

    assert await title_by(product, "s", "model") == "Made later"


async def test_who_titles_a_session_and_who_deletes_it_do_not_lock_each_other_out(
    product: Product,
):
    pause = product.model.hang(text="A late title", after=0, when=f"{ASKED}Deleted")
    product.model.reply("Soon.", when="Deleted?")
    run_id = (await product.stream("Deleted?", session_id="s"))[0].data["run_id"]
    await asyncio.wait_for(pause.reached.wait(), WAIT_SECONDS)
    dsn = product.settings.database.url.get_secret_value()
    deleting, watching = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    try:
        async with deleting.transaction():
            # A deletion takes the session, and by the cascade its runs: nobody may hold those.
            await deleting.execute(
                "SELECT FROM chat_sessions JOIN runs ON runs.chat_session_id = chat_sessions.id "
                "WHERE runs.id = $1 FOR UPDATE OF chat_sessions",
                run_id,
            )
            pause.release()
            async with asyncio.timeout(WAIT_SECONDS):
                while not await watching.fetchval(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE wait_event_type = 'Lock' AND datname = current_database()"
                ):
                    await asyncio.sleep(0)
            await deleting.execute("SELECT FROM runs WHERE id = $1 FOR UPDATE NOWAIT", run_id)
    finally:
        await deleting.close()
        await watching.close()
    assert await title_by(product, "s", "model") == "A late title"


async def test_a_failed_run_asks_for_no_title(product: Product):
    asked = len(asked_for_titles(product))
    product.model.fail("broken")
    await product.stream("Fails?", session_id="s")

    product.model.reply("Title", when=f"{ASKED}Works")
    await say(product, "Works?", "Yes.", session_id="s")

    assert await title_by(product, "s", "model") == "Title"
    assert len(asked_for_titles(product)) == asked + 1


async def test_a_session_that_is_deleted_meanwhile_stays_deleted(product: Product):
    pause = product.model.hang(text="Too late", after=0, when=f"{ASKED}Gone")
    await say(product, "Gone?", "Yes.", session_id="s")
    await asyncio.wait_for(pause.reached.wait(), WAIT_SECONDS)
    assert (await product.client.delete("/v1/chat/sessions/s")).status_code == 204
    pause.release()

    product.model.reply("Here", when=f"{ASKED}Next")
    await say(product, "Next?", "Yes.", session_id="t")
    await title_by(product, "t", "model")

    assert (await product.client.get("/v1/chat/sessions")).json()["total"] == 1


async def test_a_fork_keeps_the_title_that_it_has(product: Product):
    product.model.reply("Walnuts", when=f"{ASKED}Nuts")
    await say(product, "Nuts?", "Yes.", session_id="s")
    await title_by(product, "s", "model")
    asked = len(asked_for_titles(product))
    last = (await session_of(product, "s"))["messages"][-1]["id"]

    body = {"message_id": last, "session_id": "f"}
    await product.client.post("/v1/chat/sessions/s/fork", json=body)
    await say(product, "More?", "No.", session_id="f")

    assert (await session_of(product, "f"))["title"] == "Walnuts (2)"
    assert len(asked_for_titles(product)) == asked
