"""A user who is locked out loses at once what goes on, on whichever replica it does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from server.cli.events import ServerSentEvent, read_events
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.product import Product, client_for, new_secrets, open_product, settings_for
from tests.fixtures.sockets import open_socket

ENDS_SECONDS = 30
LOCKED_OUT = 4401
CUT = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE application_name = 'youworker-notifications' AND datname = current_database()"
)
BEGINNING = "this much was said already "


@pytest.fixture
async def replicas(
    tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
) -> AsyncIterator[tuple[Product, Product]]:
    """Two servers of one installation."""
    secrets = new_secrets()
    first, second = (
        settings_for(tmp_path / name, database_url, scripted_model) for name in ("a", "b")
    )
    async with (
        open_product(first, secrets, scripted_model) as a,
        open_product(second, secrets, scripted_model) as b,
    ):
        yield a, b


class Ada:
    """A user, with a client of one replica and an answer that is going on there."""

    def __init__(self, root: httpx.AsyncClient, client: httpx.AsyncClient, user_id: int) -> None:
        self.root = root
        self.client = client
        self.user_id = user_id

    async def stream(self, session_id: str) -> list[ServerSentEvent]:
        body = {"text_input": "go on and on", "session_id": session_id}
        answer = await self.client.post("/v1/chat/stream", json=body)
        return list(read_events(answer.text.split("\n")))

    async def set_active(self, *, active: bool) -> None:
        answer = await self.root.patch(f"/v1/users/{self.user_id}", json={"is_active": active})
        assert answer.status_code == 200, answer.text


@pytest.fixture
async def ada(replicas: tuple[Product, Product]) -> AsyncIterator[Ada]:
    """Made and locked out by root on the first replica, at work on the second."""
    a, b = replicas
    user = (await a.client.post("/v1/users", json={"username": "ada"})).json()
    path = f"/v1/users/{user['id']}/api-keys"
    key = (await a.client.post(path, json={"name": "k"})).json()["key"]
    async with client_for(b.url, key) as client:
        yield Ada(a.client, client, user["id"])


async def begin_stream(
    ada: Ada, model: ScriptedOllama, session_id: str = "s"
) -> "asyncio.Task[list[ServerSentEvent]]":
    pause = model.hang(text=BEGINNING * 2, after=5)
    streaming = asyncio.create_task(ada.stream(session_id))
    async with asyncio.timeout(ENDS_SECONDS):
        await pause.reached.wait()
    return streaming


async def execute(address: str, *statements: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def status_at_end(streaming: "asyncio.Task[list[ServerSentEvent]]") -> str:
    async with asyncio.timeout(ENDS_SECONDS):
        events = await streaming
    assert events[-1].event == "done"
    status: str = events[-1].data["metadata"]["status"]
    return status


async def test_a_stream_ends_when_another_replica_locks_its_user_out(
    ada: Ada, scripted_model: ScriptedOllama
):
    streaming = await begin_stream(ada, scripted_model)
    await ada.set_active(active=False)
    assert await status_at_end(streaming) == "cancelled"


async def test_what_there_was_of_the_answer_is_kept(ada: Ada, scripted_model: ScriptedOllama):
    streaming = await begin_stream(ada, scripted_model)
    await ada.set_active(active=False)
    await streaming
    await ada.set_active(active=True)

    messages = (await ada.client.get("/v1/chat/sessions/s")).json()["messages"]

    assert [message["status"] for message in messages] == [None, "cancelled"]
    assert messages[1]["content"].startswith(BEGINNING[:9])


async def test_another_users_stream_goes_on(
    ada: Ada, replicas: tuple[Product, Product], scripted_model: ScriptedOllama
):
    pause = scripted_model.hang(text="the whole answer", after=1, when="of root")
    others = asyncio.create_task(replicas[1].stream("a question of root"))
    await pause.reached.wait()
    streaming = await begin_stream(ada, scripted_model)
    await ada.set_active(active=False)
    assert await status_at_end(streaming) == "cancelled"
    pause.release()
    assert await status_at_end(others) == "success"


@pytest.mark.parametrize("notified", [True, False])
async def test_a_lock_out_behind_a_cut_connection_is_found_on_reconnection(
    ada: Ada, scripted_model: ScriptedOllama, database_url: str, notified: bool
):
    streaming = await begin_stream(ada, scripted_model)
    if notified:
        await execute(database_url, CUT)
        await ada.set_active(active=False)
    else:
        locking = f"UPDATE users SET is_active = false WHERE id = {ada.user_id}"
        await execute(database_url, locking, CUT)
    assert await status_at_end(streaming) == "cancelled"


async def test_a_cut_connection_ends_nothing_of_those_who_may_stay(
    ada: Ada, replicas: tuple[Product, Product], scripted_model: ScriptedOllama, database_url: str
):
    pause = scripted_model.hang(text="the whole answer", after=1)
    streaming = asyncio.create_task(ada.stream("s"))
    await pause.reached.wait()
    async with open_socket(replicas[1].url, key=_key_of(ada.client)) as socket:
        await execute(database_url, CUT)
        await _deactivate_another_and_wait(replicas[0], replicas[1])
        pause.release()
        assert await status_at_end(streaming) == "success"
        await socket.send(type="stop")
        assert (await socket.next())["code"] == "RUN_NOT_FOUND"


async def test_sockets_are_closed_at_once(ada: Ada, replicas: tuple[Product, Product]):
    key = _key_of(ada.client)
    async with open_socket(replicas[1].url, key=key) as idle:
        await ada.set_active(active=False)
        assert await idle.close_code() == LOCKED_OUT


async def test_a_socket_ends_in_the_middle_of_an_answer(
    ada: Ada, replicas: tuple[Product, Product], scripted_model: ScriptedOllama
):
    scripted_model.hang(text=BEGINNING, after=3)
    async with open_socket(replicas[1].url, key=_key_of(ada.client)) as socket:
        await socket.send(type="text", content="go on")
        await socket.until("token")
        await ada.set_active(active=False)
        assert await socket.close_code() == LOCKED_OUT


async def test_reactivation_lets_keys_in_again_but_no_login_that_was_ended(
    ada: Ada, replicas: tuple[Product, Product]
):
    url = replicas[1].url
    async with httpx.AsyncClient(base_url=url) as browser:
        login = await browser.post("/v1/auth/login", json={"api_key": _key_of(ada.client)})
        assert login.status_code == 200, login.text
        for active, of_key, of_login in ((False, 401, 401), (True, 200, 401)):
            await ada.set_active(active=active)
            assert (await ada.client.get("/v1/chat/sessions")).status_code == of_key
            assert (await browser.get("/v1/chat/sessions")).status_code == of_login


async def test_a_login_that_is_closed_closes_its_sockets_and_no_others(
    ada: Ada, replicas: tuple[Product, Product]
):
    a, b = replicas
    key = _key_of(ada.client)
    async with (
        httpx.AsyncClient(base_url=a.url) as leaving,
        httpx.AsyncClient(base_url=a.url) as staying,
    ):
        tokens = []
        for browser in (leaving, staying):
            login = await browser.post("/v1/auth/login", json={"api_key": key})
            tokens.append(browser.cookies["youworker_token"])
        async with (
            open_socket(b.url, cookie=tokens[0], origin=b.url) as ended,
            open_socket(b.url, cookie=tokens[1], origin=b.url) as kept,
            open_socket(b.url, key=key) as by_key,
        ):
            csrf = leaving.cookies["youworker_csrf"]
            out = await leaving.post("/v1/auth/logout", headers={"X-CSRF-Token": csrf})
            assert out.is_success, (login.text, out.text)
            assert await ended.close_code() == LOCKED_OUT
            for socket in (kept, by_key):
                await socket.send(type="stop")
                assert (await socket.next())["code"] == "RUN_NOT_FOUND"


@pytest.mark.parametrize("notified", [True, False])
async def test_a_key_that_is_revoked_on_another_replica_closes_its_sockets(
    ada: Ada, replicas: tuple[Product, Product], database_url: str, notified: bool
):
    [used] = (await ada.client.get("/v1/api-keys")).json()["api_keys"]
    async with open_socket(replicas[1].url, key=_key_of(ada.client)) as socket:
        if notified:
            async with client_for(replicas[0].url, _key_of(ada.client)) as elsewhere:
                answer = await elsewhere.delete(f"/v1/api-keys/{used['id']}")
            assert answer.status_code == 204
        else:
            revoking = f"UPDATE api_keys SET revoked_at = now() WHERE id = {used['id']}"
            await execute(database_url, revoking, CUT)
        assert await socket.close_code() == LOCKED_OUT


async def test_a_stream_breaks_off_when_its_key_is_revoked(
    ada: Ada, replicas: tuple[Product, Product], scripted_model: ScriptedOllama
):
    [used] = (await ada.client.get("/v1/api-keys")).json()["api_keys"]
    pause = scripted_model.hang(text=BEGINNING * 2, after=5)
    async with open_socket(replicas[1].url, key=_key_of(ada.client)) as socket:
        streaming = asyncio.create_task(ada.stream("s"))
        await pause.reached.wait()
        async with client_for(replicas[0].url, _key_of(ada.client)) as elsewhere:
            answer = await elsewhere.delete(f"/v1/api-keys/{used['id']}")
        assert answer.status_code == 204
        assert await socket.close_code() == LOCKED_OUT
    pause.release()
    with pytest.raises(httpx.RemoteProtocolError):
        await streaming


def _key_of(client: httpx.AsyncClient) -> str:
    return client.headers["Authorization"].removeprefix("Bearer ")


async def _deactivate_another_and_wait(a: Product, b: Product) -> None:
    """Returns when the second replica hears again."""
    async with await a.new_user("eve") as eve:
        users = (await a.client.get("/v1/users")).json()["users"]
        async with open_socket(b.url, key=_key_of(eve)) as socket:
            await a.client.patch(f"/v1/users/{users[-1]['id']}", json={"is_active": False})
            assert await socket.close_code() == LOCKED_OUT
