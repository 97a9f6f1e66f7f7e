"""One file that holds a whole run: figures, plots and every transcript, without any script."""

from collections.abc import Iterator, Sequence
from html import escape

from evals.numbers.selectors import PASSED
from evals.records.baseline import BaselineRecord
from evals.records.gate import Check, Checked
from evals.records.record import SuiteRecord
from evals.records.summary import MetricSummary, SuiteSummary
from evals.reports import wording
from evals.reports.agreement import html_agreements
from evals.reports.comparing import baseline_lines
from evals.reports.conditions import conditions_list
from evals.reports.page import page
from evals.reports.plots import histogram, range_bar
from evals.reports.samples import anchor, sample_list
from evals.reports.verdicts import Verdict, verdict_of, worst


def html_report(checked: Checked, *, title: str, baseline: BaselineRecord | None = None) -> str:
    """The whole page."""
    verdicts = [verdict_of(record, checks, baseline) for record, checks in checked]
    lines = list(_header(checked, verdicts, title))
    if baseline is not None:
        lines += _baseline(baseline)
    for number, (verdict, (record, checks)) in enumerate(zip(verdicts, checked, strict=True)):
        lines += _suite(record, checks, verdict, number)
    return page(title, "\n".join(lines))


def _header(checked: Checked, verdicts: Sequence[Verdict], title: str) -> Iterator[str]:
    yield f"<header>{_badge(worst(verdicts))}<h1>{escape(title)}</h1>"
    yield f'<span class="headline">{escape(wording.headline(checked))}</span></header>'
    if len(checked) > 1:
        yield '<section><h2>Suites</h2><div class="wide"><table class="overview">'
        yield "<thead><tr><th>suite<th>samples<th>passed<th></tr></thead>"
        for number, (verdict, (record, _)) in enumerate(zip(verdicts, checked, strict=True)):
            yield _overview(record, verdict, number)
        yield "</table></div></section>"


def _baseline(baseline: BaselineRecord) -> Iterator[str]:
    """Whether the run is worse than an earlier one."""
    yield f"<section><h2>Against {escape(baseline.run)}</h2>"
    state = "failed" if baseline.is_worse else "passed"
    told = "".join(f'<li class="{state}">{escape(each)}' for each in baseline_lines(baseline))
    yield f'<ul class="checks">{told}</ul></section>'


def _overview(record: SuiteRecord, verdict: Verdict, number: int) -> str:
    summary = SuiteSummary(record)
    figure = summary.figure(PASSED)
    return (
        f'<tr><td><a href="#suite-{number}">{escape(record.title)}</a> {_badge(verdict)}'
        f"<td>{escape(wording.tally(summary))}<td>{wording.with_error(figure)}"
        f"<td>{range_bar(figure)}</tr>"
    )


def _badge(verdict: Verdict) -> str:
    return f'<span class="badge {verdict.state}">{escape(verdict.text)}</span>'


def _suite(
    record: SuiteRecord, checks: Sequence[Check], verdict: Verdict, number: int
) -> Iterator[str]:
    summary = SuiteSummary(record)
    yield f'<section id="suite-{number}"><div class="title">{_badge(verdict)}'
    yield f"<h2>{escape(record.title)}</h2></div><p>{escape(record.description)}</p>"
    if record.failure:
        yield f'<p class="fault"><b>The suite came to nothing:</b> {escape(record.failure)}</p>'
    yield from _tiles(summary)
    yield f'<p class="squares">{_squares(summary, number)}</p>'
    if record.scored_from:
        yield f'<p class="note">Answers of {escape(record.scored_from)}, judged again.</p>'
    yield from (f'<p class="note">{escape(note)}.</p>' for note in record.notes)
    if checks:
        yield f'<ul class="checks">{"".join(map(_check, checks))}</ul>'
    yield '<div class="wide"><table class="metrics">'
    yield "<thead><tr><th>metric<th>mean ± error<th>95 %<th><th>scored</tr></thead>"
    yield from (_metric(metric, summary) for metric in summary.metrics)
    yield "</table></div>"
    if summary.tags:
        yield from _tags(summary)
    yield from html_agreements(record)
    yield from sample_list(summary, number)
    yield f"{conditions_list(record)}</section>"


def _tiles(summary: SuiteSummary) -> Iterator[str]:
    """What became of the samples, in large figures."""
    states = [summary.state(name) for name in summary.samples()]
    told = [(state, states.count(state)) for state in ("passed", "flaky", "failed")]
    told += [("errors", len(summary.errors)), ("not put yet", summary.record.missing)]
    told += [("retried", sum(bool(each.earlier) for each in summary.record.attempts))]
    tiles = "".join(
        f'<li class="{name.split()[0]}"><b>{count}</b> {name}'
        for name, count in told
        if count or name == "passed"
    )
    yield f'<ul class="tiles">{tiles}</ul>'


def _squares(summary: SuiteSummary, number: int) -> str:
    """A square for each sample, so that a glance tells how it went."""
    return "".join(
        f'<a href="#{escape(anchor(number, place))}" class="square {summary.state(name)}" '
        f'title="{escape(name)}: {summary.state(name)}"></a>'
        for place, name in enumerate(summary.samples())
    )


def _check(check: Check) -> str:
    state = "passed" if check.holds else "failed"
    return f'<li class="{state}">{escape(wording.check_line(check))}</li>'


def _metric(metric: MetricSummary, summary: SuiteSummary) -> str:
    if metric.is_measure:
        values = [
            value.value
            for each in summary.record.attempts
            if (value := each.scores.get(metric.name)) and value.value is not None
        ]
        plot = histogram(values)
    else:
        plot = range_bar(metric.estimate)
    cells = (
        metric.name,
        wording.with_error(metric.estimate, is_measure=metric.is_measure),
        wording.interval(metric.estimate, is_measure=metric.is_measure),
    )
    told = "".join(f"<td>{escape(cell)}" for cell in cells)
    return f"<tr>{told}<td>{plot}<td>{escape(wording.counts(metric))}</tr>"


def _tags(summary: SuiteSummary) -> Iterator[str]:
    yield '<h3>By tag</h3><div class="wide"><table class="metrics">'
    yield "<thead><tr><th>tag<th>passed<th>95 %<th><th>scored</tr></thead>"
    for tag in summary.tags:
        figure = summary.figure(PASSED, tag=tag)
        count = figure.samples if figure else 0
        yield (
            f"<tr><td>{escape(tag)}<td>{wording.with_error(figure)}<td>{wording.interval(figure)}"
            f"<td>{range_bar(figure)}<td>{count} {'sample' if count == 1 else 'samples'}</tr>"
        )
    yield "</table></div>"
