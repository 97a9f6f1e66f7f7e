"""The program that most would write: FastAPI, LangGraph, ChatOllama and AsyncPostgresSaver.

No authentication, no encryption, no audit, no history of its own. It is written as well as its
parts allow: one model, one warm pool, prepared statements, uvloop, ready-made bytes out.
"""

import argparse
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

import orjson
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.tools import BaseTool, tool
from langchain_ollama import ChatOllama
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel

POOL_CONNECTIONS = 20


class ChatRequest(BaseModel):
    text_input: str
    session_id: str
    enable_tools: bool = False


@tool
async def datetime__now(timezone: str = "UTC") -> str:
    """Get the current date and time in a timezone."""
    return f"{datetime.now(ZoneInfo(timezone)):%A, %d %B %Y, %H:%M:%S}"


def build_graph(
    model: BaseChatModel, checkpointer: AsyncPostgresSaver, tools: Sequence[BaseTool] = ()
) -> CompiledStateGraph[Any, Any, Any, Any]:
    bound = model.bind_tools(tools) if tools else model

    async def call_model(state: MessagesState) -> dict[str, list[BaseMessage]]:
        return {"messages": [await bound.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", call_model)
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile(checkpointer=checkpointer)


def create_app(model_url: str, model_name: str, database_url: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
        pool: AsyncConnectionPool[AsyncConnection[dict[str, Any]]] = AsyncConnectionPool(
            database_url, min_size=4, max_size=POOL_CONNECTIONS, kwargs=options, open=False
        )
        async with pool:
            checkpointer = AsyncPostgresSaver(pool)
            await checkpointer.setup()
            model = ChatOllama(model=model_name, base_url=model_url)
            app.state.graphs = [
                build_graph(model, checkpointer, tools) for tools in ([], [datetime__now])
            ]
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/chat/stream")
    async def stream(request: ChatRequest) -> StreamingResponse:
        graph = app.state.graphs[request.enable_tools]
        return StreamingResponse(events(graph, request), media_type="text/event-stream")

    @app.websocket("/v1/ws/chat/{session_id}")
    async def chat(websocket: WebSocket, session_id: str) -> None:
        await websocket.accept()
        with suppress(WebSocketDisconnect):
            while True:
                said = await websocket.receive_json()
                request = ChatRequest(session_id=session_id, **said)
                async for message in messages(app.state.graphs[request.enable_tools], request):
                    await websocket.send_text(message)

    return app


async def events(
    graph: CompiledStateGraph[Any, Any, Any, Any], request: ChatRequest
) -> AsyncIterator[bytes]:
    async for message, _ in parts(graph, request):
        if isinstance(message, AIMessageChunk) and message.content:
            yield b"event: token\ndata: %b\n\n" % orjson.dumps({"text": message.content})
    yield b'event: done\ndata: {"metadata":{"status":"success"}}\n\n'


async def messages(
    graph: CompiledStateGraph[Any, Any, Any, Any], request: ChatRequest
) -> AsyncIterator[str]:
    async for message, _ in parts(graph, request):
        if isinstance(message, AIMessageChunk) and message.content:
            yield orjson.dumps({"type": "token", "text": message.content}).decode()
    yield '{"type":"done","metadata":{"status":"success"}}'


def parts(
    graph: CompiledStateGraph[Any, Any, Any, Any], request: ChatRequest
) -> AsyncIterator[tuple[BaseMessage, dict[str, Any]]]:
    streamed = graph.astream(
        {"messages": [HumanMessage(request.text_input)]},
        {"configurable": {"thread_id": request.session_id}},
        stream_mode="messages",
    )
    return cast("AsyncIterator[tuple[BaseMessage, dict[str, Any]]]", streamed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model-url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--database-url", required=True)
    args = parser.parse_args()
    bare = create_app(args.model_url, args.model, args.database_url)
    uvicorn.run(
        bare,
        host="127.0.0.1",
        port=args.port,
        ws="websockets-sansio",
        log_level="warning",
        access_log=False,
    )
