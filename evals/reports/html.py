"""One file that holds a whole run: figures, plots and every transcript, without any script."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from json import dumps

from evals.records.gate import Check
from evals.records.record import AttemptRecord, SuiteRecord
from evals.records.summary import MetricSummary, SuiteSummary
from evals.reports import wording
from evals.reports.plots import histogram, range_bar
from evals.target.answer import Answer, CalledTool, FoundSource

STYLE = (files("evals.reports") / "report.css").read_text("utf-8")


def html_report(checked: Sequence[tuple[SuiteRecord, Sequence[Check]]], *, title: str) -> str:
    """The whole page."""
    body = "\n".join(line for record, checks in checked for line in _suite(record, checks))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f'</title><meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def _suite(record: SuiteRecord, checks: Sequence[Check]) -> Iterator[str]:
    summary = SuiteSummary(record)
    yield f"<section><h2>{escape(record.title)}</h2><p>{escape(record.description)}</p>"
    if record.failure:
        yield f'<p class="failed"><b>The suite came to nothing:</b> {escape(record.failure)}</p>'
    yield f'<p class="tally">{_states(summary)}</p>'
    for check in checks:
        kept = "passed" if check.holds else "failed"
        yield f'<p class="check {kept}">{escape(wording.check_line(check))}</p>'
    yield "<table><tr><th>metric<th>mean ± error<th>95 %<th><th>scored</tr>"
    yield from (_metric(metric, summary) for metric in summary.metrics)
    yield "</table>"
    if summary.tags:
        yield from _tags(summary)
    yield "<h3>Samples</h3>"
    for name in sorted(summary.samples(), key=lambda each: _ORDER.index(summary.state(each))):
        yield from _sample(summary, name)
    yield f"{_conditions(record)}</section>"


_ORDER = ["failed", "flaky", "unscored", "passed"]


def _states(summary: SuiteSummary) -> str:
    """A square for each sample, so that a glance tells how it went."""
    squares = "".join(
        f'<a href="#{escape(_anchor(summary, name))}" class="square {summary.state(name)}" '
        f'title="{escape(name)}: {summary.state(name)}"></a>'
        for name in summary.samples()
    )
    return f"{squares} <span>{escape(wording.tally(summary))}</span>"


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
    yield "<h3>By tag</h3><table><tr><th>tag<th>passed<th>95 %<th></tr>"
    for tag in summary.tags:
        figure = summary.figure("passed", tag=tag)
        yield (
            f"<tr><td>{escape(tag)}<td>{wording.with_error(figure)}<td>{wording.interval(figure)}"
            f"<td>{range_bar(figure)}</tr>"
        )
    yield "</table>"


def _sample(summary: SuiteSummary, name: str) -> Iterator[str]:
    attempts, state = summary.attempts(name), summary.state(name)
    is_open = " open" if state in {"failed", "flaky"} else ""
    yield f'<details id="{escape(_anchor(summary, name))}" class="sample"{is_open}>'
    tags = "".join(f'<span class="tag">{escape(tag)}</span>' for tag in attempts[0].tags)
    yield f'<summary><span class="state {state}">{state}</span> {escape(name)} {tags}</summary>'
    for attempt in attempts:
        if len(attempts) > 1:
            yield f"<h4>Epoch {attempt.epoch}</h4>"
        yield from _attempt(attempt)
    yield "</details>"


def _attempt(attempt: AttemptRecord) -> Iterator[str]:
    for text in attempt.input:
        yield f'<div class="message user">{escape(text)}</div>'
    if attempt.answer is not None:
        yield from _answer(attempt.answer)
    for fault in wording.faults(attempt):
        yield f'<p class="fault">{escape(fault)}</p>'
    if attempt.target or attempt.expect:
        expected = dumps(dict(attempt.expect), ensure_ascii=False) if attempt.expect else ""
        yield f'<p class="expected">expected {escape("; ".join((*attempt.target, expected)))}</p>'
    yield f'<p class="figures">{escape(_figures(attempt))}</p>'


def _answer(answer: Answer) -> Iterator[str]:
    if answer.reasoning:
        yield "<details><summary>reasoning</summary>"
        yield f"<pre>{escape(answer.reasoning)}</pre></details>"
    yield from (_call(call) for call in answer.calls)
    said = escape(answer.content) or "<i>nothing</i>"
    yield f'<div class="message agent">{said}</div>'
    if answer.sources:
        yield f'<ol class="sources">{"".join(map(_source, answer.sources))}</ol>'
    if answer.unknown_citations:
        unknown = escape(", ".join(answer.unknown_citations))
        yield f'<p class="fault">cites what there is not: {unknown}</p>'


def _call(call: CalledTool) -> str:
    seconds = "" if call.seconds is None else f" · {call.seconds:.2f} s"
    arguments = dumps(call.arguments, ensure_ascii=False)
    return (
        f'<div class="call {call.status}"><code>{escape(call.name)}({escape(arguments)})</code>'
        f"<span>{call.status}{seconds}</span><pre>{escape(call.result)}</pre></div>"
    )


def _source(source: FoundSource) -> str:
    page = f", page {source.page}" if source.page else ""
    mark = f"<b>[{escape(source.label or '')}]</b> cited " if source.cited else ""
    snippet = f"<small>{escape(source.snippet)}</small>" if source.snippet else ""
    return f"<li>{mark}{escape(source.filename)}{page} {snippet}</li>"


def _figures(attempt: AttemptRecord) -> str:
    told = [
        f"{name} {wording.number(score.value, is_measure=name in attempt.measures)}"
        for name, score in attempt.scores.items()
    ]
    runs = attempt.answer.run_ids if attempt.answer else ()
    return " · ".join([*told, *(f"run {run}" for run in runs)])


def _conditions(record: SuiteRecord) -> str:
    held = record.conditions
    shown: Iterable[tuple[str, object]] = {
        "model": held.model,
        "target": held.target,
        "seed": held.seed,
        "epochs": held.epochs,
        "settings": held.settings_digest or "unknown",
        "samples": f"{held.samples_digest} {held.selection}".strip(),
        "revision": f"{held.git_revision or 'unknown'}{' with changes' if held.git_dirty else ''}",
        "started": record.started,
        "finished": record.finished,
        "log": record.log,
        **held.versions,
    }.items()
    rows = "".join(f"<dt>{escape(name)}<dd>{escape(str(value))}" for name, value in shown)
    return f'<dl class="conditions">{rows}</dl>'


def _anchor(summary: SuiteSummary, name: str) -> str:
    return f"{summary.record.suite}/{summary.record.conditions.model}/{name}"
