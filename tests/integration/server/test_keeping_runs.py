"""Runs taken from the queue, from the dead or from an approval while something is amiss."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any, Literal
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from persistence.access import AccessScope
from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.identifiers import new_uuid7
from persistence.run_records import Run, RunInput
from server.runs import keeper
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.images import make_png
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
    values = {"text": "hello?", **values}
    return RunInput(session_id=session.session_id, thread_id=session.thread_id, **values)


async def say(
    product: Product,
    person: Person,
    session: ChatSession,
    *contents: str,
    images: tuple[dict[str, str], ...] = (),
) -> int:
    """Questions and answers that were exchanged some time ago; the id of the first one."""
    roles: tuple[Literal["user", "assistant"], ...] = ("user", "assistant")
    ids = []
    async with database_of(product).unit_of_work(AccessScope(user_id=person.id)) as uow:
        for number, content in enumerate(contents):
            said = await uow.messages.add(
                session.id, role=roles[number % 2], content=content, images=images
            )
            ids.append(said.id)
            images = ()
        await uow.commit()
    return ids[0]


async def conversation(connection: asyncpg.Connection, session: ChatSession) -> tuple[Any, ...]:
    """What there is of a conversation, whoever may still read it."""
    rows = await connection.fetch(
        "SELECT id, superseded_by, body FROM messages WHERE chat_session_id = $1 ORDER BY id",
        session.id,
    )
    counted = await connection.fetchval(
        "SELECT message_count FROM chat_sessions WHERE id = $1", session.id
    )
    remembered = await connection.fetchval(
        "SELECT count(*) FROM checkpoints WHERE thread_id = $1", str(session.thread_id)
    )
    return [tuple(row) for row in rows], counted, remembered


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


async def new_key(person: Person) -> int:
    made = await person.client.post("/v1/api-keys", json={"name": "lost"})
    assert made.status_code == 201, made.text
    key_id: int = made.json()["id"]
    return key_id


async def end_key(person: Person, connection: asyncpg.Connection, key_id: int, how: str) -> None:
    if how == "revoked":
        assert (await person.client.delete(f"/v1/api-keys/{key_id}")).status_code == 204
    else:
        await connection.execute(f"UPDATE api_keys SET expires_at = {AGO} WHERE id = $1", key_id)


@pytest.mark.parametrize("how", ["revoked", "expired"])
@pytest.mark.parametrize("place", ["in the queue", "of a dead process", "at an approval"])
async def test_a_run_whose_key_has_ended_is_not_gone_on_with(
    product: Product, ada: Person, connection: asyncpg.Connection, place: str, how: str
):
    key_id = await new_key(ada)
    if place == "in the queue":
        session, first = await begin(product, ada, seconds=PATIENT_SECONDS)
        run = await enqueue(product, ada, session, api_key_id=key_id)
    else:
        session, run = await begin(product, ada, seconds=PATIENT_SECONDS, api_key_id=key_id)
    await end_key(ada, connection, key_id, how)
    if place == "in the queue":
        await end(connection, first)
    elif place == "of a dead process":
        await connection.execute(f"UPDATE runs SET lease_until = {AGO} WHERE id = $1", run.id)
    else:
        await connection.execute(
            "UPDATE runs SET status = 'awaiting_approval', lease_owner = '' WHERE id = $1", run.id
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
    statuses = [message["status"] for message in answered["messages"]]
    assert statuses == ([] if place == "in the queue" else ["cancelled"])
    entries = (await product.client.get("/v1/audit", params={"action": "run.finish"})).json()
    [entry] = [e for e in entries["entries"] if e["resource_id"] == str(run.id)]
    assert (entry["success"], entry["details"]) == (False, {"code": "API_KEY_ENDED"})


@pytest.mark.parametrize("how", ["revoked", "locked out"])
async def test_an_edit_in_the_queue_changes_nothing_when_its_user_may_not_ask_any_more(
    product: Product, ada: Person, connection: asyncpg.Connection, how: str
):
    session, first = await begin(product, ada, seconds=PATIENT_SECONDS)
    question = await say(product, ada, session, "Q1?", "A1.", "Q2?", "A2.")
    key_id = await new_key(ada)
    run = await enqueue(product, ada, session, message_id=question, api_key_id=key_id)
    before = await conversation(connection, session)
    if how == "revoked":
        await end_key(ada, connection, key_id, how)
    else:
        out = await product.client.patch(f"/v1/users/{ada.id}", json={"is_active": False})
        assert out.status_code == 200, out.text
    await end(connection, first)
    await product.resources.keeper.take()

    finished = "SELECT status, error_code FROM runs WHERE id = $1 AND finished_at IS NOT NULL"
    async with asyncio.timeout(ENDS_SECONDS):
        while (state := await connection.fetchrow(finished, run.id)) is None:
            await asyncio.sleep(0)
    code = "API_KEY_ENDED" if how == "revoked" else None
    assert tuple(state) == ("cancelled", code)
    assert await conversation(connection, session) == before
    async with database_of(product).unit_of_work(AccessScope(user_id=ada.id)) as uow:
        names = [name for _, name, _ in (await uow.run_events.history(run.id)).events]
    assert names == ["run", *(["error"] if code else []), "done"]
    entries = (await product.client.get("/v1/audit", params={"action": "run.finish"})).json()
    [entry] = [e for e in entries["entries"] if e["resource_id"] == str(run.id)]
    assert (entry["success"], entry["details"]) == (False, {"code": code} if code else None)


async def test_a_question_that_cannot_be_read_keeps_no_other_run_from_beginning(
    product: Product, ada: Person, connection: asyncpg.Connection
):
    session, first = await begin(product, ada, seconds=PATIENT_SECONDS)
    image = base64.b64encode(make_png(3, 2)).decode()
    shown = ({"mime": "image/png", "data_b64": image},)
    question = await say(product, ada, session, "What is this?", "A cat.", images=shown)
    run = await enqueue(product, ada, session, message_id=question, text="")
    other, before_other = await begin(product, ada, seconds=PATIENT_SECONDS)
    healthy = await enqueue(product, ada, other)
    await connection.execute("DELETE FROM message_images WHERE message_id = $1", question)
    before = await conversation(connection, session)
    await end(connection, first)
    await end(connection, before_other)
    product.model.reply("Here I am.")

    await product.resources.keeper.take()

    assert (await ended(ada, healthy.id))["status"] == "success"
    state = await ended(ada, run.id)
    assert (state["status"], state["error_code"]) == ("error", "DATABASE_ERROR")
    assert await conversation(connection, session) == before


async def test_a_message_whose_turn_comes_while_its_session_is_locked_begins_when_that_is_over(
    product: Product, ada: Person, connection: asyncpg.Connection
):
    session, first = await begin(product, ada, seconds=PATIENT_SECONDS)
    run = await enqueue(product, ada, session)
    product.model.reply("At last.")
    async with database_of(product).unit_of_work(AccessScope(user_id=ada.id)) as uow:
        await uow.sessions.rename(session.session_id, "Another")
        await end(connection, first)
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


async def test_what_a_stopping_process_has_claimed_and_not_come_to_is_handed_over(
    product: Product,
    ada: Person,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
):
    resident = product.resources.keeper
    monkeypatch.setattr(resident, "_max_live", 0)
    another = keeper.RunKeeper(
        database=database_of(product),
        executor=product.resources.executor,
        takeover=resident._takeover,
        owner=resident._owner,
        lease_seconds=PATIENT_SECONDS,
        max_live=10,
    )
    runs = [(await begin(product, ada))[1].id for _ in range(2)]
    monkeypatch.setattr(keeper, "SETTLE_SECONDS", 0)
    monkeypatch.setattr(keeper, "HAND_OVER_SECONDS", ENDS_SECONDS)
    claimed = "SELECT count(*) FROM runs WHERE id = any($1) AND attempt = 2"
    async with connection.transaction():
        await connection.execute("LOCK TABLE tool_runs IN ACCESS EXCLUSIVE MODE")
        taking = asyncio.create_task(another.take())
        async with asyncio.timeout(ENDS_SECONDS):
            while await connection.fetchval(claimed, runs) < len(runs):
                await asyncio.sleep(0)
        taking.cancel()
        await asyncio.wait({taking})
        await another.settle()
    left = "SELECT lease_owner, crashes FROM runs WHERE id = any($1)"
    assert [tuple(row) for row in await connection.fetch(left, runs)] == [("", 1)] * 2
    for _ in runs:
        product.model.reply("Here I am.")
    await another.take()
    for run_id in runs:
        assert (await ended(ada, run_id))["status"] == "success"
    crashes = "SELECT crashes FROM runs WHERE id = any($1)"
    assert [row["crashes"] for row in await connection.fetch(crashes, runs)] == [1, 1]


async def test_what_goes_wrong_with_a_claim_is_told_when_its_waiter_has_gone(
    product: Product, monkeypatch: pytest.MonkeyPatch
):
    told: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr(keeper.log, "error", lambda event, **_: told.put_nowait(event))
    may_fail = asyncio.Event()

    async def fail() -> None:
        await may_fail.wait()
        raise ValueError("no such thing")

    waiting = asyncio.create_task(product.resources.keeper._to_its_end(fail()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    may_fail.set()
    assert await asyncio.wait_for(told.get(), ENDS_SECONDS) == "runs_not_looked_after"
