"""A run, and two of them compared, in Markdown."""

from collections.abc import Iterator, Sequence

from evals.records.baseline import BaselineRecord
from evals.records.comparison import SuiteComparison
from evals.records.gate import Check, Checked
from evals.records.record import Conditions, SuiteRecord
from evals.records.run_comparison import RunComparison
from evals.records.summary import SuiteSummary
from evals.reports import wording
from evals.reports.agreement import markdown_agreements
from evals.reports.comparing import baseline_lines, metric_cells, not_compared_line, remarks
from evals.reports.visible import visible

FAULTS_SHOWN = 20
MARKS = "\\<[!`|"


def run_report(checked: Checked, *, baseline: BaselineRecord | None = None) -> str:
    """A run with what its thresholds and its baseline say."""
    lines = [line for record, checks in checked for line in _suite(record, checks)]
    if baseline is not None:
        lines += ["## Against the baseline", "", *map(_item, baseline_lines(baseline)), ""]
    return "\n".join(lines) + "\n"


def comparison_report(compared: RunComparison) -> str:
    """Two runs, the samples that flipped first."""
    lines = [line for each in compared.suites for line in _comparison(each)]
    if compared.not_compared:
        lines += [not_compared_line(compared.not_compared), ""]
    return "\n".join(lines) + "\n"


def _item(text: str) -> str:
    return f"- {text}"


def _suite(record: SuiteRecord, checks: Sequence[Check]) -> Iterator[str]:
    summary = SuiteSummary(record)
    yield from (f"## {record.title}", "", f"{record.description}", "")
    if record.failure:
        yield from (f"**The suite came to nothing: {_cell(record.failure)}**", "")
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
    for remark in remarks(compared):
        yield from (f"**{remark.text}**" if remark.is_grave else remark.text, "")
    for flip in compared.flips:
        yield f"- **{flip.direction}**: `{flip.sample}` {flip.before} → {flip.after}"
    if not compared.flips:
        yield "No sample has flipped."
    yield ""
    yield from ("| metric | before | after | difference | p | |", "|---|---|---|---|---|---|")
    yield from (f"| {' | '.join(metric_cells(each))} |" for each in compared.metrics)
    yield ""
    if compared.missing:
        yield from (f"Judged in one run only: {', '.join(compared.missing)}.", "")


def _cell(text: str) -> str:
    """In one line, and nothing in it is a tag, a link, an image, code or another cell."""
    shown = visible(" ".join(text.split()))[:300]
    return "".join(f"\\{each}" if each in MARKS else each for each in shown)
