"""One request to `/mcp`, and that it is taken back at whatever moment."""

import asyncio

import pytest
from mcp.types import JSONRPCError, JSONRPCMessage, JSONRPCRequest, JSONRPCResponse

from server.mcp_endpoint.conversation import Conversation
from tools.servers.offering import Answer, Offer, Request, build_server

CALL = JSONRPCRequest(
    jsonrpc="2.0", id=7, method="tools/call", params={"name": "wait", "arguments": {}}
)


class Waiting:
    """A tool that waits until the test lets it go on."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.was_stopped = False

    async def run(self, _: Request) -> Answer:
        self.has_begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_stopped = True
            raise
        return Answer(text="Done.")

    def converse(self) -> Conversation:
        offer = Offer(name="wait", description="Wait.", parameters={}, run=self.run)
        return Conversation(build_server("s", [offer]), CALL)


def require_taken_back(answer: JSONRPCMessage) -> None:
    assert isinstance(answer.root, JSONRPCError)
    assert (answer.root.id, answer.root.error.message) == (7, "Request cancelled")


async def test_a_call_is_answered() -> None:
    tool = Waiting()
    tool.may_end.set()
    answer = await tool.converse().answer()
    assert isinstance(answer.root, JSONRPCResponse)
    assert answer.root.result["content"][0]["text"] == "Done."


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5])
async def test_a_call_that_is_taken_back_early_does_not_go_on(steps: int) -> None:
    """Also before the server has begun with it, and more than once."""
    tool = Waiting()
    conversation = tool.converse()
    if not steps:
        conversation.cancel()
    answering = asyncio.create_task(conversation.answer())
    for _ in range(steps):
        await asyncio.sleep(0)
    for _ in range(3):
        conversation.cancel()
    async with asyncio.timeout(10):
        require_taken_back(await answering)
    assert tool.was_stopped or not tool.has_begun.is_set()


async def test_a_call_that_is_taken_back_is_stopped() -> None:
    tool = Waiting()
    conversation = tool.converse()
    answering = asyncio.create_task(conversation.answer())
    async with asyncio.timeout(10):
        await tool.has_begun.wait()
        conversation.cancel()
        require_taken_back(await answering)
    assert tool.was_stopped
