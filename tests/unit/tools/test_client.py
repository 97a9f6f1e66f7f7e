import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_ollama import ChatOllama
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from mcp import types
from mcp.server.lowlevel import Server
from ollama import Tool as OllamaTool

from tools.calls import CALL_KEY, CallContext
from tools.client import DESCRIPTION_MAX_CHARS, McpTool
from tools.connection import Limits, ServerConnection
from tools.servers.offering import Answer, Offer, Parameter, Request, build_server
from tools.transports.memory import MemoryTransport

LIMITS = Limits(connect_seconds=30, call_seconds=30)
CALL = {"type": "tool_call", "id": "call-1", "name": "s__repeat", "args": {"text": "hi"}}


async def _repeat(request: Request) -> Answer:
    caller = request.meta.get("youworker/caller", "nobody")
    sources = {"sources": [{"id": "1"}]}
    return Answer(text=f"{request.arguments['text']} from {caller}", structured=sources)


OFFER = Offer(
    name="repeat",
    description="Repeat a text.",
    parameters={"text": Parameter(type="string", description="The text.")},
    run=_repeat,
)


@pytest.fixture
async def connection() -> AsyncIterator[ServerConnection]:
    transport = MemoryTransport(build=lambda: build_server("s", [OFFER]))
    connection = ServerConnection("s", transport, limits=LIMITS, receives_caller=True)
    await connection.start()
    yield connection
    await connection.close()


@pytest.fixture
def tool(connection: ServerConnection) -> McpTool:
    return McpTool(
        connection.tools[0],
        connection,
        name="s__repeat",
        result_max_chars=1_000,
        cites_sources=True,
    )


@pytest.mark.parametrize(
    ("hints", "read_only", "repeatable"),
    [
        (None, False, False),
        (types.ToolAnnotations(), False, False),
        (types.ToolAnnotations(readOnlyHint=True), True, True),
        (types.ToolAnnotations(idempotentHint=True), False, True),
        (types.ToolAnnotations(readOnlyHint=False, idempotentHint=False), False, False),
    ],
)
async def test_a_tool_may_be_called_again_only_if_its_server_says_so(
    connection, hints, read_only, repeatable
):
    definition = connection.tools[0].model_copy(update={"annotations": hints})

    tool = McpTool(definition, connection, name="s__repeat", result_max_chars=1_000)

    assert (tool.read_only, tool.repeatable) == (read_only, repeatable)


@pytest.mark.parametrize(
    ("hints", "believed", "open_world"),
    [
        (None, True, True),
        (types.ToolAnnotations(readOnlyHint=True), True, True),
        (types.ToolAnnotations(openWorldHint=True), True, True),
        (types.ToolAnnotations(openWorldHint=False), True, False),
        (types.ToolAnnotations(openWorldHint=False), False, True),
    ],
)
async def test_a_tool_stays_inside_only_if_its_server_says_so_and_is_believed(
    connection, hints, believed, open_world
):
    definition = connection.tools[0].model_copy(update={"annotations": hints})

    tool = McpTool(
        definition,
        connection,
        name="s__repeat",
        result_max_chars=1_000,
        believes_hints=believed,
    )

    assert tool.open_world is open_world


class Witness(AsyncCallbackHandler):
    """Writes down what LangChain tells its tracers."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    async def on_tool_start(
        self, serialized: dict[str, Any], input_str: str, *, run_id: UUID, **kwargs: Any
    ) -> None:
        self.seen.append(("start", (serialized["name"], kwargs["inputs"], kwargs["metadata"])))

    async def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self.seen.append(("end", output))


async def test_a_tool_call_becomes_a_tool_message_with_its_sources(tool: McpTool) -> None:
    message = await tool.ainvoke(CALL)

    assert isinstance(message, ToolMessage)
    assert message.content == "hi from nobody"
    assert message.artifact == {"sources": [{"id": "1"}]}
    assert (message.name, message.tool_call_id, message.status) == (
        "s__repeat",
        "call-1",
        "success",
    )


async def test_plain_arguments_give_plain_text(tool: McpTool) -> None:
    assert await tool.ainvoke({"text": "hi"}) == "hi from nobody"


async def test_the_caller_comes_from_the_configuration(tool: McpTool) -> None:
    message = await tool.ainvoke(CALL, {"configurable": {CALL_KEY: CallContext(caller="token")}})

    assert message.content == "hi from token"


@pytest.mark.parametrize("context", [None, "token", {"caller": "token"}, CallContext()])
async def test_what_is_no_context_is_no_caller(tool: McpTool, context: object) -> None:
    message = await tool.ainvoke(CALL, {"configurable": {CALL_KEY: context}})

    assert message.content == "hi from nobody"


async def test_the_model_cannot_name_a_caller(tool: McpTool) -> None:
    forged = {**CALL, "args": {"text": "hi", "caller": "root", "_meta": {"youworker/caller": "r"}}}

    message = await tool.ainvoke(forged)

    assert message.status == "error"


async def test_tracers_see_the_call_and_never_the_caller(tool: McpTool) -> None:
    witness = Witness()

    message = await tool.ainvoke(
        CALL,
        {
            "callbacks": [witness],
            "metadata": {"m": 1},
            "configurable": {CALL_KEY: CallContext(caller="sk-token")},
        },
    )

    assert witness.seen == [
        ("start", ("s__repeat", {"text": "hi"}, {"m": 1})),
        ("end", message),
    ]


async def test_arguments_that_are_no_object_are_an_error(tool: McpTool) -> None:
    assert "must be a JSON object" in await tool.arun("hi")


def test_a_tool_is_asynchronous_only(tool: McpTool) -> None:
    with pytest.raises(NotImplementedError):
        tool.invoke({"text": "hi"})


async def test_it_works_in_a_tool_node(tool: McpTool) -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([tool]))
    graph.add_edge(START, "tools")
    graph.add_edge("tools", END)
    asked = AIMessage("", tool_calls=[{"name": "s__repeat", "args": {"text": "hi"}, "id": "1"}])

    state = await graph.compile().ainvoke({"messages": [asked]})

    assert state["messages"][-1].content == "hi from nobody"


async def test_a_chat_model_can_be_told_of_it(tool: McpTool) -> None:
    assert isinstance(tool, BaseTool)
    assert ChatOllama(model="any").bind_tools([tool])
    declared = convert_to_openai_tool(tool)
    assert declared["function"] == {
        "name": "s__repeat",
        "description": "Repeat a text.",
        "parameters": {
            "type": "object",
            "properties": {"text": {"type": "string", "description": "The text."}},
            "required": ["text"],
        },
    }
    assert OllamaTool.model_validate(declared)


async def test_a_description_is_never_missing_nor_endless(connection: ServerConnection) -> None:
    def described(description: str | None) -> str:
        definition = types.Tool(name="t", description=description, inputSchema={})
        return McpTool(definition, connection, name="s__t", result_max_chars=1_000).description

    assert described(None) == "t"
    assert len(described("x" * 100_000)) == DESCRIPTION_MAX_CHARS


async def test_a_tool_does_not_show_its_connection(tool: McpTool) -> None:
    assert "onnection" not in repr(tool)


async def test_a_call_that_is_cancelled_at_any_moment_leaves_the_session_to_the_others() -> None:
    built = []

    def build() -> Server[Any, Any]:
        built.append(1)
        return build_server("s", [OFFER])

    connection = ServerConnection("s", MemoryTransport(build=build), limits=LIMITS)
    await connection.start()
    for rounds_of_the_loop in range(40):
        call = asyncio.create_task(connection.call("repeat", {"text": "hi"}, CallContext()))
        for _ in range(rounds_of_the_loop):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        assert not (await connection.call("repeat", {"text": "hi"}, CallContext())).isError
    await connection.close()

    assert len(built) == 1
