"""What the model hears of calls of tools that it is not told of, because a rule denies them whole.

It may know one from an earlier step of the run: the rule may have come in between.
"""

from collections.abc import Sequence

from langchain_core.messages import ToolCall

from graph.cases import DENIED, with_reason
from graph.context import AgentContext
from graph.toolbox import Toolbox


async def explain_denied(
    calls: Sequence[ToolCall], *, toolbox: Toolbox, context: AgentContext
) -> dict[str, str]:
    """What to say of those calls, by their ids; of tools that there are not, nothing."""
    if context.why_denied is None or not context.tools_enabled:
        return {}
    texts: dict[str, str] = {}
    for call in calls:
        if toolbox.knows(call["name"]):
            continue
        reason = await context.why_denied(call["name"])
        if reason is not None:
            texts[call["id"] or ""] = with_reason(DENIED, reason)
    return texts
