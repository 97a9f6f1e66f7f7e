"""A message that is being accepted becomes a run as a whole, whoever leaves meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from persistence.notifications import Channel
from persistence.run_records import Run
from server.bootstrap import open_resources
from server.chat import socket as sockets
from server.chat.followed_runs import FollowedRuns
from server.chat.service import ChatService, NewMessage
from server.security.principal import Origin, Principal, scope_of
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.product import Product, new_secrets, settings_for
from tests.fixtures.rows import SYSTEM, create_session, create_user, start_run
from tests.fixtures.sockets import open_socket
from tests.fixtures.warm_reader import reading_warmly
from tests.integration.server.people import Person, open_person

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDS_SECONDS = 20
NOWHERE = Origin(ip=None, user_agent=None, correlation_id="")
WAITING = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def locked_session(
    connection: asyncpg.Connection, row_id: int
) -> AsyncIterator[asyncpg.transaction.Transaction]:
    """In which no run begins before the transaction is over."""
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT FROM chat_sessions WHERE id = $1 FOR UPDATE", row_id)
    yield transaction


async def until_somebody_waits(url: str) -> None:
    async with connected(url) as connection, asyncio.timeout(ENDS_SECONDS):
        while not await connection.fetchval(WAITING):
            await asyncio.sleep(0)


async def ask(chat: ChatService, principal: Principal, session_id: str) -> None:
    message = NewMessage(text="hello", session_id=session_id, enable_tools=False)
    await chat.accept(principal, NOWHERE, await chat.read(message))


async def principal_of(product: Product, person: Person) -> Principal:
    async with product.resources.chat._database.unit_of_work(SYSTEM) as uow:
        user = await uow.users.get(person.id)
    return Principal(user=user, scope=scope_of(user))


def database_url_of(product: Product) -> str:
    url = product.settings.database.url
    assert url is not None
    return url.get_secret_value()


async def test_a_run_that_is_accepted_while_its_socket_breaks_ends_as_its_message_wished(
    shared_product: Product, monkeypatch: pytest.MonkeyPatch
):
    url = database_url_of(shared_product)
    monkeypatch.setattr(sockets, "CLOSE_SECONDS", 0.01)
    async with open_person(shared_product, "ada") as ada, connected(url) as connection:
        principal = await principal_of(shared_product, ada)
        session = await create_session(
            shared_product.resources.chat._database, principal.scope, "breaks"
        )
        key = ada.client.headers["Authorization"].removeprefix("Bearer ")
        async with (
            locked_session(connection, session.id) as lock,
            open_socket(shared_product.url, "breaks", key=key) as socket,
        ):
            message = {"content": "hello", "enable_tools": False, "on_disconnect": "cancel"}
            await socket.send(type="text", **message)
            await until_somebody_waits(url)
            authenticator = shared_product.resources.doors.authenticator
            monkeypatch.setattr(authenticator, "_clock", lambda: 1 / 0)
            await socket.send(type="stop")
            assert await socket.close_code() == sockets.FAULT
            monkeypatch.undo()
            await lock.rollback()
        state = "SELECT status FROM runs WHERE chat_session_id = $1"
        async with asyncio.timeout(ENDS_SECONDS):
            while await connection.fetchval(state, session.id) != "cancelled":
                await asyncio.sleep(0)


async def test_a_server_that_stops_hands_over_what_it_accepts_and_ends_what_it_was_told_to(
    tmp_path: Path, postgres_server: PostgresServer
):
    url = postgres_server.lend()
    with reading_warmly():
        async with ScriptedOllama() as model, connected(url) as connection:
            model.hang(text="the whole answer", after=1)
            settings = settings_for(tmp_path, url, model)
            async with open_resources(settings, new_secrets()) as resources:
                database = resources.chat._database
                user = await create_user(database)
                principal = Principal(user=user, scope=scope_of(user))
                session = await create_session(database, principal.scope, "accepted")
                other = await create_session(database, principal.scope, "to be ended")
                told = await start_run(database, principal.scope, other)
                async with locked_session(connection, session.id) as lock:
                    asking = asyncio.create_task(ask(resources.chat, principal, "accepted"))
                    await until_somebody_waits(url)
                    asking.cancel()
                    await asyncio.gather(asking, return_exceptions=True)
                    resources.chat.cancel_soon(principal, told.id)
                    releasing = asyncio.create_task(lock.rollback())
            await releasing
            rows = await connection.fetch("SELECT chat_session_id, status, lease_owner FROM runs")
    postgres_server.take_back(url)
    states = {row["chat_session_id"]: (row["status"], row["lease_owner"]) for row in rows}
    assert states[session.id] == ("running", "")  # nobody's
    assert states[other.id][0] == "cancelled"


async def test_a_run_whose_reader_has_left_stops_at_once_where_it_is_executed(
    shared_product: Product,
):
    pause = shared_product.model.hang(text="the whole answer", after=1)
    asking = asyncio.create_task(shared_product.stream("go on", enable_tools=False))
    await pause.reached.wait()
    [live] = shared_product.resources.executor._live.values()
    shared_product.resources.chat.cancel_soon(live.request.principal, live.request.run_id)
    assert live.stopped == "cancelled"
    assert (await asking)[-1].data["metadata"]["status"] == "cancelled"


async def test_a_run_that_has_ended_unheard_is_not_kept_in_mind(shared_product: Product):
    heard: list[str] = []
    ended: asyncio.Queue[object] = asyncio.Queue()

    async def send(text: str) -> None:
        heard.append(text)

    followed = FollowedRuns(shared_product.resources.runs, send, ended=ended.put_nowait)
    async with (
        open_person(shared_product, "ada") as ada,
        connected(database_url_of(shared_product)) as connection,
        asyncio.timeout(ENDS_SECONDS),
    ):
        principal = await principal_of(shared_product, ada)
        deleted, over = [
            await elsewhere(shared_product, principal, name) for name in ("deleted", "over")
        ]
        for run in (deleted, over):
            await followed.resume(principal, run, after=1)
        assert ended.empty()
        for run, change in (
            (deleted, "DELETE FROM runs WHERE id = $1"),
            (over, "UPDATE runs SET status = 'error', finished_at = now() WHERE id = $1"),
        ):
            await connection.execute(change, run.id)
            await connection.execute(
                "SELECT pg_notify($1, $2)", Channel.RUN_CHANGED.value, str(run.id)
            )
            assert await ended.get() == run.id
    await followed.stop()


async def elsewhere(product: Product, principal: Principal, session_id: str) -> Run:
    """A run of another process."""
    database = product.resources.chat._database
    session = await create_session(database, principal.scope, session_id)
    return await start_run(database, principal.scope, session)
