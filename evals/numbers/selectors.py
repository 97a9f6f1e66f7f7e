"""How a figure of a suite is named: `METRIC`, `METRIC@TAG`, `METRIC#SAMPLE`, `pass@K`, `pass^K`,
and of graders `SCORER.agreement` and `SCORER.kappa`.
"""

import re
from dataclasses import dataclass
from typing import Literal

from evals.errors import UsageMistake

PASSED = "passed"
"""The share of answers in which no scorer found anything wrong."""
AGREEMENT = "agreement"
"""Of `SCORER.agreement`: the share of labelled answers that its grader grades as people do."""
KAPPA = "kappa"
"""Of `SCORER.kappa`: the same, without what chance alone brings."""
_PASSES = re.compile(r"pass(?P<kind>[@^])(?P<k>[1-9]\d{0,3})")
_METRIC = re.compile(r"(?P<name>[A-Za-z_][\w/.-]*)(?:@(?P<tag>[^@#]+)|#(?P<sample>.+))?")


@dataclass(frozen=True, kw_only=True)
class Selector:
    """One figure."""

    metric: str
    tag: str | None = None
    sample: str | None = None
    passes: Literal["@", "^"] | None = None
    """Of how many tries one, or every one, passes."""
    k: int = 1

    @classmethod
    def parse(cls, text: str) -> "Selector":
        """Reads a name.

        Raises:
            UsageMistake: It names nothing.
        """
        if found := _PASSES.fullmatch(text):
            kind: Literal["@", "^"] = "@" if found["kind"] == "@" else "^"
            return cls(metric=PASSED, passes=kind, k=int(found["k"]))
        if found := _METRIC.fullmatch(text):
            return cls(metric=found["name"], tag=found["tag"], sample=found["sample"])
        raise UsageMistake(
            f"{text!r} names no metric: METRIC, METRIC@TAG, METRIC#SAMPLE, pass@K or pass^K."
        )
