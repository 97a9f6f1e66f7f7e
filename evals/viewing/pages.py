"""The pages of the viewer beside the reports themselves: an index, and two runs compared."""

from collections.abc import Iterator, Sequence
from html import escape
from urllib.parse import quote

from evals.records.comparison import MetricComparison, SuiteComparison
from evals.records.run_comparison import RunComparison
from evals.reports import wording
from evals.reports.comparing import metric_cells, not_compared_line, remarks
from evals.reports.page import page
from evals.reports.plots import range_bar
from evals.viewing.shelf import ShelvedRun, ShelvedSuite


def index_page(runs: Sequence[ShelvedRun]) -> str:
    """All runs, with a choice of two to compare."""
    return page("Evals", "\n".join(_index(runs)))


def comparison_page(before: str, after: str, compared: RunComparison) -> str:
    """Two runs, the samples that flipped first."""
    lines = [f"<header><h1>{escape(before)} → {escape(after)}</h1>"]
    lines.append('<a class="headline" href="/">all runs</a></header>')
    if not compared.suites:
        lines.append("<p>These runs have no suite in common.</p>")
    for each in compared.suites:
        lines += _comparison(each)
    if compared.not_compared:
        lines.append(f"<p>{escape(not_compared_line(compared.not_compared))}</p>")
    return page(f"{before} → {after}", "\n".join(lines))


def _index(runs: Sequence[ShelvedRun]) -> Iterator[str]:
    yield "<header><h1>Evals</h1></header>"
    if not runs:
        yield "<section>There is no run yet: <code>youworker eval run smoke</code>.</section>"
        return
    yield '<form action="/compare"><section><div class="wide"><table class="index">'
    yield "<thead><tr><th>before<th>after<th>run<th>suite<th>samples<th>passed<th></tr></thead>"
    for place, run in enumerate(runs):
        yield from _run(run, place)
    yield '</table></div><p><button type="submit">Compare</button> '
    yield "the run marked “before” with the one marked “after”.</p></section></form>"


def _run(run: ShelvedRun, place: int) -> Iterator[str]:
    name = escape(run.name)
    if not run.suites:
        told = escape(run.fault) or "it has no suite"
        yield f'<tr><td><td><td>{name}<td colspan="4" class="fault">{told}</tr>'
    for number, suite in enumerate(run.suites):
        head = _head(run.name, place) if number == 0 else "<td><td><td>"
        yield f"<tr>{head}{_suite(suite)}</tr>"


def _head(run: str, place: int) -> str:
    """The choice, of which the two newest stand first, and the link."""
    name = escape(run)
    choices = "".join(
        f'<td><input type="radio" name="{side}" value="{name}" aria-label="{side}: {name}"'
        f"{' checked' if place == wanted else ''}>"
        for side, wanted in (("before", 1), ("after", 0))
    )
    return f'{choices}<td><a href="/runs/{quote(run, safe="")}/">{name}</a>'


def _suite(suite: ShelvedSuite) -> str:
    verdict = suite.verdict
    return (
        f'<td>{escape(suite.title)} <span class="badge {verdict.state}">{verdict.text}</span>'
        f"<td>{escape(suite.tally)}<td>{wording.with_error(suite.passed)}"
        f"<td>{range_bar(suite.passed)}"
    )


def _comparison(compared: SuiteComparison) -> Iterator[str]:
    yield f"<section><h2>{escape(compared.before.title)} → {escape(compared.after.title)}</h2>"
    for remark in remarks(compared):
        text = escape(remark.text)
        yield f"<p><b>{text}</b></p>" if remark.is_grave else f"<p>{text}</p>"
    if compared.flips:
        yield "<ul>"
    for flip in compared.flips:
        state = "failed" if flip.direction == "worse" else "passed"
        yield (
            f'<li><span class="badge {state}">{flip.direction}</span> {escape(flip.sample)}: '
            f"{flip.before} → {flip.after}</li>"
        )
    yield "</ul>" if compared.flips else "<p>No sample has flipped.</p>"
    yield '<div class="wide"><table><tr><th>metric<th>before<th>after<th>difference<th>p<th></tr>'
    yield from (_metric(each) for each in compared.metrics)
    yield "</table></div>"
    if compared.missing:
        yield f"<p>Judged in one run only: {escape(', '.join(compared.missing))}.</p>"
    yield "</section>"


def _metric(metric: MetricComparison) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}' for cell in metric_cells(metric))}</tr>"
