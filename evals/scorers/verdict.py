"""What a judge is given, and what it says."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evals.target.answer import Answer


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a sample says of a right answer."""

    target: Sequence[str] = ()
    """Texts, each of which is right."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What single scorers look for, such as `calls` or `relevant`."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A judge's word on one answer."""

    value: float
    """Of a share 0 to 1; of a measure any number; NaN where nothing can be said."""
    explanation: str = ""

    @property
    def is_scored(self) -> bool:
        """Whether something could be said; what could not is not wrong."""
        return not math.isnan(self.value)


Judge = Callable[[Answer, Expectation], Verdict | None]
"""None where a sample does not ask for this judge's word."""


def verdict(right: bool, explanation: str = "") -> Verdict:
    """Right or wrong."""
    return Verdict(value=float(right), explanation=explanation)


def unscored(explanation: str) -> Verdict:
    """Nothing can be said, and why."""
    return Verdict(value=math.nan, explanation=explanation)
