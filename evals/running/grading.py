"""The grader of a suite, held to labelled answers before it grades others."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from evals.records.agreement import AgreementRecord
from evals.records.logs import LogLabel
from evals.running.agreement import measure_agreements
from evals.running.graders import NamedGrader
from evals.suite.loading import Suite
from evals.suite.schema import SuiteSpec
from evals.target.grader import Grader


@dataclass(frozen=True, kw_only=True)
class Grading:
    """Who grades, and how far that agrees with people."""

    name: str | None = None
    grader: Grader | None = None
    agreements: dict[str, AgreementRecord] = field(default_factory=dict)


UNGRADED = Grading()
"""Of suites that ask no grader anything."""


async def begin_grading(
    suite: Suite, spec: SuiteSpec, chosen: NamedGrader, before: LogLabel | None = None
) -> Grading:
    """Holds the grader to the suite's labels, unless an earlier part of the run has done so.

    Raises:
        UsageMistake: A scorer cannot be built.
    """
    known = _known(chosen, before)
    agreements = (
        dict(known)
        if known is not None
        else await measure_agreements(spec, suite.labelled, chosen.grader)
    )
    return Grading(name=chosen.name, grader=chosen.grader, agreements=agreements)


def _known(chosen: NamedGrader, before: LogLabel | None) -> Mapping[str, AgreementRecord] | None:
    if before is None or before.conditions.grader != chosen.name or not before.is_graded:
        return None
    return before.agreements
