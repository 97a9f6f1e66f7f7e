"""The steps of the agent and the choice of the next one.

START ─▶ (summarise) ─▶ call_model ─▶ run_tools ─▶ (summarise) ─▶ call_model …
                            │             │
                            ▼             ▼
                           END ◀────── conclude
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    get_buffer_string,
)
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.constants import TAG_NOSTREAM
from langgraph.runtime import Runtime
from langgraph.types import StreamWriter
from pydantic import SecretStr

from graph.ask import ask_model
from graph.context import AgentContext
from graph.events import Log, ModelCalled, Token
from graph.history import batch_history, fit_history, split_history
from graph.loops import is_going_in_circles, repeated_calls
from graph.prompts import with_summary
from graph.settings import AgentSettings
from graph.state import AgentState, current_turn
from graph.tool_calls import ToolRunner
from graph.toolbox import Toolbox, Toolboxes

SUMMARY_KEEPS = 0.5
"""Share of the budget that a summary leaves as it is, so that not every turn needs a new one."""
PARAGRAPH = "\n\n"

_UNHEARD = RunnableConfig(tags=[TAG_NOSTREAM])
"""Keeps the words of a model call from those who listen to the answer."""

StateUpdate = dict[str, Any]
AgentRuntime = Runtime[AgentContext]


@dataclass(frozen=True, kw_only=True)
class AgentNodes:
    """The steps, with what they need when a run brings nothing of its own.

    The choices between them are coroutines because LangGraph hands plain functions to a thread,
    which costs a run more than all that this folder does in it.
    """

    model: BaseChatModel
    tools: Sequence[BaseTool]
    settings: AgentSettings
    _toolboxes: Toolboxes = field(default_factory=Toolboxes)

    async def call_model(self, state: AgentState, runtime: AgentRuntime) -> StateUpdate:
        """Let the model answer or ask for tools."""
        message = await ask_model(
            self._model(runtime),
            self._prompt(state, runtime),
            toolbox=self._toolbox(runtime),
            emit=_emit(runtime),
            lead=_lead(state),
        )
        return {"messages": [message]}

    async def run_tools(self, state: AgentState, runtime: AgentRuntime) -> StateUpdate:
        """Carry out the calls that the model asked for."""
        messages = state["messages"]
        repeated = repeated_calls(messages)
        if repeated:
            _emit(runtime)(Log(level="warning", message="The model repeats its calls."))
        runner = ToolRunner(
            toolbox=self._toolbox(runtime),
            # A secret type: LangChain copies plain strings from here into what tracers see.
            config={"configurable": {"caller": SecretStr(_context(runtime).caller)}},
            timeout_seconds=self.settings.tool_timeout_seconds,
            emit=_emit(runtime),
        )
        results = await runner.run(
            _last_answer(messages), refused={call["id"] for call in repeated}
        )
        return {"messages": results}

    async def conclude(self, state: AgentState, runtime: AgentRuntime) -> StateUpdate:
        """Get an answer, now and without tools, or say that there is none."""
        emit, lead = _emit(runtime), _lead(state)
        message = await ask_model(
            self._model(runtime),
            [*self._prompt(state, runtime), HumanMessage(self.settings.conclude_prompt)],
            toolbox=self._toolbox(runtime),
            offers_tools=False,
            emit=emit,
            lead=lead,
        )
        if not message.text.strip():
            emit(Token(text=lead + self.settings.unfinished_answer))
            message.content = self.settings.unfinished_answer
        message.tool_calls, message.invalid_tool_calls = [], []
        return {"messages": [message]}

    async def summarise(self, state: AgentState, runtime: AgentRuntime) -> StateUpdate:
        """Replace the beginning of the conversation by a summary."""
        _emit(runtime)(Log(level="info", message="Summarising the earlier conversation."))
        budget = self._history_tokens(runtime)
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
        if not self.settings.summarise_history:
            return "call_model"
        outgrown = split_history(state["messages"], self._history_tokens(runtime)).old
        return "summarise" if outgrown else "call_model"

    async def after_model(self, state: AgentState) -> Literal["run_tools", "conclude", "__end__"]:
        """An answer ends the run; silence is no answer."""
        message = _last_answer(state["messages"])
        if message.tool_calls or message.invalid_tool_calls:
            return "run_tools"
        return "__end__" if message.text.strip() else "conclude"

    async def after_tools(
        self, state: AgentState, runtime: AgentRuntime
    ) -> Literal["summarise", "call_model", "conclude"]:
        """Whether the model may go on asking."""
        messages = state["messages"]
        rounds = sum(isinstance(message, AIMessage) for message in current_turn(messages))
        limit = _context(runtime).max_iterations or self.settings.max_iterations
        if rounds >= limit or is_going_in_circles(messages):
            return "conclude"
        return await self.before_model(state, runtime)

    async def _extend_summary(
        self, summary: str, messages: Sequence[AnyMessage], runtime: AgentRuntime
    ) -> str:
        told = get_buffer_string(fit_history(messages, self._history_tokens(runtime)))
        message = await ask_model(
            self._model(runtime),
            [
                SystemMessage(self.settings.summary_prompt),
                HumanMessage(with_summary(told, summary)),
            ],
            toolbox=self._toolboxes.of(()),
            config=_UNHEARD,
            emit=_only_costs(_emit(runtime)),
        )
        return message.text.strip() or summary

    def _model(self, runtime: AgentRuntime) -> BaseChatModel:
        return _context(runtime).model or self.model

    def _toolbox(self, runtime: AgentRuntime) -> Toolbox:
        context = _context(runtime)
        if not context.tools_enabled:
            return self._toolboxes.of(())
        return self._toolboxes.of(self.tools if context.tools is None else context.tools)

    def _history_tokens(self, runtime: AgentRuntime) -> int:
        return _context(runtime).history_tokens or self.settings.history_tokens

    def _prompt(self, state: AgentState, runtime: AgentRuntime) -> list[AnyMessage]:
        system_prompt = _context(runtime).system_prompt or self.settings.system_prompt
        system = SystemMessage(with_summary(system_prompt, state.get("summary", "")))
        return [system, *fit_history(state["messages"], self._history_tokens(runtime))]


_NO_CONTEXT = AgentContext()


def _emit(runtime: AgentRuntime) -> StreamWriter:
    return _context(runtime).emit or runtime.stream_writer


def _context(runtime: AgentRuntime) -> AgentContext:
    # Studio starts runs without one.
    return runtime.context or _NO_CONTEXT


def _last_answer(messages: Sequence[AnyMessage]) -> AIMessage:
    return next(message for message in reversed(messages) if isinstance(message, AIMessage))


def _lead(state: AgentState) -> str:
    """What sets the next words apart from those that this turn said already."""
    said = any(
        isinstance(message, AIMessage) and message.text.strip()
        for message in current_turn(state["messages"])
    )
    return PARAGRAPH if said else ""


def _only_costs(emit: StreamWriter) -> StreamWriter:
    def emit_costs(event: object) -> None:
        if isinstance(event, ModelCalled):
            emit(event)

    return emit_costs
