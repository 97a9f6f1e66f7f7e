"""Runs taken from the queue, from the dead or from an approval while something is amiss."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from persistence.access import AccessScope
from persistence.database import Database
from persistence.identifiers import new_uuid7
from persistence.records import ChatSession, Run, RunInput
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.product import Product, new_secrets, open_product, settings_for
from tests.fixtures.rows import create_session
from tests.integration.server.people import Person, open_person

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDS_SECONDS = 20
PATIENT_SECONDS = 600.0
"""A lease so long that nobody looks for runs by themselves while a test lasts."""
AGO = "now() - interval '1 hour'"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Product]:
    database_url = postgres_server.lend()
    async with ScriptedOllama() as model:
        settings = settings_for(tmp_path_factory.mktemp("keeping"), database_url, model)
        runs = settings.runs.model_copy(
            update={"lease_seconds": PATIENT_SECONDS, "timeout_seconds": 3600.0}
        )
        settings = settings.model_copy(update={"runs": runs})
        async with open_product(settings, new_secrets(), model) as running:
            yield running
    postgres_server.take_back(database_url)


@pytest_asyncio.fixture(loop_scope="module")
async def ada(product: Product) -> AsyncIterator[Person]:
    async with open_person(product, "ada") as person:
        yield person


@pytest_asyncio.fixture(loop_scope="module")
async def connection(product: Product) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(product.settings.database.url.get_secret_value())
    yield opened
    await opened.close()


def database_of(product: Product) -> Database:
    return product.resources.chat._database


async def begin(
    product: Product, person: Person, *, seconds: float = -1, **values: Any
) -> tuple[ChatSession, Run]:
    """A run of another process, which has died if `seconds` is negative."""
    scope = AccessScope(user_id=person.id)
    session = await create_session(database_of(product), scope, uuid4().hex)
    async with database_of(product).unit_of_work(scope) as uow:
        run = await uow.runs.start(
            new_uuid7(),
            session.id,
            model="scripted",
            lease_owner="another process",
            lease_seconds=seconds,
            run_input=asked_in(session, **values),
        )
        await uow.commit()
    return session, run


async def enqueue(product: Product, person: Person, session: ChatSession, **values: Any) -> Run:
    async with database_of(product).unit_of_work(AccessScope(user_id=person.id)) as uow:
        run = await uow.runs.enqueue(
            new_uuid7(),
            session.id,
            model="scripted",
            run_input=asked_in(session, **values),
            max_queued=10,
        )
        await uow.commit()
    return run


def asked_in(session: ChatSession, **values: Any) -> RunInput:
    return RunInput(
        session_id=session.session_id, thread_id=session.thread_id, text="hello?", **values
    )


async def end(connection: asyncpg.Connection, run: Run) -> None:
    await connection.execute(
        "UPDATE runs SET status = 'success', finished_at = now() WHERE id = $1", run.id
    )


async def ended(person: Person, run_id: UUID) -> dict[str, Any]:
    """The run, when it has ended."""
    async with asyncio.timeout(ENDS_SECONDS):
        while True:
            state: dict[str, Any] = (await person.client.get(f"/v1/runs/{run_id}")).json()
            if state["finished_at"] is not None:
                return state
            await asyncio.sleep(0)


@asynccontextmanager
async def lost_key(product: Product, person: Person, connection: asyncpg.Connection, how: str):
    """The id of a key of the user's that has ended."""
    made = await person.client.post("/v1/api-keys", json={"name": "lost"})
    assert made.status_code == 201, made.text
    key_id = made.json()["id"]
    if how == "revoked":
        assert (await person.client.delete(f"/v1/api-keys/{key_id}")).status_code == 204
    else:
        await connection.execute(f"UPDATE api_keys SET expires_at = {AGO} WHERE id = $1", key_id)
    yield key_id


@pytest.mark.parametrize("how", ["revoked", "expired"])
@pytest.mark.parametrize("place", ["in the queue", "of a dead process", "at an approval"])
async def test_a_run_whose_key_has_ended_is_not_gone_on_with(
    product: Product, ada: Person, connection: asyncpg.Connection, place: str, how: str
):
    async with lost_key(product, ada, connection, how) as key_id:
        if place == "in the queue":
            session, first = await begin(product, ada, seconds=PATIENT_SECONDS)
            run = await enqueue(product, ada, session, api_key_id=key_id)
            await end(connection, first)
        else:
            session, run = await begin(product, ada, api_key_id=key_id)
        if place == "at an approval":
            await connection.execute(
                "UPDATE runs SET status = 'awaiting_approval', lease_owner = '' WHERE id = $1",
                run.id,
            )
    _, other = await begin(product, ada)
    product.model.reply("Here I am.")
    await product.resources.keeper.take()

    state = await ended(ada, run.id)
    assert (state["status"], state["error_code"]) == ("cancelled", "API_KEY_ENDED")
    assert (await ended(ada, other.id))["status"] == "success"
    events = (await ada.client.get(f"/v1/runs/{run.id}/events")).text
    assert "API_KEY_ENDED" in events
    answered = (await ada.client.get(f"/v1/chat/sessions/{session.session_id}")).json()
    assert answered["messages"][-1]["status"] == "cancelled"
    entries = (await product.client.get("/v1/audit", params={"action": "run.finish"})).json()
    [entry] = [e for e in entries["entries"] if e["resource_id"] == str(run.id)]
    assert (entry["success"], entry["details"]) == (False, {"code": "API_KEY_ENDED"})


async def test_a_message_whose_turn_comes_while_its_session_is_locked_begins_when_that_is_over(
    product: Product, ada: Person, connection: asyncpg.Connection
):
    session, first = await begin(product, ada, seconds=PATIENT_SECONDS)
    run = await enqueue(product, ada, session)
    product.model.reply("At last.")
    await end(connection, first)
    async with connection.transaction():
        await connection.execute("SELECT FROM chat_sessions WHERE id = $1 FOR UPDATE", session.id)
        await product.resources.keeper.take()
        assert (await ada.client.get(f"/v1/runs/{run.id}")).json()["status"] == "queued"
    assert (await ended(ada, run.id))["status"] == "success"


async def test_a_run_that_cannot_be_read_lets_what_waits_behind_it_begin(
    product: Product, ada: Person, connection: asyncpg.Connection
):
    _, run = await begin(product, ada)
    await connection.execute("UPDATE runs SET input = NULL WHERE id = $1", run.id)
    heard: set[str] = set()
    await connection.add_listener("youworker_run_waiting", lambda *about: heard.add(about[-1]))
    await product.resources.keeper.take()
    async with asyncio.timeout(ENDS_SECONDS):
        while str(run.id) not in heard:
            await asyncio.sleep(0)
    assert (await ended(ada, run.id))["error_code"] == "RUN_LOST"


@pytest.mark.parametrize("worked", [0.0, 3600.0])
async def test_a_run_has_what_is_left_of_its_time_when_it_is_gone_on_with(
    product: Product, ada: Person, connection: asyncpg.Connection, worked: float
):
    _, run = await begin(product, ada)
    await connection.execute(
        "UPDATE runs SET worked_seconds = $2, lease_owner = '' WHERE id = $1", run.id, worked
    )
    if worked:
        product.model.hang(when="hello?")
    else:
        product.model.reply("In good time.")
    await product.resources.keeper.take()
    assert (await ended(ada, run.id))["error_code"] == ("RUN_TIMEOUT" if worked else None)
    product.model._turns.clear()


async def test_a_run_out_of_sight_is_not_cancelled_although_it_is_at_work_here(
    product: Product, ada: Person
):
    pause = product.model.hang(text="done", after=0)
    asking = asyncio.create_task(product.stream("wait", session_id=uuid4().hex))
    await asyncio.wait_for(pause.reached.wait(), ENDS_SECONDS)
    [run_id] = product.resources.executor.live_ids()
    await product.resources.chat._canceller.cancel(AccessScope(user_id=ada.id), run_id)
    pause.release()
    assert (await asking)[-1].data["metadata"]["status"] == "success"


async def test_a_run_that_is_deleted_while_its_end_is_waited_for_is_cancelled_enough(
    product: Product, ada: Person, connection: asyncpg.Connection
):
    session, run = await begin(product, ada, seconds=PATIENT_SECONDS)
    canceller = product.resources.chat._canceller
    canceller._patience_seconds = ENDS_SECONDS
    cancelling = asyncio.create_task(canceller.cancel(AccessScope(user_id=ada.id), run.id))
    async with asyncio.timeout(ENDS_SECONDS):
        while not await connection.fetchval("SELECT cancel_at FROM runs WHERE id = $1", run.id):
            await asyncio.sleep(0)
        await connection.execute("DELETE FROM chat_sessions WHERE id = $1", session.id)
        await cancelling


@pytest.mark.parametrize("stops", [False, True])
async def test_a_run_that_was_claimed_is_worked_on_or_handed_over_whoever_is_cancelled(
    product: Product, ada: Person, connection: asyncpg.Connection, stops: bool
):
    _, run = await begin(product, ada)
    product.model.reply("Here I am.")
    keeper, executor = product.resources.keeper, product.resources.executor
    claimed = "SELECT attempt = 2 FROM runs WHERE id = $1"
    async with connection.transaction():
        await connection.execute("LOCK TABLE tool_runs IN ACCESS EXCLUSIVE MODE")
        taking = asyncio.create_task(keeper.take())
        async with asyncio.timeout(ENDS_SECONDS):
            while not await connection.fetchval(claimed, run.id):
                await asyncio.sleep(0)
        taking.cancel()
        await asyncio.wait({taking})
        executor.stopping = stops
    await keeper.settle()
    if stops:
        async with asyncio.timeout(ENDS_SECONDS):
            while executor.live_ids():
                await asyncio.sleep(0)
        left = "SELECT lease_owner, crashes FROM runs WHERE id = $1"
        assert tuple(await connection.fetchrow(left, run.id)) == ("", 1)
        executor.stopping = False
        await keeper.take()
    assert (await ended(ada, run.id))["status"] == "success"
    assert await connection.fetchval("SELECT crashes FROM runs WHERE id = $1", run.id) == 1
