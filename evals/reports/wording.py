"""Figures as people read them."""

from collections.abc import Sequence

from evals.numbers.estimates import Estimate
from evals.records.gate import Check
from evals.records.record import AttemptRecord, SuiteRecord
from evals.records.summary import MetricSummary, SuiteSummary
from evals.target.media import MediaFile


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
    if missing := summary.record.missing:
        told.append(f"{missing} not put yet")
    return ", ".join(told) or "nothing"


def headline(checked: Sequence[tuple[SuiteRecord, Sequence[Check]]]) -> str:
    """The whole run in one sentence."""
    summaries = [SuiteSummary(record) for record, _ in checked]
    answers = sum(len(each.record.attempts) - len(each.errors) for each in summaries)
    told = [f"{answers} {'answer' if answers == 1 else 'answers'}"]
    checks = [check for _, checks in checked for check in checks]
    if checks:
        kept = sum(check.holds for check in checks)
        told.append(f"{kept} of {len(checks)} thresholds kept")
    if errors := sum(len(each.errors) for each in summaries):
        kind = "error" if errors == 1 else "errors"
        told.append(f"{errors} {kind} of the product or its surroundings, counted apart")
    return "; ".join(told) + "."


def check_line(check: Check) -> str:
    """A threshold and whether it is kept."""
    mark = "kept" if check.holds else "NOT KEPT"
    return f"{check.bound.name} {check.bound.text}: {number(check.value)}, {mark}"


def media_line(file: MediaFile) -> str:
    """A recording or an image, and how large it is."""
    kind = {"audio": "recording", "image": "image"}[file.kind]
    return f"{kind} {file.name}, {file.bytes / 1024:,.1f} KiB"


def faults(attempt: AttemptRecord) -> list[str]:
    """Why an attempt did not pass, and what ended the tries before it."""
    told = [f"try {each.number} ended in an error: {each.error}" for each in attempt.earlier]
    told += [
        f"{name} 0 in a try that an error ended: {score.explanation}"
        for name, score in attempt.broken_by.items()
    ]
    if attempt.error:
        return [*told, f"error: {attempt.error}"]
    told += [f"limit met: {attempt.limit}"] if attempt.limit else []
    return told + [
        f"{name} {number(score.value)}: {score.explanation}".rstrip(": ")
        for name, score in attempt.scores.items()
        if name not in attempt.measures and score.value is not None and score.value < 1
    ]


def _error(stderr: float, is_measure: bool) -> str:
    return number(stderr, is_measure=is_measure)
