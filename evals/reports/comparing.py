"""What is said of two runs side by side, the same in Markdown and on pages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evals.records.baseline import BaselineRecord
from evals.records.comparison import GRADER, MetricComparison, SuiteComparison
from evals.reports import wording


@dataclass(frozen=True, kw_only=True)
class Remark:
    """What a reader has to know before the figures."""

    text: str
    is_grave: bool = False
    """Whether without it the figures mislead."""


def remarks(compared: SuiteComparison) -> Iterator[Remark]:
    """What is not the same; another grader makes other figures of the same answers."""
    if not compared.asks_the_same:
        yield Remark(
            text="The suite has changed in between; only samples of the same id are compared."
        )
    changes = compared.changes
    if any(each.what == GRADER for each in changes):
        yield Remark(
            text="Another grader has judged: what it was asked about cannot be compared.",
            is_grave=True,
        )
    if changes:
        told = "; ".join(f"{each.what} {each.before} → {each.after}" for each in changes)
        yield Remark(text=f"Not the same: {told}.")


def metric_cells(metric: MetricComparison) -> list[str]:
    """Name, before, after, difference with its error, p, and a word."""
    before, after, difference = (
        wording.number(each, is_measure=metric.is_measure)
        for each in (metric.before, metric.after, metric.test.difference)
    )
    error = metric.test.stderr
    told = "" if error is None else f" ± {wording.number(error, is_measure=metric.is_measure)}"
    word = "worse" if metric.is_worse else "significant" if metric.test.is_significant else ""
    return [metric.name, before, after, difference + told, f"{metric.test.p_value:.3f}", word]


def not_compared_line(names: Sequence[str]) -> str:
    """What only one of the runs has."""
    return f"Not compared, as only one of the runs has it: {', '.join(names)}."


def baseline_lines(baseline: BaselineRecord) -> list[str]:
    """Whether the run is worse than an earlier one, and in what."""
    told = [
        f"worse than {baseline.run}: {each.name} of {each.suite} "
        f"{wording.number(each.before)} → {wording.number(each.after)} (p = {each.p_value:.3f})"
        for each in baseline.fallen
    ]
    if not told:
        told = [f"not worse than {baseline.run}"]
    if baseline.not_compared:
        told.append(not_compared_line(baseline.not_compared))
    return told
