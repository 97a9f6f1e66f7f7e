"""The steps of the agent and the choice of the next one.

START ─▶ (summarise) ─▶ call_model ─▶ (approve) ─▶ run_tools ─▶ (summarise) ─▶ call_model …
                            │                          │
                            ▼                          ▼
                           END ◀──────────────────── conclude
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    get_buffer_string,
)
from langchain_core.runnables import RunnableConfig
from langgraph.constants import TAG_NOSTREAM
from langgraph.runtime import get_runtime
from langgraph.types import StreamWriter

from graph.ask import ask_model
from graph.context import AgentContext
from graph.equipment import AgentRuntime, Equipment, context_of, emitter_of
from graph.events import Log, ModelCalled, Token
from graph.foreign_text import as_model_reads
from graph.history import batch_history, fit_history, split_history
from graph.loops import is_going_in_circles
from graph.prompts import with_summary
from graph.settings import AgentSettings
from graph.shown_images import show_images
from graph.state import AgentState, current_turn, last_answer
from graph.tool_steps import ToolSteps
from graph.turn import Turn
from tools.quotation import as_data

SUMMARY_KEEPS = 0.5
"""Share of the budget that a summary leaves as it is, so that not every turn needs a new one."""

_UNHEARD = RunnableConfig(tags=[TAG_NOSTREAM])
"""Keeps the words of a model call from those who listen to the answer."""

StateUpdate = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class AgentNodes:
    """The steps in which the model speaks, and the choice of the next step.

    The choices between them are coroutines because LangGraph hands plain functions to a thread,
    which costs a run more than all that this folder does in it.
    """

    equipment: Equipment
    tool_steps: ToolSteps

    async def call_model(self, state: AgentState, runtime: AgentRuntime) -> StateUpdate:
        """Let the model answer or ask for tools."""
        message = await ask_model(
            self.equipment.model(runtime),
            await self._prompt(state, runtime),
            toolbox=self.equipment.toolbox(runtime),
            emit=emitter_of(runtime),
            lead=Turn.newest(state["messages"]).lead,
        )
        return {"messages": [self.tool_steps.leave_out_excess(message, runtime)]}

    async def conclude(self, state: AgentState, runtime: AgentRuntime) -> StateUpdate:
        """Get an answer, now and without tools, or say that there is none."""
        emit, lead = emitter_of(runtime), Turn.newest(state["messages"]).lead
        message = await ask_model(
            self.equipment.model(runtime),
            [*await self._prompt(state, runtime), HumanMessage(self._settings.conclude_prompt)],
            toolbox=self.equipment.toolbox(runtime),
            offers_tools=False,
            emit=emit,
            lead=lead,
        )
        if not message.text.strip():
            emit(Token(text=("" if message.text else lead) + self._settings.unfinished_answer))
            message.content = f"{message.text}{self._settings.unfinished_answer}"
        message.tool_calls, message.invalid_tool_calls = [], []
        return {"messages": [message]}

    async def summarise(self, state: AgentState, runtime: AgentRuntime) -> StateUpdate:
        """Replace the beginning of the conversation by a summary."""
        emitter_of(runtime)(Log(level="info", message="Summarising the earlier conversation."))
        budget = self.equipment.history_tokens(runtime)
        old = split_history(state["messages"], round(budget * SUMMARY_KEEPS)).old
        summary = state.get("summary", "")
        for batch in batch_history(old, budget):
            summary = await self._extend_summary(summary, batch, runtime)
        if not summary:
            return {}
        removed = [RemoveMessage(id=message.id) for message in old if message.id]
        return {"messages": removed, "summary": summary}

    async def before_model(
        self, state: AgentState, runtime: AgentRuntime
    ) -> Literal["summarise", "call_model"]:
        """Whether the conversation has outgrown what the model can see."""
        if not self._settings.summarise_history:
            return "call_model"
        outgrown = split_history(state["messages"], self.equipment.history_tokens(runtime)).old
        return "summarise" if outgrown else "call_model"

    async def after_model(
        self, state: AgentState
    ) -> Literal["approve", "run_tools", "conclude", "__end__"]:
        """An answer ends the run; silence is no answer; calls may need an approval."""
        messages = state["messages"]
        message = last_answer(messages)
        if message.tool_calls:
            # As a parameter it would keep clients from writing an answer into a conversation.
            runtime: AgentRuntime | None = get_runtime(AgentContext)
            if runtime is None or await self.tool_steps.may_all_run(messages, runtime):
                return "run_tools"
            return "approve"
        if message.invalid_tool_calls:
            return "run_tools"
        return "__end__" if message.text.strip() else "conclude"

    async def after_tools(
        self, state: AgentState, runtime: AgentRuntime
    ) -> Literal["summarise", "call_model", "conclude"]:
        """Whether the model may go on asking."""
        messages = state["messages"]
        rounds = sum(isinstance(message, AIMessage) for message in current_turn(messages))
        if rounds >= self.equipment.max_iterations(runtime) or is_going_in_circles(messages):
            return "conclude"
        return await self.before_model(state, runtime)

    async def _extend_summary(
        self, summary: str, messages: Sequence[AnyMessage], runtime: AgentRuntime
    ) -> str:
        kept = fit_history(messages, self.equipment.history_tokens(runtime))
        told = get_buffer_string(as_model_reads(kept))
        message = await ask_model(
            self.equipment.model(runtime),
            [
                SystemMessage(self._settings.summary_prompt),
                HumanMessage(with_summary(told, summary)),
            ],
            toolbox=self.equipment.no_tools,
            config=_UNHEARD,
            emit=_only_costs(emitter_of(runtime)),
            purpose="summary",
        )
        # It stands among the instructions from now on, and tells what tools returned.
        return as_data(message.text.strip(), keeps_fence=True) or summary

    @property
    def _settings(self) -> AgentSettings:
        return self.equipment.settings

    async def _prompt(self, state: AgentState, runtime: AgentRuntime) -> list[AnyMessage]:
        system_prompt = self.equipment.system_prompt(runtime)
        system = SystemMessage(with_summary(system_prompt, state.get("summary", "")))
        budget = self.equipment.history_tokens(runtime)
        kept = as_model_reads(fit_history(state["messages"], budget))
        contents = context_of(runtime).contents
        return [system, *await show_images(kept, contents, budget=budget)]


def _only_costs(emit: StreamWriter) -> StreamWriter:
    def emit_costs(event: object) -> None:
        if isinstance(event, ModelCalled):
            emit(event)

    return emit_costs
