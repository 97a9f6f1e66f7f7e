"""The tools of one server, as what is known of them comes and goes."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from mcp import types
from mcp.server.lowlevel import Server

from tools.connection import Limits
from tools.definitions import DefinitionVerdict, ToolDefinition
from tools.errors import DefinitionsUnjudged
from tools.registry import RegisteredServer
from tools.server_tools import ServerTools
from tools.session_pool import SessionPool, SessionProfile
from tools.transports.memory import MemoryTransport

LIMITS = Limits(connect_seconds=30, call_seconds=30)
SCHEMA = {"type": "object"}


class ChangingServer:
    """Its tools are what the test says."""

    def __init__(self) -> None:
        self.names = ["send", "read"]

    def build(self) -> Server[object, object]:
        server: Server[object, object] = Server("mail")

        async def list_tools(_: object) -> types.ServerResult:
            tools = [types.Tool(name=name, inputSchema=SCHEMA) for name in self.names]
            return types.ServerResult(types.ListToolsResult(tools=tools))

        async def call(request: types.CallToolRequest) -> types.ServerResult:
            content = types.TextContent(type="text", text=f"{request.params.name}!")
            return types.ServerResult(types.CallToolResult(content=[content]))

        server.request_handlers[types.ListToolsRequest] = list_tools
        server.request_handlers[types.CallToolRequest] = call
        return server


class Memory:
    """What was decided, which cannot always be had."""

    def __init__(self) -> None:
        self.is_lost = False
        self.off: set[str] = set()
        self.asked = asyncio.Event()

    async def judge(
        self, server: str, definitions: Sequence[ToolDefinition], *, trusted: bool
    ) -> Mapping[str, DefinitionVerdict]:
        self.asked.set()
        if self.is_lost:
            raise DefinitionsUnjudged("it is lost")
        return {
            each.tool.name: DefinitionVerdict(
                tool_id=1,
                fingerprint=each.fingerprint,
                is_approved=True,
                is_enabled=each.tool.name not in self.off,
            )
            for each in definitions
        }


@pytest.fixture
def foreign() -> ChangingServer:
    return ChangingServer()


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def tools(foreign: ChangingServer, memory: Memory) -> AsyncIterator[ServerTools]:
    connection = SessionPool(
        "mail",
        lambda _: MemoryTransport(build=foreign.build),
        per_user=False,
        limits=LIMITS,
        profile=SessionProfile(),
    )
    held = ServerTools(
        RegisteredServer(name="mail", source="api"),
        connection,
        guard=memory,
        definition_max_bytes=1_000,
        result_max_chars=1_000,
        judge_again_seconds=0,
    )
    await held.start()
    yield held
    await held.close()


async def test_a_tool_that_its_server_has_no_more_cannot_be_called(
    tools: ServerTools, foreign: ChangingServer
) -> None:
    send, read = tools.tools
    foreign.names.remove("send")
    await tools.refresh()
    assert "does not have it any more" in await send.arun({})
    assert "read!" in await read.arun({})


async def test_a_tool_is_not_called_while_nobody_can_say_whether_it_was_switched_off(
    tools: ServerTools, memory: Memory
) -> None:
    send, read = tools.tools
    memory.is_lost, memory.off = True, {"send"}
    await tools.judge()
    for tool in (send, read):
        assert "cannot be found out just now" in await tool.arun({})
    assert {each.status for each in tools.listing()} == {"away"}


async def test_what_was_switched_off_meanwhile_is_found_out_without_another_change(
    tools: ServerTools, memory: Memory
) -> None:
    send, read = tools.tools
    memory.is_lost, memory.off = True, {"send"}
    await tools.judge()
    memory.is_lost = False
    async with asyncio.timeout(10):
        while len(tools.tools) == 2:
            memory.asked.clear()
            await memory.asked.wait()
    assert "switched it off" in await send.arun({})
    assert "read!" in await read.arun({})


async def test_a_server_that_was_let_go_is_not_judged_again(
    tools: ServerTools, memory: Memory
) -> None:
    memory.is_lost = True
    await tools.judge()
    await tools.close()
    memory.asked.clear()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not memory.asked.is_set()
