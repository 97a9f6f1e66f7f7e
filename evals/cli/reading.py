"""`youworker eval compare` and `report`: what is done with runs that there are."""

from collections.abc import Sequence
from pathlib import Path

import typer

from evals.cli.ending import EXIT_BELOW, EXIT_PASSED
from evals.errors import UsageMistake
from evals.numbers.selectors import PASSED, Selector
from evals.records.comparison import compare_runs
from evals.records.gate import Bound, Check, check_suite
from evals.records.record import FILE, RunRecord, SuiteRecord, dump_run, load_run
from evals.records.summary import SuiteSummary
from evals.reports.html import html_report
from evals.reports.junit import junit_report
from evals.reports.markdown import comparison_report, run_report

UNFINISHED = "This run is unfinished: 'youworker eval retry' with its folder goes on."

Checked = Sequence[tuple[SuiteRecord, Sequence[Check]]]


def compare_folders(before: Path, after: Path) -> int:
    """Prints the comparison; returns the exit code.

    Raises:
        UsageMistake: One is no run, or they share no suite.
    """
    compared = compare_runs(load_run(before), load_run(after))
    if not compared:
        raise UsageMistake("these runs have no suite in common.")
    typer.echo(comparison_report(compared))
    return EXIT_BELOW if any(each.is_worse for each in compared) else EXIT_PASSED


def report_folder(folder: Path) -> None:
    """Writes the reports of a run.

    Raises:
        UsageMistake: It is none.
    """
    record = load_run(folder)
    checked = check_all(record, ())
    write_reports(folder, record, checked)
    typer.echo(run_report(checked))


def check_all(record: RunRecord, bounds: Sequence[Bound]) -> Checked:
    """Holds each suite to its thresholds, and to those of the bounds whose metric it has.

    Raises:
        UsageMistake: No suite has the metric of a bound.
    """
    summaries = [SuiteSummary(each) for each in record.suites]
    known = [{PASSED, *(metric.name for metric in each.metrics)} for each in summaries]
    for bound in bounds:
        if not any(Selector.parse(bound.name).metric in names for names in known):
            raise UsageMistake(f"--fail-under: no suite that was run has a metric {bound.name!r}.")
    return [
        (
            summary.record,
            check_suite(summary, [b for b in bounds if Selector.parse(b.name).metric in names]),
        )
        for summary, names in zip(summaries, known, strict=True)
    ]


def write_reports(folder: Path, record: RunRecord, checked: Checked) -> None:
    """JSON, JUnit XML, Markdown and HTML."""
    (folder / FILE).write_bytes(dump_run(record))
    (folder / "junit.xml").write_bytes(junit_report(checked))
    unfinished = f"**{UNFINISHED}**\n\n" if record.unfinished else ""
    (folder / "summary.md").write_text(unfinished + run_report(checked), "utf-8")
    title = f"Evals of {record.run}{' (unfinished)' if record.unfinished else ''}"
    (folder / "report.html").write_text(html_report(checked, title=title), "utf-8")
