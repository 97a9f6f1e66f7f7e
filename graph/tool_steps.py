"""The steps between a call that the model asks for and its result: approval and execution."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, ToolCall, ToolMessage
from pydantic import SecretStr

from graph.approvals import ProposedCall
from graph.clearance import clear_calls, clear_interrupted, edit_calls
from graph.equipment import AgentRuntime, Equipment, context_of, emitter_of
from graph.events import Log
from graph.loops import repeated_calls
from graph.state import AgentState, current_turn, last_answer
from graph.tool_calls import ToolRunner
from graph.tool_outcome import Outcome, report_invalid

StateUpdate = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ToolSteps:
    """What happens to the calls of a step."""

    equipment: Equipment

    async def approve(self, state: AgentState, runtime: AgentRuntime) -> StateUpdate:
        """Have people decide on calls, where the policy wants it; refuse what it denies."""
        context, messages = context_of(runtime), state["messages"]
        if context.policy is None:
            return {}
        message = last_answer(messages)
        repeated = repeated_calls(messages)
        clearance = await clear_calls(
            self._proposed([call for call in message.tool_calls if call not in repeated], runtime),
            policy=context.policy,
            decisions=context.decisions,
            emit=emitter_of(runtime),
        )
        refused = [
            Outcome.failed(call, clearance.refused[call["id"] or ""]).as_message()
            for call in message.tool_calls
            if call["id"] in clearance.refused
        ]
        if not clearance.edited:
            return {"messages": refused}
        return {"messages": [edit_calls(message, clearance.edited), *refused]}

    async def run_tools(self, state: AgentState, runtime: AgentRuntime) -> StateUpdate:
        """Carry out the calls that the model asked for and nobody has refused."""
        messages, context, emit = state["messages"], context_of(runtime), emitter_of(runtime)
        toolbox, calls = self.equipment.toolbox(runtime), _unanswered_calls(messages)
        lost: Mapping[str, str] = {}
        if context.journal is not None and context.journal.earlier:
            lost = clear_interrupted(
                calls,
                toolbox=toolbox,
                journal=context.journal,
                decisions=context.decisions,
                emit=emit,
            )
        repeated = {call["id"] for call in repeated_calls(messages)}
        if repeated:
            emit(Log(level="warning", message="The model repeats its calls."))
        runner = ToolRunner(
            toolbox=toolbox,
            # A secret type: LangChain copies plain strings from here into what tracers see.
            config={"configurable": {"caller": SecretStr(context.caller)}},
            timeout_seconds=self.equipment.settings.tool_timeout_seconds,
            emit=emit,
            journal=context.journal,
            repeated=repeated,
            lost=lost,
        )
        invalid = last_answer(messages).invalid_tool_calls
        return {"messages": [*await runner.run(calls), *map(report_invalid, invalid)]}

    async def may_all_run(self, message: AIMessage, runtime: AgentRuntime) -> bool:
        """Whether the policy allows all calls of a message, so that no approval is needed."""
        policy = context_of(runtime).policy
        if policy is None:
            return True
        verdicts = await policy(self._proposed(message.tool_calls, runtime))
        return all(verdict.decision == "allow" for verdict in verdicts)

    def _proposed(self, calls: Sequence[ToolCall], runtime: AgentRuntime) -> list[ProposedCall]:
        """The calls of tools that there are; the others are not made anyway."""
        toolbox = self.equipment.toolbox(runtime)
        return [proposed for call in calls if (proposed := toolbox.propose(call)) is not None]


def _unanswered_calls(messages: Sequence[AnyMessage]) -> list[ToolCall]:
    """The newest calls without those that were refused."""
    answered = {m.tool_call_id for m in current_turn(messages) if isinstance(m, ToolMessage)}
    return [call for call in last_answer(messages).tool_calls if call["id"] not in answered]
