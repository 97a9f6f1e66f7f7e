"""What a server may say and ask during a call."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from mcp import types

from tests.fakes import odd_mcp_server
from tests.fakes.call_listener import RecordingListener
from tests.integration.tools.conftest import ODD, OpenCatalog, call
from tools.budget import LINES_AT_ONCE
from tools.calls import CallContext, CallLimits, ElicitationAnswer
from tools.connection import Limits, ServerConnection
from tools.errors import CallRejected, CallTimeout
from tools.inbound import MAX_REQUESTS, SessionProfile
from tools.transports.memory import MemoryTransport

WAIT_SECONDS = 30
LIMITS = Limits(connect_seconds=30, call_seconds=30)
EVERYTHING = SessionProfile(
    roots=(types.Root(uri="file:///srv/shared"),), elicitation=True, sampling=True, log=True
)

Connect = Callable[..., Any]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens a session with the odd server in this process."""
    async with AsyncExitStack() as stack:

        async def open_(profile: SessionProfile, limits: Limits = LIMITS) -> ServerConnection:
            transport = MemoryTransport(build=lambda: odd_mcp_server.SERVER)
            connection = ServerConnection("odd", transport, limits=limits, profile=profile)
            stack.push_async_callback(connection.close)
            await connection.start()
            return connection

        yield open_


async def ask(
    connection: ServerConnection, tool: str, listener: RecordingListener | None = None, **given: Any
) -> str:
    result = await connection.call(tool, given, CallContext(listener=listener))
    [block] = result.content
    assert isinstance(block, types.TextContent)
    return block.text


async def test_progress_reaches_the_listener_of_its_call_and_nobody_else(connect: Connect) -> None:
    connection = await connect(SessionProfile())
    first, second = RecordingListener(), RecordingListener()

    await asyncio.gather(
        ask(connection, "progress", first, steps=[1]),
        ask(connection, "progress", second, steps=[2]),
    )

    assert first.reports == [(1.0, 10.0, "step 1")]
    assert second.reports == [(2.0, 10.0, "step 2")]


async def test_without_a_listener_no_progress_is_asked_for(connect: Connect) -> None:
    connection = await connect(SessionProfile())

    assert await ask(connection, "progress", steps=[1]) == "nobody listens"


async def test_progress_that_comes_too_fast_is_told_now_and_then(connect: Connect) -> None:
    connection = await connect(SessionProfile())
    listener = RecordingListener()

    await ask(connection, "progress", listener, steps=[*range(1, 2_000), 1])

    assert listener.reports[0][0] == 1.0
    assert len(listener.reports) < 100


async def test_a_shared_session_offers_nothing_but_its_roots(connect: Connect) -> None:
    connection = await connect(SessionProfile(roots=EVERYTHING.roots))
    listener = RecordingListener(answer=ElicitationAnswer(action="accept"))

    assert json.loads(await ask(connection, "declared", listener)) == {"roots": {}}
    assert json.loads(await ask(connection, "roots", listener)) == ["file:///srv/shared"]
    assert await ask(connection, "write_log", listener, level="error", data="x") == "emergency"
    with pytest.raises(CallRejected, match="Method not found"):
        await ask(connection, "ask_model", listener)
    assert (listener.questions, listener.requests, listener.logged) == ([], [], [])


async def test_without_roots_none_are_offered(connect: Connect) -> None:
    connection = await connect(SessionProfile())

    assert json.loads(await ask(connection, "declared")) == {}
    with pytest.raises(CallRejected, match="Method not found"):
        await ask(connection, "roots")


async def test_a_question_reaches_the_listener_and_its_answer_the_server(connect: Connect) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener(answer=ElicitationAnswer(action="accept", content={"name": "Ada"}))

    answer = await ask(connection, "ask_person", listener)

    assert json.loads(answer) == ["accept", {"name": "Ada"}]
    [question] = listener.questions
    assert question.message == "Who are you?"
    assert question.schema["properties"] == {"name": {"type": "string"}}
    assert "Ada" not in repr(listener.answer)
    assert "Who" not in repr(question)


async def test_a_question_may_lead_to_a_page(connect: Connect) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener(answer=ElicitationAnswer(action="accept", content={"a": 1}))

    answer = await ask(connection, "ask_person", listener, url="https://example.org/sign")

    assert json.loads(answer) == ["accept", None]
    assert listener.questions[0].url == "https://example.org/sign"


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_person_may_say_no(connect: Connect, action: Any) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener(answer=ElicitationAnswer(action=action, content={"name": "x"}))

    assert json.loads(await ask(connection, "ask_person", listener)) == [action, None]


async def test_what_is_declined_is_an_error_for_the_server(connect: Connect) -> None:
    connection = await connect(EVERYTHING)

    for tool, words in (("ask_person", "Nobody is asked"), ("ask_model", "No model is asked")):
        with pytest.raises(CallRejected, match=words):
            await ask(connection, tool, RecordingListener())


async def test_a_question_that_is_too_long_is_put_to_nobody(connect: Connect) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener(answer=ElicitationAnswer(action="accept"))

    with pytest.raises(CallRejected, match="too long"):
        await ask(connection, "ask_person", listener, message="x" * 10_000)

    assert listener.questions == []


async def test_a_model_answers_a_server(connect: Connect) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener(text="4")

    assert await ask(connection, "ask_model", listener) == "4"

    [request] = listener.requests
    assert list(request.messages) == [("user", "What is 2 + 2?")]
    assert (request.system_prompt, request.max_tokens) == ("Be brief.", 7)


async def test_other_calls_go_on_while_a_person_thinks(connect: Connect) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener(
        answer=ElicitationAnswer(action="accept"), may_answer=asyncio.Event()
    )

    thinking = asyncio.create_task(ask(connection, "ask_person", listener))
    async with asyncio.timeout(WAIT_SECONDS):
        await listener.asked.wait()
        assert await ask(connection, "echo", n=1) == '{"n": 1}'
        listener.may_answer.set()
        assert json.loads(await thinking)[0] == "accept"


async def test_the_time_of_a_call_stands_still_while_a_person_thinks(connect: Connect) -> None:
    connection = await connect(EVERYTHING, Limits(connect_seconds=30, call_seconds=1))
    listener = RecordingListener(
        answer=ElicitationAnswer(action="accept"), may_answer=asyncio.Event()
    )

    thinking = asyncio.create_task(ask(connection, "ask_person", listener))
    await listener.asked.wait()
    _, pending = await asyncio.wait({thinking}, timeout=1.5)
    listener.may_answer.set()

    assert pending
    assert json.loads(await thinking)[0] == "accept"


async def test_a_person_who_is_no_longer_asked_holds_up_nothing(connect: Connect) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener(may_answer=asyncio.Event())

    given_up = asyncio.create_task(ask(connection, "ask_person", listener))
    await listener.asked.wait()
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up

    assert await ask(connection, "echo") == "{}"


async def test_a_person_is_not_asked_any_more_when_the_call_has_ended(connect: Connect) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener(may_answer=asyncio.Event())

    for _ in range(MAX_REQUESTS + 1):
        given_up = asyncio.create_task(ask(connection, "ask_person", listener))
        async with asyncio.timeout(WAIT_SECONDS):
            await listener.asked.wait()
        listener.asked.clear()
        given_up.cancel()
        await asyncio.wait({given_up})

    assert len(listener.questions) == MAX_REQUESTS + 1


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "https://a\u202eb/"])
async def test_a_question_leads_nowhere_but_to_a_page(connect: Connect, url: str) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener(answer=ElicitationAnswer(action="accept"))

    with pytest.raises(CallRejected, match="web pages"):
        await ask(connection, "ask_person", listener, url=url)

    assert listener.questions == []


async def test_a_question_shows_all_that_it_says(connect: Connect) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener(answer=ElicitationAnswer(action="accept"))

    await ask(connection, "ask_person", listener, message="Pay \u202e001\u200b?")

    assert listener.questions[0].message == "Pay 001?"


async def test_an_answer_that_json_cannot_carry_is_an_error_for_the_server(
    connect: Connect,
) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener(
        answer=ElicitationAnswer(action="accept", content={"name": "\ud800"}), text="\ud800"
    )

    for tool in ("ask_person", "ask_model"):
        with pytest.raises(CallRejected, match="Internal error"):
            await ask(connection, tool, listener)


async def test_questions_beyond_what_is_answered_at_once_wait_and_harm_nobody(
    connect: Connect,
) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener(
        answer=ElicitationAnswer(action="accept"), may_answer=asyncio.Event()
    )
    calls = [
        asyncio.create_task(ask(connection, "ask_person", listener))
        for _ in range(MAX_REQUESTS + 4)
    ]
    while len(listener.questions) < MAX_REQUESTS:
        await asyncio.sleep(0)

    assert await ask(connection, "echo") == "{}"
    listener.may_answer.set()
    done, waiting = await asyncio.wait(calls, timeout=1)
    for call_ in waiting:
        call_.cancel()
    assert len(done) == MAX_REQUESTS


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("debug", []),
        ("info", [("info", "cleaning")]),
        ("notice", [("info", "cleaning")]),
        ("error", [("warning", "cleaning")]),
    ],
)
async def test_what_a_server_logs_reaches_the_listener(
    connect: Connect, level: str, told: list[tuple[str, str]]
) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener()

    answer = await ask(connection, "write_log", listener, level=level, data="cleaning")

    assert answer == "info"
    assert listener.logged == told


async def test_of_a_log_without_end_some_is_told(connect: Connect) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener()

    await ask(connection, "write_log", listener, level="info", data={"a": ["\u202e"]}, times=500)

    assert listener.logged[0] == ("info", '{"a": [""]}')
    assert LINES_AT_ONCE <= len(listener.logged) < 5 * LINES_AT_ONCE


async def test_a_call_may_have_less_time_than_others(connect: Connect) -> None:
    connection = await connect(EVERYTHING)
    listener = RecordingListener(answer=ElicitationAnswer(action="accept"))
    context = CallContext(listener=listener, limits=CallLimits(seconds=0.05))

    with pytest.raises(CallTimeout, match=r"0\.05 seconds"):
        await connection.call("hang", {}, context)


async def test_a_shared_session_of_the_catalog_tells_progress(open_with: OpenCatalog) -> None:
    listener = RecordingListener()
    async with open_with({"odd": ODD}) as catalog:
        context = CallContext(listener=listener)
        message = await call(catalog, "odd.progress", context=context, steps=[1, 2])

    assert message.content == "done"
    assert listener.reports[0] == (1.0, 10.0, "step 1")
