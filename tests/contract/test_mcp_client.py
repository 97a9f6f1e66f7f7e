"""What a tool server promises through the client, whatever carries its messages."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from langchain_core.messages import ToolMessage

from tests.fixtures.listening import until_listening
from tools.client import McpTool
from tools.config import HttpServer, StdioServer
from tools.connection import Limits, ServerConnection
from tools.servers.datetime_ import build_datetime_server
from tools.transports.http import HttpTransport
from tools.transports.memory import MemoryTransport
from tools.transports.stdio import StdioTransport

LIMITS = Limits(connect_seconds=60, call_seconds=30)
WAIT_SECONDS = 30
SERVE = ["-m", "tools", "serve", "datetime"]


@dataclass
class Served:
    """The `datetime` server behind one transport."""

    connection: ServerConnection
    tool: McpTool

    async def tell(self, timezone: object) -> ToolMessage:
        request = {"type": "tool_call", "id": "1", "name": "now", "args": {"timezone": timezone}}
        message = await self.tool.ainvoke(request)
        assert isinstance(message, ToolMessage)
        return message


@pytest.fixture(params=["memory", "stdio", "http"])
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    async with contextlib.AsyncExitStack() as stack:
        transport: MemoryTransport | StdioTransport | HttpTransport
        if request.param == "memory":
            transport = MemoryTransport(build=build_datetime_server)
        elif request.param == "stdio":
            transport = StdioTransport("clock", StdioServer(command=sys.executable, args=SERVE))
        else:
            url = await stack.enter_async_context(_serve_http())
            transport = HttpTransport(config=HttpServer.model_validate({"url": url}))
        connection = ServerConnection("clock", transport, limits=LIMITS)
        stack.push_async_callback(connection.close)
        await connection.start()
        [definition] = connection.tools
        yield Served(
            connection=connection,
            tool=McpTool(definition, connection, name="clock__now", result_max_chars=1_000),
        )


@contextlib.asynccontextmanager
async def _serve_http() -> AsyncIterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *SERVE, "--transport", "http", "--port", str(port)
    )
    try:
        await until_listening(port)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        async with asyncio.timeout(WAIT_SECONDS):
            await process.wait()


async def test_a_tool_is_discovered_with_its_schema(served: Served) -> None:
    assert served.connection.status.healthy
    assert served.connection.status.tools == 1
    assert served.tool.qualified_name == "clock.now"
    assert served.tool.read_only
    assert set(served.tool.args) == {"timezone"}


async def test_a_call_is_answered(served: Served) -> None:
    message = await served.tell("Tokyo")

    assert message.status == "success"
    assert "(Asia/Tokyo, UTC+09:00)" in str(message.content)
    assert (message.name, message.tool_call_id, message.artifact) == ("clock__now", "1", None)


async def test_what_a_tool_refuses_is_an_error_for_the_model(served: Served) -> None:
    message = await served.tell("Atlantis")

    assert message.status == "error"
    assert "Atlantis" in str(message.content)


async def test_many_calls_at_once_each_get_their_own_answer(served: Served) -> None:
    offsets = range(1, 10)

    messages = await asyncio.gather(*(served.tell(f"UTC+{offset}") for offset in offsets))

    assert all(
        f"UTC+0{offset}:00" in str(message.content)
        for offset, message in zip(offsets, messages, strict=True)
    )


async def test_arguments_that_are_no_json_are_refused_and_the_session_lives_on(
    served: Served,
) -> None:
    refused = [await served.tell(float("nan")), await served.tell("\ud800"), await served.tell({1})]

    assert [message.status for message in refused] == ["error"] * 3
    assert (await served.tell("UTC")).status == "success"


async def test_a_tool_that_does_not_exist_is_an_error(served: Served) -> None:
    definition = served.connection.tools[0].model_copy(update={"name": "later"})
    tool = McpTool(definition, served.connection, name="clock__later", result_max_chars=1_000)

    message = await tool.ainvoke({"type": "tool_call", "id": "1", "name": "x", "args": {}})

    assert message.status == "error"


async def test_a_call_that_is_given_up_does_not_disturb_the_next(served: Served) -> None:
    given_up = asyncio.create_task(served.tell("Tokyo"))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up

    assert (await served.tell("UTC")).status == "success"


async def test_after_closing_a_call_is_an_error_at_once(served: Served) -> None:
    await served.connection.close()

    message = await served.tell("UTC")

    assert message.status == "error"
    assert not served.connection.status.healthy


async def test_tools_stay_the_same_after_a_refresh(served: Served) -> None:
    before = served.connection.tools

    await served.connection.refresh()

    assert served.connection.tools == before
