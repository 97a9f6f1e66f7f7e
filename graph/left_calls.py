"""Clears the calls that an earlier attempt at the run was about to make, or was making."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import ToolCall

from graph.approvals import ProposedCall
from graph.cases import UNKNOWN_OUTCOME
from graph.clearance import Emit, clear_calls
from graph.context import AgentContext
from graph.toolbox import Toolbox


@dataclass(frozen=True, kw_only=True)
class LeftCalls:
    """What becomes of them, by the ids of the calls."""

    edited: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Other arguments to call with."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """What to tell the model of those that never began and are not made."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """What to tell the model of those that had begun and are not made again."""


async def clear_left_calls(
    calls: Sequence[ToolCall], *, toolbox: Toolbox, context: AgentContext, emit: Emit
) -> LeftCalls:
    """Judge calls again that an earlier attempt had cleared: the rules may be others by now.

    Raises:
        GraphInterrupt: A person has to decide first.
    """
    earlier = {} if context.journal is None else context.journal.earlier
    left = [call for call in calls if call["id"] in context.taken_up or call["id"] in earlier]
    begun: dict[str, int] = {}
    lost: dict[str, str] = {}
    proposals: list[ProposedCall] = []
    for call in left:
        call_id, proposed = call["id"] or "", toolbox.propose(call)
        known = earlier.get(call_id)
        if known is not None and known.status != "begun":
            continue  # its result is used
        if proposed is not None:
            proposals.append(proposed)
        if known is None:
            continue
        if proposed is None:
            lost[call_id] = UNKNOWN_OUTCOME
        elif not proposed.repeatable:
            begun[call_id] = known.begun
    if not proposals:
        return LeftCalls(lost=lost)
    clearance = await clear_calls(
        proposals, policy=context.policy, decisions=context.decisions, emit=emit, begun=begun
    )
    refused = {name: text for name, text in clearance.refused.items() if name not in begun}
    lost |= {name: text for name, text in clearance.refused.items() if name in begun}
    return LeftCalls(edited=clearance.edited, refused=refused, lost=lost)
