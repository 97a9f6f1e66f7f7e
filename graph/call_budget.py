"""How many calls of which tools a run may make.

What a run has made stands in the messages of its turn, so it counts through approvals, and for
whoever goes on with the run.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.messages import AnyMessage, ToolMessage

from graph.approvals import ProposedCall
from graph.clearance import Clearance
from graph.state import current_turn
from tools.calls import CallLimits

_MADE = "called"
"""Where the result of a call that was made keeps the tool's qualified name; models do not see it.

A model may have called the tool by another name, and it may be there no more."""
_ALL = "*"


@dataclass(frozen=True, kw_only=True, slots=True)
class CallBudget:
    """So many calls of certain tools."""

    id: int
    """Tells it from others that are alike."""
    tools: str
    """A pattern of qualified names, or the one name."""
    most: int

    @property
    def refusal(self) -> str:
        """What the model is told instead of a further call."""
        times = "once" if self.most == 1 else f"{self.most} times"
        if _ALL not in self.tools:
            return f"{self.tools} may be called {times} in a run, and was. {_GO_ON}"
        tools = "Tools" if self.tools == _ALL else f"Tools like {self.tools}"
        return f"{tools} may be called {times} in a run, all together, and were. {_GO_ON}"


class RunLimits(Protocol):
    """What a run's calls are allowed, as things stand."""

    def for_call(self, tool: str) -> CallLimits:
        """What one call of a tool may take, by its qualified name."""
        ...

    def budgets(self, tool: str) -> Sequence[CallBudget]:
        """The budgets that a call of the tool is counted in, the smallest first."""
        ...


Limiter = Callable[[], Awaitable[RunLimits]]
"""Says what holds now: rules change while a run goes on."""


class NoLimits:
    """Lets all calls go ahead, under the settings alone."""

    def for_call(self, _tool: str) -> CallLimits:
        """The same for all tools."""
        return CallLimits()

    def budgets(self, _tool: str) -> Sequence[CallBudget]:
        """There are none."""
        return ()


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What is left of the budgets of a run."""

    limits: RunLimits
    made: Sequence[str]
    """The tools of the calls that were made before the newest ones."""

    @classmethod
    def of(cls, messages: Sequence[AnyMessage], limits: RunLimits) -> "Allowance":
        """What the turn has left."""
        results = (each for each in current_turn(messages) if isinstance(each, ToolMessage))
        made = [str(name) for each in results if (name := each.additional_kwargs.get(_MADE))]
        return cls(limits=limits, made=made)

    def refusals(
        self, calls: Sequence[ProposedCall], *, begun: Collection[str] = ()
    ) -> dict[str, str]:
        """What to tell the model of calls for which nothing is left, by their ids.

        Args:
            calls: The newest calls; whichever the model named first have what is left.
            begun: The ids of those that an earlier attempt began. These count whatever is left.
        """
        spent = Counter(budget for tool in self.made for budget in self.limits.budgets(tool))
        for call in calls:
            if call.call_id in begun:
                spent.update(self.limits.budgets(call.tool))
        refused: dict[str, str] = {}
        for call in calls:
            if call.call_id in begun:
                continue
            budgets = self.limits.budgets(call.tool)
            exhausted = next((each for each in budgets if spent[each] >= each.most), None)
            if exhausted is None:
                spent.update(budgets)
            else:
                refused[call.call_id] = exhausted.refusal
        return refused


async def clear_affordable(
    calls: Sequence[ProposedCall],
    allowance: Allowance,
    clear: Callable[[Sequence[ProposedCall]], Awaitable[Clearance]],
) -> Clearance:
    """Clear calls as far as the budgets go: nobody is asked about others.

    A call that is refused leaves its place to the next one.
    """
    cleared: set[str] = set()
    edited: dict[str, Mapping[str, Any]] = {}
    refused: dict[str, str] = {}
    while True:
        standing = [call for call in calls if call.call_id not in refused]
        beyond = allowance.refusals(standing)
        settled = cleared | beyond.keys()
        if not (new := [call for call in standing if call.call_id not in settled]):
            return Clearance(edited=edited, refused=refused | beyond)
        clearance = await clear(new)
        cleared.update(call.call_id for call in new)
        edited.update(clearance.edited)
        refused.update(clearance.refused)


def mark_made(result: ToolMessage, tool: str | None) -> ToolMessage:
    """The result of a call that was made, whatever came of it, so that the call counts.

    Args:
        result: What the model hears.
        tool: The qualified name; None if the call was not made after all.
    """
    if tool is None:
        return result
    kept = {**result.additional_kwargs, _MADE: tool}
    return result.model_copy(update={"additional_kwargs": kept})


_GO_ON = "Answer with what there is."
