"""What a server over HTTP answers to one request is no matter of the others."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.fakes.handmade_mcp_server import (
    EVENTS,
    JSON,
    HandmadeServer,
    Reply,
    open_handmade_server,
    result,
)
from tools.calls import CallContext, CallLimits
from tools.config import HttpServer
from tools.connection import Limits, ServerConnection
from tools.errors import CallRejected, CallTimeout, ToolsError
from tools.transports.http import HttpTransport

WAIT_SECONDS = 30
LIMITS = Limits(connect_seconds=30, call_seconds=30)
ANSWER = '{"jsonrpc": "2.0", "id": "$id", "result": {"content": [{"type": "text", "text": "%s"}]}}'


@dataclass
class Held:
    """A server, and a session with it in which a call is under way."""

    server: HandmadeServer
    connection: ServerConnection
    under_way: list[asyncio.Task[str]] = field(default_factory=list)

    async def begin(self) -> "asyncio.Task[str]":
        """Begin a call that is not answered."""
        self.server.replies["slow"] = Reply(hangs=True)
        self.server.hanging.clear()
        task = asyncio.create_task(self.call("slow"))
        self.under_way.append(task)
        async with asyncio.timeout(WAIT_SECONDS):
            await self.server.hanging.wait()
        return task

    async def call(self, tool: str, context: CallContext | None = None) -> str:
        answer = await self.connection.call(tool, {}, context or CallContext())
        return "".join(getattr(block, "text", "") for block in answer.content)


@pytest.fixture
async def held() -> AsyncIterator[Held]:
    async with open_handmade_server() as server:
        transport = HttpTransport(config=HttpServer.model_validate({"url": server.url}))
        connection = ServerConnection("handmade", transport, limits=LIMITS)
        await connection.start()
        held = Held(server, connection)
        yield held
        for task in held.under_way:
            task.cancel()
        await connection.close()


async def test_a_notice_that_is_refused_ends_no_session(held: Held) -> None:
    held.server.replies["notifications/cancelled"] = Reply(status=500)
    others = await held.begin()
    given_up = await held.begin()

    given_up.cancel()
    async with asyncio.timeout(WAIT_SECONDS):
        await held.server.until_asked("notifications/cancelled")

    assert await held.call("any") == "done"
    assert not others.done()
    assert held.server.seen.count("initialize") == 1


async def test_a_notice_that_is_not_answered_holds_up_nothing(held: Held) -> None:
    held.server.replies["notifications/cancelled"] = Reply(hangs=True)
    given_up = await held.begin()

    given_up.cancel()
    async with asyncio.timeout(WAIT_SECONDS):
        await held.server.until_asked("notifications/cancelled")
        assert await held.call("any") == "done"


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410, 429, 500])
async def test_a_call_that_is_refused_fails_alone(held: Held, status: int) -> None:
    others = await held.begin()
    held.server.replies["odd"] = Reply(status=status)

    with pytest.raises(ToolsError, match=f"HTTP status {status}"):
        await held.call("odd")

    assert await held.call("any") == "done"
    assert not others.done()
    assert held.server.seen.count("initialize") == 1


@pytest.mark.parametrize("status", [403, 405, 413, 422])
async def test_refusals_are_answers_and_open_no_breaker(held: Held, status: int) -> None:
    held.server.replies["odd"] = Reply(status=status)

    for _ in range(2 * LIMITS.breaker_failures):
        with pytest.raises(CallRejected, match=f"HTTP status {status}"):
            await held.call("odd")

    assert held.connection.status.healthy


@pytest.mark.parametrize("status", [400, 404])
async def test_a_call_in_a_session_that_the_server_forgot_is_made_in_a_new_one(
    held: Held, status: int
) -> None:
    held.server.once |= {"any": Reply(status=status), "ping": Reply(status=status)}

    assert await held.call("any") == "done"
    assert held.server.seen.count("initialize") == 2


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body="{"),
        Reply(body="[]"),
        Reply(body='{"jsonrpc": "2.0", "id": "$id", "result": "text"}'),
        Reply(body='{"jsonrpc": "2.0", "id": null, "error": {"code": 1, "message": "x"}}'),
        Reply(body=ANSWER.replace('"$id"', "999999") % "x"),
        Reply(type="text/html", body="hello"),
        Reply(status=202),
        Reply(type=EVENTS, body=""),
        Reply(type=EVENTS, body='data: {"jsonrpc": "2.0", "id": "$id", "resu\n\n'),
        Reply(type=EVENTS, body="retry: 0\nid: 1\ndata:\n\n"),
    ],
)
async def test_an_answer_that_cannot_be_read_fails_its_call_at_once(
    held: Held, reply: Reply
) -> None:
    others = await held.begin()
    held.server.replies["odd"] = reply

    async with asyncio.timeout(WAIT_SECONDS / 2):
        with pytest.raises(ToolsError):
            await held.call("odd")

    assert await held.call("any") == "done"
    assert not others.done()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"a": [[]] * 200_000}, "more than 100000 parts"),
        ({"content": [{"type": "text", "text": "a"}] * 1_001}, "more than 1000 blocks"),
    ],
)
@pytest.mark.parametrize("kind", [JSON, EVENTS])
async def test_an_answer_that_takes_long_to_read_fails_its_call_unread(
    held: Held, answer: dict[str, Any], words: str, kind: str
) -> None:
    reply = result(answer)
    body = reply.body if kind == JSON else f"data: {reply.body}\n\n"
    held.server.replies["odd"] = Reply(type=kind, body=body)

    with pytest.raises(CallRejected, match=words):
        await held.call("odd")

    assert await held.call("any") == "done"


@pytest.mark.parametrize("form", ["%s", "data: %s\n\n", ": ping\r\n\r\nid: 1\r\ndata: %s\r\n\r\n"])
async def test_half_a_character_in_an_answer_is_replaced(held: Held, form: str) -> None:
    kind = {} if form == "%s" else {"type": EVENTS}
    held.server.replies["odd"] = Reply(body=form % (ANSWER % r"cut \ud83d"), **kind)

    assert await held.call("odd") == "cut ?"


async def test_a_call_that_is_given_up_leaves_no_connection_behind(held: Held) -> None:
    held.server.replies["slow"] = Reply(hangs=True)
    hurried = CallContext(limits=CallLimits(seconds=0.2))

    with pytest.raises(CallTimeout):
        await held.call("slow", hurried)

    async with asyncio.timeout(WAIT_SECONDS):
        await held.server.left.wait()


async def test_what_json_cannot_carry_is_not_sent_and_harms_nobody(held: Held) -> None:
    others = await held.begin()

    with pytest.raises(CallRejected, match="cannot be sent"):
        await held.connection.get_prompt("p", {"text": "\ud800"})

    assert not others.done()
    assert await held.call("any") == "done"


async def test_one_tool_that_makes_no_sense_does_not_spoil_the_others(held: Held) -> None:
    good = {"name": "good", "inputSchema": {"type": "object"}}
    listed = [good, {"name": 1}, "x", {"name": "no schema"}]
    held.server.replies["tools/list"] = result({"tools": listed, "nextCursor": "again"})

    await held.connection.refresh()

    assert {tool.name for tool in held.connection.tools} == {"good"}
    assert held.server.seen.count("tools/list") == 3
