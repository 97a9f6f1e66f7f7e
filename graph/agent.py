"""Builds the agent: a ReAct loop as a state graph."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.constants import END, START
from langgraph.graph.state import CompiledStateGraph, StateGraph

from graph.context import AgentContext
from graph.equipment import Equipment
from graph.llm.chat_model import open_chat_model, open_model_address
from graph.nodes import AgentNodes
from graph.settings import AgentSettings, GraphSettings
from graph.state import DeltaState, WholeState
from graph.step_limit import limit_step
from graph.tool_steps import ToolSteps
from tools.catalog import open_catalog

Agent = CompiledStateGraph[Any, AgentContext, Any, Any]


def build_agent(
    model: BaseChatModel,
    tools: Sequence[BaseTool],
    *,
    checkpointer: BaseCheckpointSaver[str] | None = None,
    settings: AgentSettings,
) -> Agent:
    """Assemble the agent.

    Args:
        model: Answers, unless a run's context names another.
        tools: May be called, unless a run's context holds others.
        checkpointer: Keeps the conversations; without one each run starts from nothing.
        settings: How the agent thinks.
    """
    equipment = Equipment(own_model=model, own_tools=tools, settings=settings)
    tool_steps = ToolSteps(equipment=equipment)
    nodes = AgentNodes(equipment=equipment, tool_steps=tool_steps)
    builder = StateGraph[Any, AgentContext, Any, Any](
        DeltaState if settings.delta_checkpoints else WholeState, context_schema=AgentContext
    )
    for step in (
        nodes.call_model,
        tool_steps.approve,
        tool_steps.run_tools,
        nodes.conclude,
        nodes.summarise,
    ):
        builder.add_node(limit_step(step, settings.step_timeout_seconds))
    builder.add_conditional_edges(START, nodes.before_model)
    builder.add_edge("summarise", "call_model")
    builder.add_conditional_edges("call_model", nodes.after_model)
    builder.add_edge("approve", "run_tools")
    builder.add_conditional_edges("run_tools", nodes.after_tools)
    builder.add_edge("conclude", END)
    return builder.compile(checkpointer=checkpointer, name="youworker")


async def make_graph() -> Agent:
    """The agent as `langgraph dev` and Studio run it: from the environment, without the server.

    It has the built-in tools and those of the servers file, but nobody's documents.
    """
    return await asyncio.shield(_development().opened)


@cache
def _development() -> "_Development":
    return _Development()


class _Development:
    """Holds everything open while the process lives: `langgraph dev` asks anew for every run."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[Agent] = asyncio.get_running_loop().create_future()
        self._holding = asyncio.create_task(self._hold())
        self._holding.add_done_callback(self._pass_on_failure)

    async def _hold(self) -> None:
        async with _open_agent(GraphSettings()) as agent:
            self.opened.set_result(agent)
            await asyncio.Event().wait()

    def _pass_on_failure(self, holding: "asyncio.Task[None]") -> None:
        if self.opened.done():
            return
        if holding.cancelled():
            self.opened.cancel()
        elif failure := holding.exception():
            self.opened.set_exception(failure)


@asynccontextmanager
async def _open_agent(settings: GraphSettings) -> AsyncIterator[Agent]:
    async with (
        open_model_address(settings.llm) as llm,
        open_chat_model(llm.chat_model, llm) as model,
        open_catalog(settings.mcp) as catalog,
    ):
        yield build_agent(model, catalog.tools(), settings=settings.agent)
