"""`youworker eval compare` and `report`: what is done with runs that there are."""

from pathlib import Path

import typer

from evals.cli.ending import EXIT_BELOW, EXIT_PASSED
from evals.errors import UsageMistake
from evals.records.gate import Checked, check_all
from evals.records.record import FILE, RunRecord, dump_run, load_run
from evals.records.run_comparison import compare_runs
from evals.reports.html import html_report
from evals.reports.junit import junit_report
from evals.reports.markdown import comparison_report, run_report

UNFINISHED = "This run is unfinished: 'youworker eval retry' with its folder goes on."


def compare_folders(before: Path, after: Path) -> int:
    """Prints the comparison; returns the exit code.

    Raises:
        UsageMistake: One is no run, or they share no suite.
    """
    compared = compare_runs(load_run(before), load_run(after))
    if not compared.suites:
        raise UsageMistake("these runs have no suite in common.")
    typer.echo(comparison_report(compared))
    return EXIT_BELOW if compared.is_worse else EXIT_PASSED


def report_folder(folder: Path) -> None:
    """Writes the reports of a run, held to what was asked for when it ran.

    Raises:
        UsageMistake: It is none.
    """
    record = load_run(folder)
    checked = write_reports(folder, record)
    typer.echo(run_report(checked, baseline=record.baseline))


def write_reports(folder: Path, record: RunRecord) -> Checked:
    """JSON, JUnit XML, Markdown and HTML; returns what the bounds of the run say."""
    checked, baseline = check_all(record), record.baseline
    (folder / FILE).write_bytes(dump_run(record))
    (folder / "junit.xml").write_bytes(junit_report(checked, baseline=baseline))
    unfinished = f"**{UNFINISHED}**\n\n" if record.unfinished else ""
    told = unfinished + run_report(checked, baseline=baseline)
    (folder / "summary.md").write_text(told, "utf-8")
    title = f"Evals of {record.run}{' (unfinished)' if record.unfinished else ''}"
    page = html_report(checked, title=title, baseline=baseline)
    (folder / "report.html").write_text(page, "utf-8")
    return checked
