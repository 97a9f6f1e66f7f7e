"""A run, and two of them compared, in Markdown."""

from collections.abc import Iterator, Sequence

from evals.records.comparison import GRADER, MetricComparison, SuiteComparison
from evals.records.gate import Check
from evals.records.record import Conditions, SuiteRecord
from evals.records.summary import SuiteSummary
from evals.reports import wording
from evals.reports.agreement import markdown_agreements

FAULTS_SHOWN = 20


def run_report(checked: Sequence[tuple[SuiteRecord, Sequence[Check]]]) -> str:
    """A run with what its thresholds say."""
    return "\n".join(line for record, checks in checked for line in _suite(record, checks)) + "\n"


def comparison_report(compared: Sequence[SuiteComparison]) -> str:
    """Two runs, the samples that flipped first."""
    return "\n".join(line for each in compared for line in _comparison(each)) + "\n"


def _suite(record: SuiteRecord, checks: Sequence[Check]) -> Iterator[str]:
    summary = SuiteSummary(record)
    yield from (f"## {record.title}", "", f"{record.description}", "")
    if record.failure:
        yield from (f"**The suite came to nothing: {record.failure}**", "")
    yield from (f"{wording.tally(summary)}.", "")
    for note in record.notes:
        yield from (f"Note: {note}.", "")
    yield from ("| metric | mean | 95 % | scored |", "|---|---|---|---|")
    for metric in summary.metrics:
        mean = wording.with_error(metric.estimate, is_measure=metric.is_measure)
        interval = wording.interval(metric.estimate, is_measure=metric.is_measure)
        yield f"| {metric.name} | {mean} | {interval} | {wording.counts(metric)} |"
    yield ""
    yield from (f"- {wording.check_line(each)}" for each in checks)
    if checks:
        yield ""
    yield from markdown_agreements(record)
    yield from _faults(summary)
    yield from (_conditions(record), "")


def _faults(summary: SuiteSummary) -> Iterator[str]:
    wrong = [
        (attempt, fault)
        for attempt in summary.record.attempts
        if attempt.passed is not True or attempt.earlier
        for fault in wording.faults(attempt)
    ]
    for attempt, fault in wrong[:FAULTS_SHOWN]:
        epoch = f" (epoch {attempt.epoch})" if summary.record.conditions.epochs > 1 else ""
        yield f"- `{attempt.sample}`{epoch}: {_cell(fault)}"
    if len(wrong) > FAULTS_SHOWN:
        yield f"- and {len(wrong) - FAULTS_SHOWN} more, in the report"
    if wrong:
        yield ""


def _conditions(record: SuiteRecord) -> str:
    held = record.conditions
    revision = (held.git_revision or "unknown")[:12] + (" with changes" if held.git_dirty else "")
    return (
        f"Target {held.target}, revision {revision}, settings {held.settings_digest or 'unknown'}, "
        f"samples {held.samples_digest}{f' ({held.selection})' if held.selection else ''}, "
        f"seed {held.seed}, epochs {held.epochs}{_grader(held)}."
    )


def _grader(held: Conditions) -> str:
    if held.grader is None:
        return ""
    return f", graded by {held.grader}{', which is itself' if held.grades_itself else ''}"


def _comparison(compared: SuiteComparison) -> Iterator[str]:
    yield from (f"## {compared.before.title} → {compared.after.title}", "")
    if not compared.asks_the_same:
        yield from (
            "The suite has changed in between; only samples of the same id are compared.",
            "",
        )
    yield from _changes(compared)
    for flip in compared.flips:
        yield f"- **{flip.direction}**: `{flip.sample}` {flip.before} → {flip.after}"
    if not compared.flips:
        yield "No sample has flipped."
    yield ""
    yield from ("| metric | before | after | difference | p | |", "|---|---|---|---|---|---|")
    yield from (_metric_line(each) for each in compared.metrics)
    yield ""
    if compared.missing:
        yield from (f"Judged in one run only: {', '.join(compared.missing)}.", "")


def _changes(compared: SuiteComparison) -> Iterator[str]:
    """Under what else than before; another grader makes other figures of the same answers."""
    changes = compared.changes
    if any(each.what == GRADER for each in changes):
        yield "**Another grader has judged: what it was asked about cannot be compared.**"
        yield ""
    if changes:
        told = "; ".join(f"{each.what} {each.before} → {each.after}" for each in changes)
        yield from (f"Not the same: {told}.", "")


def _metric_line(metric: MetricComparison) -> str:
    before, after, difference = (
        wording.number(each, is_measure=metric.is_measure)
        for each in (metric.before, metric.after, metric.test.difference)
    )
    word = "worse" if metric.is_worse else "significant" if metric.test.is_significant else ""
    error = metric.test.stderr
    told = "" if error is None else f" ± {wording.number(error, is_measure=metric.is_measure)}"
    return (
        f"| {metric.name} | {before} | {after} | {difference}{told} | {metric.test.p_value:.3f} "
        f"| {word} |"
    )


def _cell(text: str) -> str:
    return " ".join(text.split())[:300]
