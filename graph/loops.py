"""Notices when the model goes round in circles."""

import json
from collections import Counter
from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, ToolCall

from graph.state import current_turn

IDENTICAL_CALLS_ALLOWED = 3
"""How often one turn may make the same call with the same arguments."""


def repeated_calls(messages: Sequence[AnyMessage]) -> list[ToolCall]:
    """The newest calls that this turn has made too often already."""
    asked = [m for m in current_turn(messages) if isinstance(m, AIMessage) and m.tool_calls]
    if not asked:
        return []
    made = Counter(_identity(call) for message in asked[:-1] for call in message.tool_calls)
    repeated = []
    for call in asked[-1].tool_calls:
        identity = _identity(call)
        made[identity] += 1
        if made[identity] > IDENTICAL_CALLS_ALLOWED:
            repeated.append(call)
    return repeated


def is_going_in_circles(messages: Sequence[AnyMessage]) -> bool:
    """Whether the newest calls were all made too often already."""
    repeated = repeated_calls(messages)
    newest = next((m for m in reversed(messages) if isinstance(m, AIMessage)), None)
    return bool(repeated) and newest is not None and len(repeated) == len(newest.tool_calls)


def _identity(call: ToolCall) -> tuple[str, str]:
    return call["name"], json.dumps(call["args"], sort_keys=True, default=str)
