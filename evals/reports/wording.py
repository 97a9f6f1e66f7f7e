"""Figures as people read them."""

from evals.numbers.estimates import Estimate
from evals.records.gate import Check
from evals.records.record import AttemptRecord
from evals.records.summary import MetricSummary, SuiteSummary


def number(value: float | None, *, is_measure: bool = False) -> str:
    """A share with three digits, a measure with as many as matter."""
    if value is None:
        return "–"
    if not is_measure:
        return f"{value:.3f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def with_error(figure: Estimate | None, *, is_measure: bool = False) -> str:
    """A mean and its standard error."""
    if figure is None:
        return "–"
    mean = number(figure.mean, is_measure=is_measure)
    return mean if figure.stderr is None else f"{mean} ± {_error(figure.stderr, is_measure)}"


def interval(figure: Estimate | None, *, is_measure: bool = False) -> str:
    """Where the true value probably is."""
    if figure is None or figure.interval is None:
        return "–"
    low, high = figure.interval.low, figure.interval.high
    return f"{number(low, is_measure=is_measure)} to {number(high, is_measure=is_measure)}"


def counts(metric: MetricSummary) -> str:
    """How many samples were scored, and how many answers could not be."""
    count = metric.estimate.samples if metric.estimate else 0
    scored = f"{count} {'sample' if count == 1 else 'samples'}" if count else "none"
    return f"{scored}, {metric.unscored} unscored" if metric.unscored else scored


def tally(summary: SuiteSummary) -> str:
    """What became of the samples."""
    states = [summary.state(name) for name in summary.samples()]
    told = [
        f"{states.count(state)} {state}"
        for state in ("passed", "flaky", "failed")
        if states.count(state)
    ]
    if errors := len(summary.errors):
        told.append(f"{errors} {'error' if errors == 1 else 'errors'}")
    return ", ".join(told) or "nothing"


def check_line(check: Check) -> str:
    """A threshold and whether it is kept."""
    mark = "kept" if check.holds else "NOT KEPT"
    return f"{check.bound.name} {check.bound.text}: {number(check.value)}, {mark}"


def faults(attempt: AttemptRecord) -> list[str]:
    """Why an attempt did not pass."""
    if attempt.error:
        return [f"error: {attempt.error}"]
    told = [f"limit met: {attempt.limit}"] if attempt.limit else []
    return told + [
        f"{name} {number(score.value)}: {score.explanation}".rstrip(": ")
        for name, score in attempt.scores.items()
        if name not in attempt.measures and score.value is not None and score.value < 1
    ]


def _error(stderr: float, is_measure: bool) -> str:
    return number(stderr, is_measure=is_measure)
