"""What a server asks for during a call, and the time of that call."""

import asyncio
import contextlib

import pytest
from mcp import types

from tests.fakes.call_listener import RecordingListener
from tools.answers import Answers
from tools.calls import ElicitationAnswer
from tools.inbound import MAX_REQUESTS, Inbound, SessionProfile
from tools.timeouts import PausableTimeout

SHORT = 0.02
WAIT_SECONDS = 30
FORM = {"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}}


class Server:
    """Asks during a call, and hears what is answered."""

    def __init__(self) -> None:
        self.answers = Answers()
        self.heard: asyncio.Queue[types.JSONRPCResponse | types.JSONRPCError] = asyncio.Queue()
        self._inbound = Inbound(
            SessionProfile(elicitation=True), answers=self.answers, send=self.heard.put
        )

    def ask(self, number: int = 1) -> None:
        self._inbound.take(
            types.JSONRPCRequest(jsonrpc="2.0", id=number, method="elicitation/create", params=FORM)
        )


async def let_time_pass(seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


async def test_a_calls_time_stands_still_while_a_person_has_the_question() -> None:
    server = Server()
    may_answer = asyncio.Event()
    listener = RecordingListener(answer=ElicitationAnswer(action="decline"), may_answer=may_answer)
    async with PausableTimeout(SHORT):
        server.answers.expect(1, listener)
        server.ask()
        await listener.asked.wait()
        await let_time_pass(2 * SHORT)
        may_answer.set()
        heard = await server.heard.get()
    assert isinstance(heard, types.JSONRPCResponse)


async def test_a_calls_time_goes_on_while_what_is_asked_reaches_nobody() -> None:
    server = Server()
    listener = RecordingListener(may_answer=asyncio.Event(), is_shown=False)

    async def call() -> None:
        async with PausableTimeout(SHORT) as limit:
            limits.append(limit)
            answer = server.answers.expect(1, listener)
            for number in range(MAX_REQUESTS):
                server.ask(number)
            await answer

    limits: list[PausableTimeout] = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(WAIT_SECONDS):
            await call()
    assert limits[0].expired()
    server.answers.forget(1)
    assert {type(await server.heard.get()) for _ in range(MAX_REQUESTS)} == {types.JSONRPCError}
