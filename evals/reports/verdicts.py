"""How a suite, or a whole run, has ended, in one word."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evals.records.baseline import BaselineRecord
from evals.records.gate import Check
from evals.records.record import SuiteRecord
from evals.records.summary import SuiteSummary


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What stands at the top."""

    state: str
    """As styles and plots name it."""
    text: str


PASSED = Verdict(state="passed", text="passed")
UNHELD = Verdict(state="unscored", text="no thresholds")
BELOW = Verdict(state="failed", text="below threshold")
WORSE = Verdict(state="failed", text="worse than baseline")
UNFINISHED = Verdict(state="flaky", text="unfinished")
ERRORS = Verdict(state="error", text="errors")
_WORST_FIRST = (ERRORS, UNFINISHED, BELOW, WORSE, UNHELD, PASSED)


def verdict_of(
    record: SuiteRecord, checks: Sequence[Check], baseline: BaselineRecord | None = None
) -> Verdict:
    """As the exit code says it: with errors of the surroundings, no figure is whole."""
    if is_broken(record):
        return ERRORS
    if record.missing:
        return UNFINISHED
    if any(not check.holds for check in checks):
        return BELOW
    if baseline is not None and record.title in baseline.compared:
        return WORSE if baseline.has_fallen(record.title) else PASSED
    return PASSED if checks else UNHELD


def is_broken(record: SuiteRecord) -> bool:
    """Whether the product, its surroundings or a grader failed somewhere."""
    ungraded = any(each.failure for each in record.agreements.values())
    return bool(record.failure or SuiteSummary(record).errors or ungraded)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """That of the whole run; one without thresholds takes nothing from one that passed."""
    found = set(verdicts)
    if found == {PASSED, UNHELD}:
        return PASSED
    return next((each for each in _WORST_FIRST if each in found), UNHELD)
