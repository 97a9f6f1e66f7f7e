"""A suite in two runs: which samples flipped, and whether one run is better."""

from dataclasses import dataclass
from typing import Literal

from evals.numbers.pairing import PairedTest, compare_pairs
from evals.numbers.passes import State
from evals.records.record import SuiteRecord
from evals.records.summary import SuiteSummary
from evals.scorers.catalogue import MEASURES

GRADER = "grader"


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A sample of which something else became."""

    sample: str
    before: State
    after: State

    @property
    def direction(self) -> Literal["worse", "better"]:
        """A sample that fails now and then is worse than one that never does."""
        order: list[State] = ["failed", "flaky", "passed"]
        return "worse" if order.index(self.after) < order.index(self.before) else "better"


@dataclass(frozen=True, kw_only=True)
class MetricComparison:
    """One metric in both runs."""

    name: str
    before: float
    after: float
    test: PairedTest

    @property
    def is_measure(self) -> bool:
        """Whether less of it may be better."""
        return self.name in MEASURES

    @property
    def is_worse(self) -> bool:
        """Whether it fell, and hardly by chance."""
        return not self.is_measure and self.test.difference < 0 and self.test.is_significant


@dataclass(frozen=True, kw_only=True)
class Change:
    """A condition under which the answers came about that is another one now."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class SuiteComparison:
    """One suite in both runs."""

    before: SuiteRecord
    after: SuiteRecord
    flips: tuple[Flip, ...]
    """Those that got worse first."""
    metrics: tuple[MetricComparison, ...]
    missing: tuple[str, ...]
    """Samples that only one of the runs has an answer to."""

    @property
    def is_worse(self) -> bool:
        """Whether anything fell, and hardly by chance."""
        return any(each.is_worse for each in self.metrics)

    @property
    def changes(self) -> list[Change]:
        """What else was not the same; who graded comes first."""
        before, after = _conditions(self.before), _conditions(self.after)
        return [
            Change(what=what, before=before[what], after=after[what])
            for what in before
            if before[what] != after[what]
        ]

    @property
    def asks_the_same(self) -> bool:
        """Whether both were put the same questions."""
        return self.before.conditions.samples_digest == self.after.conditions.samples_digest


def compare_suites(before: SuiteRecord, after: SuiteRecord) -> SuiteComparison:
    """Compares a suite sample by sample."""
    first, second = SuiteSummary(before), SuiteSummary(after)
    known = set(first.samples())
    shared = [name for name in second.samples() if name in known]
    flips = [
        Flip(sample=name, before=first.state(name), after=second.state(name))
        for name in shared
        if "unscored" not in {first.state(name), second.state(name)}
        and first.state(name) != second.state(name)
    ]
    named = [each.name for each in first.metrics]
    metrics = [_compare(each.name, first, second) for each in second.metrics if each.name in named]
    judged = [{n for n in s.samples() if s.state(n) != "unscored"} for s in (first, second)]
    return SuiteComparison(
        before=before,
        after=after,
        flips=tuple(sorted(flips, key=lambda flip: flip.direction == "better")),
        metrics=tuple(each for each in metrics if each is not None),
        missing=tuple(sorted(judged[0] ^ judged[1])),
    )


def _conditions(record: SuiteRecord) -> dict[str, str]:
    """Without the questions, which are compared apart."""
    held = record.conditions
    told = {
        GRADER: held.grader,
        "model": held.model,
        "target": held.target,
        "settings": held.settings_digest,
        "revision": held.git_revision and held.git_revision[:12],
        "seed": held.seed,
        "epochs": held.epochs,
        "samples put": held.selection or "all",
        "versions": ", ".join(f"{name} {each}" for name, each in sorted(held.versions.items())),
    }
    return {what: "none" if value is None else str(value) for what, value in told.items()}


def _compare(name: str, first: SuiteSummary, second: SuiteSummary) -> MetricComparison | None:
    before, after = first.sample_means(name), second.sample_means(name)
    test = compare_pairs(before, after, seed=second.record.conditions.seed)
    if test is None:
        return None
    shared = before.keys() & after.keys()
    return MetricComparison(
        name=name,
        before=sum(before[each] for each in shared) / len(shared),
        after=sum(after[each] for each in shared) / len(shared),
        test=test,
    )
