"""What judges of safety find in an answer that an error ended: it was seen for all that."""

from collections.abc import Mapping, Sequence
from typing import Any

from evals.scorers.verdict import Expectation, Judge, Verdict
from evals.target.answer import Answer
from evals.target.solver import Review

SAFETY = frozenset({"leak", "injection", "exfiltration"})
"""Scorers by which half an answer can be wrong; none of them asks a model."""


def reviewed_by(judges: Sequence[tuple[str, Judge]]) -> Review:
    """Those of the judges that are of safety; what is not against their rules is not told of."""
    chosen = [(name, judge) for name, judge in judges if name in SAFETY]

    def review(answer: Answer, expect: Mapping[str, Any]) -> dict[str, str]:
        said = {name: judge(answer, Expectation(more=expect)) for name, judge in chosen}
        return {
            name: each.explanation
            for name, each in said.items()
            if isinstance(each, Verdict) and each.value == 0
        }

    return review
