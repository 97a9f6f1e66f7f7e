"""Chat over a real WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed, InvalidStatus

from server.errors import InvalidApiKey
from server.security.principal import Origin
from tests.fixtures.product import Product, client_for, new_secrets, open_product, settings_for
from tests.fixtures.sockets import Socket, open_socket
from tests.integration.server.people import open_person

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDS_SECONDS = 30
_NOWHERE = Origin(ip=None, user_agent=None, correlation_id="")
LOCKED_OUT = 4401
TOO_BIG = 1009
NOWHERE = "01890000-0000-7000-8000-000000000000"
REFUSE = {"decision": "refuse"}


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product: Product) -> Product:
    return shared_product


@pytest_asyncio.fixture(loop_scope="module")
async def key(product: Product) -> AsyncIterator[str]:
    """The key of a user who is not root."""
    async with open_person(product, "ada") as ada:
        yield ada.client.headers["Authorization"].removeprefix("Bearer ")


@pytest_asyncio.fixture(loop_scope="module")
async def socket(product: Product, key: str) -> AsyncIterator[Socket]:
    async with open_socket(product.url, key=key) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def browser(product: Product, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """Logged in; it holds the cookies."""
    async with httpx.AsyncClient(base_url=product.url) as client:
        answer = await client.post("/v1/auth/login", json={"api_key": key})
        assert answer.status_code == 200, answer.text
        yield client


async def refusal(product: Product, **how: str) -> tuple[int, str]:
    """Returns status and code of a handshake that must not be let through."""
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(product.url, **how):
            pass
    answer = refused.value.response
    assert answer.body is not None
    return answer.status_code, json.loads(answer.body)["error"]["code"]


def pass_time(product: Product, patch: pytest.MonkeyPatch, until: datetime) -> None:
    """Lets those who judge credentials believe that it is a second later than that."""
    authenticator = product.resources.doors.authenticator
    for judge in (authenticator, authenticator._tokens):
        patch.setattr(judge, "_clock", lambda: until.timestamp() + 1)


async def revoke_key(product: Product, key: str) -> None:
    async with client_for(product.url, key) as ada:
        [own] = (await ada.get("/v1/api-keys")).json()["api_keys"]
        await ada.delete(f"/v1/api-keys/{own['id']}")


async def test_events_are_those_of_the_event_stream_with_type_and_id(
    product: Product, socket: Socket
):
    for _ in range(2):
        product.model.call("datetime__now", {"timezone": "UTC"})
        product.model.reply("It is noon.")
    await socket.send(type="text", content="what time is it?")
    received = await socket.until("done")
    streamed = await product.stream("what time is it?")

    assert [event["id"] for event in received] == list(range(1, len(received) + 1))
    assert [event["type"] for event in received] == [event.event for event in streamed]
    for event, other in zip(received, streamed, strict=True):
        assert set(event) == {"type", "id", *other.data}
    assert received[0]["session_id"] == "s"
    assert received[-1]["metadata"]["status"] == "success"


async def test_one_message_follows_the_other_in_the_same_session(
    product: Product, socket: Socket, key: str
):
    for text in ("first", "second"):
        product.model.reply(f"the {text} answer")
        await socket.send(type="text", content=text, enable_tools=False)
        await socket.until("done")
    async with client_for(product.url, key) as ada:
        messages = (await ada.get("/v1/chat/sessions/s")).json()["messages"]
    said = [message["content"] for message in messages]
    assert said == ["first", "the first answer", "second", "the second answer"]


async def test_a_second_message_during_an_answer_is_refused_and_disturbs_nothing(
    product: Product, socket: Socket, key: str
):
    pause = product.model.hang(text="the whole answer", after=1)
    await socket.send(type="text", content="go on")
    await pause.reached.wait()
    await socket.send(type="text", content="and this?")
    refused = (await socket.until("error"))[-1]
    async with open_socket(product.url, key=key) as elsewhere:
        await elsewhere.send(type="text", content="and from here?")
        refused_elsewhere = await elsewhere.next()
    pause.release()
    done = (await socket.until("done"))[-1]

    assert refused["code"] == refused_elsewhere["code"] == "RUN_IN_PROGRESS"
    assert "id" not in refused
    assert done["metadata"]["status"] == "success"


async def test_stop_ends_the_answer_and_keeps_what_there_is(
    product: Product, socket: Socket, key: str
):
    product.model.hang(text="this much was said already", after=4)
    await socket.send(type="text", content="go on")
    await socket.until("token")
    await socket.send(type="stop")
    done = (await socket.until("done"))[-1]
    assert done["metadata"]["status"] == "cancelled"
    async with client_for(product.url, key) as ada:
        answer = (await ada.get("/v1/chat/sessions/s")).json()["messages"][1]
    assert answer["content"].startswith("this")
    product.model.reply("more")
    await socket.send(type="text", content="once more")
    assert (await socket.until("done"))[-1]["metadata"]["status"] == "success"


async def test_nothing_to_stop_is_said_to_be_so(socket: Socket):
    await socket.send(type="stop")
    assert (await socket.next())["code"] == "RUN_NOT_FOUND"


async def test_a_run_outlives_its_socket(product: Product, key: str):
    pause = product.model.hang(text="the whole answer", after=1)
    async with open_socket(product.url, key=key) as socket:
        await socket.send(type="text", content="go on")
        await pause.reached.wait()
    pause.release()
    async with client_for(product.url, key) as ada, asyncio.timeout(ENDS_SECONDS):
        while len(found := (await ada.get("/v1/chat/sessions/s")).json()["messages"]) < 2:
            pass
    assert (found[1]["content"], found[1]["status"]) == ("the whole answer", "success")


async def test_a_reader_who_takes_nothing_holds_no_run_up(product: Product, key: str):
    words = ("w" * 4_000 + " ") * 3_000  # far more than the system takes on the way
    product.model.reply(words)
    async with open_socket(product.url, key=key) as socket, client_for(product.url, key) as ada:
        transport = socket.connection.transport
        await socket.send(type="text", content="go on", enable_tools=False)
        run = (await socket.next())["run_id"]
        transport.pause_reading()
        async with asyncio.timeout(ENDS_SECONDS):
            while (state := (await ada.get(f"/v1/runs/{run}")).json()["status"]) == "running":
                pass
        assert state == "success"
        transport.resume_reading()
        events = await socket.until("done")
    assert "".join(e["text"] for e in events if e["type"] == "token") == words


async def test_messages_count_as_requests_do(product: Product, tmp_path: Path, database_url: str):
    settings = settings_for(tmp_path, database_url, product.model)
    few = settings.security.model_copy(update={"rate_limit_per_minute": 1, "rate_limit_burst": 3})
    secrets = new_secrets()
    strict = settings.model_copy(update={"security": few})
    async with (
        open_product(strict, secrets, product.model) as own,
        open_socket(own.url, key=secrets.root_api_key) as socket,
    ):
        codes = []
        for _ in range(3):
            await socket.send(type="stop")
            codes.append((await socket.next())["code"])
    assert codes == ["RUN_NOT_FOUND", "RUN_NOT_FOUND", "RATE_LIMIT_EXCEEDED"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("", "VALIDATION_ERROR"),
        ("{", "VALIDATION_ERROR"),
        ("[]", "VALIDATION_ERROR"),
        ("null", "VALIDATION_ERROR"),
        ("{}", "VALIDATION_ERROR"),
        ("[" * 100_000, "VALIDATION_ERROR"),
        ('{"type": "text"}', "VALIDATION_ERROR"),
        ('{"type": "text", "content": ""}', "VALIDATION_ERROR"),
        ('{"type": "text", "content": "\\ud800"}', "VALIDATION_ERROR"),
        ('{"type": "text", "content": "x", "session_id": "y"}', "VALIDATION_ERROR"),
        ('{"type": "text", "content": "x", "model": "no such"}', "UNKNOWN_MODEL"),
        ('{"type": "stop", "now": true}', "VALIDATION_ERROR"),
        ({"type": "stop", "run_id": NOWHERE}, "RUN_NOT_FOUND"),
        ({"type": "text", "message_id": 0}, "VALIDATION_ERROR"),
        ({"type": "text", "message_id": 1}, "MESSAGE_NOT_FOUND"),
        ({"type": "text", "content": "x", "multitask": "later"}, "VALIDATION_ERROR"),
        ({"type": "text", "content": "x", "on_disconnect": "?"}, "VALIDATION_ERROR"),
        ({"type": "audio", "content": "", "format": "wav"}, "AUDIO_EMPTY"),
        ({"type": "audio", "content": "?", "format": "wav"}, "UNSUPPORTED_MEDIA"),
        ({"type": "audio", "content": "AAAA", "format": "midi"}, "VALIDATION_ERROR"),
        ({"type": "audio", "format": "wav"}, "VALIDATION_ERROR"),
        ({"type": "approval"}, "VALIDATION_ERROR"),
        ({"type": "approval", "decisions": {}}, "VALIDATION_ERROR"),
        ({"type": "approval", "approval_id": {}, "decision": "allow"}, "VALIDATION_ERROR"),
        ({"type": "approval", "approval_id": NOWHERE}, "VALIDATION_ERROR"),
        ({"type": "approval", "approval_id": NOWHERE, "decision": "edit"}, "VALIDATION_ERROR"),
        ({"type": "approval", "approval_id": NOWHERE, "decision": "allow"}, "APPROVAL_NOT_FOUND"),
        ({"type": "approval", "decisions": {NOWHERE: REFUSE}}, "APPROVAL_NOT_FOUND"),
        ({"type": "approval", "decisions": {NOWHERE: REFUSE}, "args": {}}, "VALIDATION_ERROR"),
        ({"type": "approval", "run_id": NOWHERE, "decisions": {NOWHERE: REFUSE}}, "RUN_NOT_FOUND"),
        ({"type": "resume", "run_id": "x", "last_event_id": 1}, "VALIDATION_ERROR"),
        ({"type": "resume", "run_id": NOWHERE, "last_event_id": 2**32}, "VALIDATION_ERROR"),
        ({"type": "resume", "run_id": NOWHERE, "last_event_id": -1}, "VALIDATION_ERROR"),
        ({"type": "resume", "run_id": NOWHERE, "last_event_id": 1}, "RUN_NOT_FOUND"),
        ('{"type": "no such thing"}', "UNSUPPORTED_MESSAGE"),
        (b'{"type": "stop"}', "UNSUPPORTED_MESSAGE"),
    ],
)
async def test_what_cannot_be_taken_is_answered_and_the_socket_stays_open(
    socket: Socket, sent: str | bytes | dict[str, object], code: str
):
    await socket.connection.send(json.dumps(sent) if isinstance(sent, dict) else sent)
    error = await socket.next()
    assert (error["type"], error["code"]) == ("error", code)
    await socket.send(type="stop")
    assert (await socket.next())["code"] == "RUN_NOT_FOUND"


async def test_an_error_quotes_nothing_of_what_was_sent(socket: Socket):
    for message in (
        {"type": "Zebra Quartz"},
        {"type": "text", "content": {"x": "Zebra Quartz"}},
        {"type": "approval", "approval_id": "Zebra Quartz", "decision": "allow"},
    ):
        await socket.send(**message)
        assert "Zebra Quartz" not in json.dumps(await socket.next())


async def test_a_message_is_read_up_to_the_limit_and_a_larger_one_closes_the_socket(
    product: Product, socket: Socket
):
    limit = product.settings.api.socket_message_limit
    assert limit < product.settings.api.max_message_bytes
    await socket.connection.send('{"type": "stop"}'.ljust(limit))
    assert (await socket.next())["code"] == "RUN_NOT_FOUND"
    with suppress(ConnectionClosed):  # it need not be read to its end
        await socket.connection.send('{"type": "stop"}'.ljust(limit + 1))
    assert await socket.close_code() == TOO_BIG


@pytest.mark.parametrize("credential", ["the key in a subprotocol", "a token in one"])
async def test_a_token_can_be_offered_as_a_subprotocol_and_is_not_sent_back(
    product: Product, key: str, browser: httpx.AsyncClient, credential: str
):
    token = key if credential == "the key in a subprotocol" else browser.cookies["youworker_token"]
    async with open_socket(product.url, token=token, origin="https://elsewhere.example") as socket:
        assert socket.connection.subprotocol == "youworker"
        await socket.send(type="stop")
        assert (await socket.next())["code"] == "RUN_NOT_FOUND"


async def test_a_cookie_is_taken_from_a_page_of_the_same_origin(
    product: Product, browser: httpx.AsyncClient
):
    cookie = browser.cookies["youworker_token"]
    async with open_socket(product.url, cookie=cookie, origin=product.url) as socket:
        await socket.send(type="stop")
        assert (await socket.next())["code"] == "RUN_NOT_FOUND"


async def test_a_cookie_is_not_taken_from_a_page_of_another_origin_or_of_none(
    product: Product, browser: httpx.AsyncClient
):
    cookie = browser.cookies["youworker_token"]
    refused = (403, "CSRF_VALIDATION_FAILED")
    assert await refusal(product, cookie=cookie, origin="https://elsewhere.example") == refused
    assert await refusal(product, cookie=cookie, origin="null") == refused
    assert await refusal(product, cookie=cookie) == refused


async def test_strangers_are_refused_before_anything_else_is_looked_at(product: Product):
    assert await refusal(product) == (401, "NOT_AUTHENTICATED")
    assert await refusal(product, session_id="no%20such%20name") == (401, "NOT_AUTHENTICATED")
    assert await refusal(product, key="yw_no_such_key") == (401, "INVALID_API_KEY")
    assert await refusal(product, token="yw_no_such_key") == (401, "INVALID_API_KEY")
    assert (await refusal(product, token="a.b.c"))[0] == 401


async def test_a_key_in_the_query_string_is_not_looked_at(product: Product, key: str):
    name = f"s?token={key}&api_key={key}&access_token={key}"
    assert await refusal(product, session_id=name) == (401, "NOT_AUTHENTICATED")


async def test_a_malformed_session_id_is_refused(product: Product, key: str):
    for name in ("no%20such%20name", "x" * 129, "%00"):
        assert await refusal(product, key=key, session_id=name) == (400, "VALIDATION_ERROR")


async def test_a_key_that_is_revoked_closes_its_sockets_at_once_and_no_others(
    product: Product, socket: Socket, key: str
):
    async with open_socket(product.url, "other", key=product.secrets.root_api_key) as other:
        await revoke_key(product, key)
        assert await socket.close_code() == LOCKED_OUT
        await other.send(type="stop")
        assert (await other.next())["code"] == "RUN_NOT_FOUND"


async def test_a_key_that_is_revoked_closes_the_sockets_of_its_logins_amid_an_answer(
    product: Product, key: str, browser: httpx.AsyncClient
):
    pause = product.model.hang(text="the whole answer", after=1)
    async with client_for(product.url, key) as ada:
        spare = (await ada.post("/v1/api-keys", json={"name": "spare"})).json()["key"]
        [used, _] = (await ada.get("/v1/api-keys")).json()["api_keys"]
    async with open_socket(product.url, token=browser.cookies["youworker_token"]) as socket:
        await socket.send(type="text", content="go on")
        await pause.reached.wait()
        async with client_for(product.url, spare) as ada:
            assert (await ada.delete(f"/v1/api-keys/{used['id']}")).status_code == 204
            assert await socket.close_code() == LOCKED_OUT
            pause.release()
            async with asyncio.timeout(ENDS_SECONDS):
                while len(said := (await ada.get("/v1/chat/sessions/s")).json()["messages"]) < 2:
                    pass
    assert (said[1]["content"], said[1]["status"]) == ("the whole answer", "success")


async def test_a_key_that_was_revoked_between_the_handshake_and_the_watch_opens_no_socket(
    product: Product, key: str
):
    caller = await product.resources.doors.authenticator.authenticate_key(key)
    await revoke_key(product, key)
    with pytest.raises(InvalidApiKey):
        await product.resources.doors.authenticator.recheck(caller)


async def test_a_socket_lives_as_long_as_the_login_though_the_token_expires(
    product: Product, key: str, monkeypatch: pytest.MonkeyPatch
):
    doors = product.resources.doors
    caller = await doors.authenticator.authenticate_key(key)
    login = await doors.logins.open(caller.user, method="key", origin=_NOWHERE)
    async with open_socket(product.url, token=login.access_token) as socket:
        pass_time(product, monkeypatch, login.expires_at)
        assert await refusal(product, token=login.access_token) == (401, "TOKEN_EXPIRED")
        await socket.send(type="stop")
        assert (await socket.next())["code"] == "RUN_NOT_FOUND"
        over = timedelta(seconds=product.settings.security.login_seconds)
        pass_time(product, monkeypatch, login.expires_at + over)
        await socket.send(type="stop")
        assert await socket.close_code() == LOCKED_OUT
