"""What a judge is given, and what it says."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

from evals.target.answer import Answer


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a sample says of a right answer."""

    target: Sequence[str] = ()
    """Texts, each of which is right."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What single scorers look for, such as `calls` or `relevant`."""
    question: Sequence[str] = ()
    """The messages to which it is an answer."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A judge's word on one answer."""

    value: float
    """Of a share 0 to 1; of a measure any number; NaN where nothing can be said."""
    explanation: str = ""
    reason: str = ""
    """In a word, why nothing can be said."""

    @property
    def is_scored(self) -> bool:
        """Whether something could be said; what could not is not wrong."""
        return not math.isnan(self.value)


Judge = Callable[[Answer, Expectation], Verdict | Awaitable[Verdict | None] | None]
"""None where a sample does not ask for this judge's word. One that asks a model takes its time."""


async def ask_judge(judge: Judge, answer: Answer, expected: Expectation) -> Verdict | None:
    """What a judge says, whether at once or later."""
    said = judge(answer, expected)
    return await said if isawaitable(said) else said


def verdict(right: bool, explanation: str = "") -> Verdict:
    """Right or wrong."""
    return Verdict(value=float(right), explanation=explanation)


def unscored(explanation: str, *, reason: str = "not_measured") -> Verdict:
    """Nothing can be said, and why."""
    return Verdict(value=math.nan, explanation=explanation, reason=reason)
