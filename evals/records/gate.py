"""Whether what came of a suite is good enough."""

from collections.abc import Sequence
from dataclasses import dataclass

from evals.errors import UsageMistake
from evals.numbers.selectors import Selector
from evals.records.summary import SuiteSummary


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What a figure has to reach, or must not exceed."""

    name: str
    at_least: float | None = None
    at_most: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Bound":
        """Reads `METRIC=VALUE`.

        Raises:
            UsageMistake: It is something else.
        """
        name, separator, value = text.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            separator = ""
            number = 0.0
        if not separator:
            raise UsageMistake(f"{text!r} is no METRIC=VALUE, such as passed=0.9.")
        Selector.parse(name)
        return cls(name=name, at_least=number)

    @property
    def text(self) -> str:
        """As a person reads it."""
        low = None if self.at_least is None else f"≥ {self.at_least:g}"
        high = None if self.at_most is None else f"≤ {self.at_most:g}"
        return " and ".join(each for each in (low, high) if each)


@dataclass(frozen=True, kw_only=True)
class Check:
    """A bound, and what the figure was."""

    bound: Bound
    value: float | None
    """None when nothing was scored: that is not good enough either."""

    @property
    def holds(self) -> bool:
        """Whether the figure is within."""
        if self.value is None:
            return False
        low = self.bound.at_least is None or self.value >= self.bound.at_least
        return low and (self.bound.at_most is None or self.value <= self.bound.at_most)


def check_suite(summary: SuiteSummary, asked: Sequence[Bound] = ()) -> list[Check]:
    """Holds a suite to its own thresholds and to those that were asked for.

    Where only some samples were put, thresholds about which none of them says anything do not
    count. Where all were, nothing scored is not good enough.
    """
    own = [
        Bound(name=name, at_least=each.get("at_least"), at_most=each.get("at_most"))
        for name, each in summary.record.thresholds.items()
    ]
    named = {each.name for each in asked}
    if summary.record.conditions.selection:
        scored = {metric.name for metric in summary.metrics}
        own = [each for each in own if Selector.parse(each.name).metric in scored]
    bounds = [each for each in own if each.name not in named] + list(asked)
    return [Check(bound=each, value=summary.value(Selector.parse(each.name))) for each in bounds]
