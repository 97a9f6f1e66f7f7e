"""Whether what came of a suite is good enough."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from evals.errors import UsageMistake
from evals.numbers.selectors import PASSED, Selector
from evals.records.record import RunRecord, SuiteRecord
from evals.records.summary import SuiteSummary
from evals.scorers.catalogue import MEASURES

_BOUND = re.compile(r"(?P<name>.+?)\s*(?P<sign><=|>=|=)(?P<value>[^=]*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What a figure has to reach, or must not exceed."""

    name: str
    at_least: float | None = None
    at_most: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Bound":
        """Reads `METRIC=VALUE` or `METRIC>=VALUE`, which are the same, or `METRIC<=VALUE`.

        Raises:
            UsageMistake: It is something else, or leaves open in which direction a measure is good.
        """
        found = _BOUND.fullmatch(text)
        value = _number(found["value"]) if found else None
        if not found or value is None:
            raise UsageMistake(
                f"{text!r} is no METRIC=VALUE, such as passed=0.9, nor METRIC<=VALUE, such as "
                "latency<=10."
            )
        name, sign = found["name"], found["sign"]
        metric = Selector.parse(name).metric
        if sign == "=" and metric in MEASURES:
            raise UsageMistake(
                f"{text!r} leaves open whether more of {metric} is better: say "
                f"'{name}<={value:g}' for at most, or '{name}>={value:g}' for at least."
            )
        if sign == "<=":
            return cls(name=name, at_most=value)
        return cls(name=name, at_least=value)

    @property
    def selector(self) -> Selector:
        """The figure that it is about."""
        return Selector.parse(self.name)

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


Checked = Sequence[tuple[SuiteRecord, Sequence[Check]]]
"""What a run has, and what its bounds say of it."""


def check_all(record: RunRecord) -> Checked:
    """Holds each suite to its own thresholds, and to the bounds that were asked for.

    Of these, a suite is held to those about which it says something. What no suite says anything
    about is kept by none, so that no report is green.
    """
    summaries = [SuiteSummary(each) for each in record.suites]
    missing = unanswered(record)
    bounds = [Bound.parse(text) for text in record.fail_under]
    return [
        (
            each.record,
            check_suite(each, [b for b in bounds if b in missing or is_about(each, b.selector)]),
        )
        for each in summaries
    ]


def unanswered(record: RunRecord) -> list[Bound]:
    """The bounds that were asked for and about which no suite says anything."""
    summaries = [SuiteSummary(each) for each in record.suites]
    bounds = [Bound.parse(text) for text in record.fail_under]
    return [b for b in bounds if not any(is_about(each, b.selector) for each in summaries)]


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
        own = [each for each in own if is_about(summary, each.selector)]
    bounds = [each for each in own if each.name not in named] + list(asked)
    return [Check(bound=each, value=summary.value(each.selector)) for each in bounds]


def is_about(summary: SuiteSummary, selector: Selector) -> bool:
    """Whether any answer of the suite was looked at for this figure, whatever was found."""
    figures = (agreement.figures(name) for name, agreement in summary.record.agreements.items())
    if any(selector.metric in each for each in figures):
        return selector.tag is None and selector.sample is None
    return any(
        selector.sample in {None, each.sample}
        and (selector.tag is None or selector.tag in each.tags)
        and (selector.metric == PASSED or selector.metric in each.scores)
        for each in summary.record.attempts
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
