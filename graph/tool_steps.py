"""The steps between a call that the model asks for and its result: approval and execution."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, ToolCall, ToolMessage
from langgraph.types import StreamWriter

from graph.approvals import ProposedCall
from graph.call_budget import Allowance, NoLimits, RunLimits, clear_affordable, mark_made
from graph.clearance import clear_calls, edit_calls
from graph.context import AgentContext
from graph.denied_tools import explain_denied
from graph.equipment import AgentRuntime, Equipment, context_of, emitter_of
from graph.events import Log
from graph.excess import has_excess, leave_out_excess
from graph.left_calls import clear_left_calls
from graph.loops import repeated_calls
from graph.state import AgentState, current_turn, last_answer
from graph.tool_calls import ToolRunner
from graph.tool_outcome import REPEATED, Outcome, report_invalid
from tools.calls import CallContext

StateUpdate = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ToolSteps:
    """What happens to the calls of a step."""

    equipment: Equipment

    def leave_out_excess(self, message: AIMessage, runtime: AgentRuntime) -> AIMessage:
        """The message without the calls that are too many for one: nothing else sees them."""
        kept = leave_out_excess(message, self.equipment.settings.max_calls_per_message)
        if has_excess(kept):
            emitter_of(runtime)(Log(level="warning", message="The model asks for too many calls."))
        return kept

    async def approve(self, state: AgentState, runtime: AgentRuntime) -> StateUpdate:
        """Have people decide on calls, where the policy wants it; refuse what it denies."""
        context, messages = context_of(runtime), state["messages"]
        if context.policy is None:
            return {}
        message, unanswered = last_answer(messages), _unanswered_calls(messages)
        repeated = {call["id"] for call in repeated_calls(messages)}
        proposed = self._proposed(unanswered, runtime)
        clearance = await clear_affordable(
            [call for call in proposed if call.call_id not in repeated],
            Allowance.of(messages, await _limits_of(context)),
            partial(
                clear_calls,
                policy=context.policy,
                decisions=context.decisions,
                emit=emitter_of(runtime),
            ),
        )
        # Answered here: an edit could make one look as if it were repeated no more, and nobody
        # has judged these.
        stopped = {
            call.call_id: REPEATED.format(name=call.tool)
            for call in proposed
            if call.call_id in repeated
        }
        answers = _answer_unmade(unanswered, stopped | dict(clearance.refused))
        if not clearance.edited:
            return {"messages": answers}
        return {"messages": [edit_calls(message, clearance.edited), *answers]}

    async def run_tools(self, state: AgentState, runtime: AgentRuntime) -> StateUpdate:
        """Carry out the calls that the model asked for and nobody has refused."""
        messages, context, emit = state["messages"], context_of(runtime), emitter_of(runtime)
        repeated = {call["id"] for call in repeated_calls(messages)}
        unanswered, toolbox = _unanswered_calls(messages), self.equipment.toolbox(runtime)
        left = await clear_left_calls(
            [call for call in unanswered if call["id"] not in repeated],
            toolbox=toolbox,
            context=context,
            emit=emit,
        )
        if repeated:
            emit(Log(level="warning", message="The model repeats its calls."))
        message = edit_calls(last_answer(messages), left.edited)
        limits = await _limits_of(context)
        earlier = {} if context.journal is None else context.journal.earlier
        settled = repeated | left.refused.keys()
        proposed = [c for c in self._proposed(unanswered, runtime) if c.call_id not in settled]
        unknown = [call for call in unanswered if call["id"] not in settled | earlier.keys()]
        refused = {
            **left.refused,
            **Allowance.of(messages, limits).refusals(proposed, begun=earlier),
            **await explain_denied(unknown, toolbox=toolbox, context=context),
        }
        unmade = _answer_unmade(unanswered, refused)
        passed = {call["id"] for call in unanswered} - refused.keys()
        runner = ToolRunner(
            toolbox=toolbox,
            describe=partial(_describe_call, context, limits, emit),
            timeout_seconds=self.equipment.settings.tool_timeout_seconds,
            max_parallel=self.equipment.settings.max_parallel_calls,
            emit=emit,
            journal=context.journal,
            repeated=repeated,
            lost=left.lost,
        )
        made = await runner.run([call for call in message.tool_calls if call["id"] in passed])
        tools = {call.call_id: call.tool for call in proposed}
        made = [mark_made(each, tools.get(each.tool_call_id)) for each in made]
        answers = [*unmade, *made, *map(report_invalid, message.invalid_tool_calls)]
        return {"messages": [message, *answers] if left.edited else answers}

    async def may_all_run(self, messages: Sequence[AnyMessage], runtime: AgentRuntime) -> bool:
        """Whether the policy allows all of the newest calls, so that no approval is needed."""
        policy = context_of(runtime).policy
        if policy is None:
            return True
        verdicts = await policy(self._proposed(_unanswered_calls(messages), runtime))
        return all(verdict.decision == "allow" for verdict in verdicts)

    def _proposed(self, calls: Sequence[ToolCall], runtime: AgentRuntime) -> list[ProposedCall]:
        """The calls of tools that there are; the others are not made anyway."""
        toolbox = self.equipment.toolbox(runtime)
        return [proposed for call in calls if (proposed := toolbox.propose(call)) is not None]


async def _limits_of(context: AgentContext) -> RunLimits:
    return NoLimits() if context.limits is None else await context.limits()


@asynccontextmanager
async def _describe_call(
    context: AgentContext, limits: RunLimits, emit: StreamWriter, call: ProposedCall
) -> AsyncIterator[CallContext]:
    listening = nullcontext() if context.listen is None else context.listen(call, emit)
    async with listening as listener:
        yield CallContext(
            caller=context.caller,
            user_id=context.user_id,
            run_id=context.run_id,
            identity=context.identity,
            listener=listener,
            keeper=None if context.contents is None else context.contents.keeper_of(call.call_id),
            limits=limits.for_call(call.tool),
        )


def _unanswered_calls(messages: Sequence[AnyMessage]) -> list[ToolCall]:
    """The newest calls without those that are not made."""
    answered = {m.tool_call_id for m in current_turn(messages) if isinstance(m, ToolMessage)}
    return [call for call in last_answer(messages).tool_calls if call["id"] not in answered]


def _answer_unmade(calls: Sequence[ToolCall], texts: Mapping[str, str]) -> list[ToolMessage]:
    """What the model hears of the calls that are not made."""
    return [
        Outcome.failed(call, texts[call["id"] or ""]).as_message()
        for call in calls
        if call["id"] in texts
    ]
