"""Two runs side by side: which of their suites belong together, and whether one run is worse."""

from collections.abc import Sequence
from dataclasses import dataclass

from evals.records.baseline import BaselineRecord, FallenMetric
from evals.records.comparison import SuiteComparison, compare_suites
from evals.records.record import RunRecord, SuiteRecord


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """Both runs, suite by suite."""

    before: str
    suites: tuple[SuiteComparison, ...]
    not_compared: tuple[str, ...]
    """Suites and models that only one of the runs has, with which one it is."""

    @property
    def is_worse(self) -> bool:
        """Whether anything fell, and hardly by chance."""
        return any(each.is_worse for each in self.suites)

    def as_baseline(self) -> BaselineRecord:
        """What the record of the later run keeps of it."""
        fallen = [
            FallenMetric(
                suite=suite.after.title,
                name=each.name,
                before=each.before,
                after=each.after,
                p_value=each.test.p_value,
            )
            for suite in self.suites
            for each in suite.metrics
            if each.is_worse
        ]
        return BaselineRecord(
            run=self.before,
            compared=tuple(each.after.title for each in self.suites),
            fallen=tuple(fallen),
            not_compared=self.not_compared,
        )


def compare_runs(before: RunRecord, after: RunRecord) -> RunComparison:
    """Compares the suites that both runs have, on the same model where both have asked it.

    What is left of a suite then is compared in its order: another model in the place of one.
    """
    pairs = _pairs(before.suites, after.suites)
    first = {id(one) for one, _ in pairs}
    second = {id(other) for _, other in pairs}
    alone = [f"{each.title} (before only)" for each in before.suites if id(each) not in first]
    alone += [f"{each.title} (after only)" for each in after.suites if id(each) not in second]
    return RunComparison(
        before=before.run,
        suites=tuple(compare_suites(one, other) for one, other in pairs),
        not_compared=tuple(alone),
    )


def _pairs(
    before: Sequence[SuiteRecord], after: Sequence[SuiteRecord]
) -> list[tuple[SuiteRecord, SuiteRecord]]:
    """In the order of the later run."""
    left, found = list(before), dict[int, SuiteRecord]()
    for by_model in (True, False):
        for place, record in enumerate(after):
            same = [each for each in left if _belong(each, record, by_model=by_model)]
            if same and place not in found:
                found[place] = same[0]
                left = [each for each in left if each is not same[0]]
    return [(found[place], record) for place, record in enumerate(after) if place in found]


def _belong(one: SuiteRecord, other: SuiteRecord, *, by_model: bool) -> bool:
    models = one.conditions.model, other.conditions.model
    return one.suite == other.suite and (not by_model or models[0] == models[1])
