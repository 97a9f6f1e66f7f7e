"""What a suite's attempts come to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evals.numbers.estimates import Estimate, estimate
from evals.numbers.passes import State, pass_all, pass_at, state_of
from evals.numbers.selectors import PASSED, Selector
from evals.records.record import AttemptRecord, SuiteRecord
from evals.scorers.catalogue import MEASURES


@dataclass(frozen=True, kw_only=True)
class MetricSummary:
    """One metric over all attempts."""

    name: str
    estimate: Estimate | None
    """None when nothing was scored."""
    is_measure: bool
    unscored: int
    """Attempts about which nothing could be said; they are not wrong."""


class SuiteSummary:
    """The figures of a suite, worked out from its record."""

    def __init__(self, record: SuiteRecord) -> None:
        self.record = record
        self._by_sample: dict[str, list[AttemptRecord]] = {}
        for attempt in record.attempts:
            self._by_sample.setdefault(attempt.sample, []).append(attempt)

    @property
    def errors(self) -> list[AttemptRecord]:
        """Attempts that came to nothing: of the product or its surroundings, no wrong answers."""
        return [each for each in self.record.attempts if each.error is not None]

    @property
    def tags(self) -> list[str]:
        """All tags of the samples."""
        return sorted({tag for each in self.record.attempts for tag in each.tags})

    @property
    def metrics(self) -> list[MetricSummary]:
        """Those that were scored, `passed` first and measures last."""
        names = dict.fromkeys(name for each in self.record.attempts for name in each.scores)
        ordered = [PASSED, *sorted(names, key=lambda name: name in MEASURES)]
        return [*(self._summary(name) for name in ordered), *self._agreements()]

    def samples(self) -> list[str]:
        """The ids, in their order."""
        return list(self._by_sample)

    def attempts(self, sample: str) -> Sequence[AttemptRecord]:
        """All epochs of a sample."""
        return self._by_sample[sample]

    def state(self, sample: str) -> State:
        """What became of a sample over its epochs."""
        return state_of(self._passes(sample))

    def value(self, selector: Selector) -> float | None:
        """One figure; None when nothing was scored for it."""
        if selector.passes is not None:
            return self.passes(selector)
        found = self.figure(selector.metric, tag=selector.tag, sample=selector.sample)
        return found.mean if found else None

    def figure(
        self, metric: str, *, tag: str | None = None, sample: str | None = None
    ) -> Estimate | None:
        """A metric over all samples, those with a tag, or one."""
        for scorer, agreement in self.record.agreements.items():
            if metric in (figures := agreement.figures(scorer)):
                return figures[metric] if tag is None and sample is None else None
        clusters = [
            [value for each in attempts if (value := value_of(each, metric)) is not None]
            for name, attempts in self._by_sample.items()
            if sample in {None, name} and (tag is None or tag in attempts[0].tags)
        ]
        return estimate(clusters, is_share=metric not in MEASURES, seed=self.record.conditions.seed)

    def passes(self, selector: Selector) -> float | None:
        """pass@k or pass^k: the mean over samples that were tried as often."""
        chance = pass_at if selector.passes == "@" else pass_all
        chances = [chance(self._passes(name), selector.k) for name in self._by_sample]
        return _mean(each for each in chances if each is not None)

    def sample_means(self, metric: str) -> dict[str, float]:
        """A metric of each sample over its epochs."""
        means = {
            name: _mean(v for each in attempts if (v := value_of(each, metric)) is not None)
            for name, attempts in self._by_sample.items()
        }
        return {name: value for name, value in means.items() if value is not None}

    def _passes(self, sample: str) -> list[bool]:
        return [each.passed for each in self._by_sample[sample] if each.passed is not None]

    def _agreements(self) -> list[MetricSummary]:
        """How far graders agree with people; of their labels, not of the samples."""
        return [
            MetricSummary(name=name, estimate=figure, is_measure=False, unscored=agreement.unscored)
            for scorer, agreement in self.record.agreements.items()
            for name, figure in agreement.figures(scorer).items()
        ]

    def _summary(self, name: str) -> MetricSummary:
        unscored = sum(
            name in each.scores and each.scores[name].value is None for each in self.record.attempts
        )
        return MetricSummary(
            name=name,
            estimate=self.figure(name),
            is_measure=name in MEASURES,
            unscored=unscored,
        )


def value_of(attempt: AttemptRecord, metric: str) -> float | None:
    """What a scorer gave; of `passed`, 1 or 0."""
    if metric == PASSED:
        return None if attempt.passed is None else float(attempt.passed)
    score = attempt.broken_by.get(metric) or attempt.scores.get(metric)
    return score.value if score else None


def _mean(values: Iterable[float]) -> float | None:
    kept = list(values)
    return sum(kept) / len(kept) if kept else None
