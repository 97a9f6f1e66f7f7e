"""A server in a child process, as far as its transport alone decides."""

import asyncio
import sys

import pytest

from tools.calls import CallContext
from tools.config import StdioServer
from tools.connection import Limits, ServerConnection
from tools.errors import AnswerTooIntricate
from tools.transports import stdio
from tools.transports.stdio import StdioTransport

WAIT_SECONDS = 30
LIMITS = Limits(connect_seconds=30, call_seconds=30)
INTRICATE = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    match asked.get("method"):
        case "initialize":
            about = {"name": "x", "version": "1"}
            version = asked["params"]["protocolVersion"]
            said = {"protocolVersion": version, "capabilities": {}, "serverInfo": about}
        case "tools/list":
            said = {"tools": []}
        case "tools/call" if asked["params"]["name"] == "odd":
            said = {"content": [], "a": [[]] * 200_000}
        case _:
            said = {"content": []}
    if "id" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": said}), flush=True)
"""


async def test_an_answer_that_takes_long_to_read_fails_its_call_unread() -> None:
    config = StdioServer(command=sys.executable, args=["-c", INTRICATE])
    connection = ServerConnection("odd", StdioTransport("odd", config), limits=LIMITS)
    await connection.start()
    try:
        with pytest.raises(AnswerTooIntricate):
            await connection.call("odd", {}, CallContext())
        assert (await connection.call("any", {}, CallContext())).content == []
    finally:
        await connection.close()


class Stuck:
    """A process that waits for a disk: it ends by no signal."""

    pid = 2**22 + 1
    """More than a system numbers."""
    returncode = None

    def __init__(self) -> None:
        self.stdin = self

    def close(self) -> None:
        """Its input can be closed all the same."""

    async def wait(self) -> None:
        await asyncio.Event().wait()


async def test_a_process_that_cannot_be_ended_is_waited_for_in_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for grace in ("EXIT", "TERMINATE", "KILL"):
        monkeypatch.setattr(stdio, f"{grace}_GRACE_SECONDS", 0.0)
    stuck = Stuck()
    child = stdio._Child(process=stuck, stdin=stuck, stdout=None, stderr=None)

    ending = asyncio.ensure_future(stdio._end(child))
    done, _ = await asyncio.wait({ending}, timeout=WAIT_SECONDS)

    assert done
