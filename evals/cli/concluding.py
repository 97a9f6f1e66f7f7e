"""What every command does with a record that it has made: checks, reports, and an exit code."""

from dataclasses import replace
from pathlib import Path

import typer

from evals.cli.ending import EXIT_BELOW, EXIT_INFRASTRUCTURE, EXIT_PASSED
from evals.cli.reading import write_reports
from evals.errors import UsageMistake
from evals.records.gate import Checked, unanswered
from evals.records.record import RunRecord
from evals.records.run_comparison import RunComparison, compare_runs
from evals.reports import markdown
from evals.reports.verdicts import is_broken

RUNS = "evals"
"""Below DATA_DIR: the folders of runs."""
FOLDER_MODE = 0o700


def conclude(record: RunRecord, folder: Path, *, baseline: RunRecord | None) -> int:
    """Holds a record to what was asked, writes the reports and says where; returns the exit code.

    Raises:
        UsageMistake: Nothing that was run has the metric of a bound, or a suite of the baseline's;
            the reports are there nevertheless.
    """
    compared = compare_runs(baseline, record) if baseline else None
    if compared is not None:
        record = replace(record, baseline=compared.as_baseline())
    checked = write_reports(folder, record)
    typer.echo(f"report: {folder / 'report.html'}")
    if compared is not None:
        typer.echo(markdown.comparison_report(compared))
    code = exit_code(checked, worse=compared is not None and compared.is_worse)
    if code != EXIT_INFRASTRUCTURE:  # with errors, figures are missing that were named rightly
        _require_answered(record, compared)
    return code


def _require_answered(record: RunRecord, compared: RunComparison | None) -> None:
    """Of tasks in Python it is known only now what they have."""
    if missing := unanswered(record):
        names = ", ".join(repr(each.name) for each in missing)
        raise UsageMistake(f"--fail-under: nothing that was run has a figure {names}.")
    if compared is not None and not compared.suites:
        raise UsageMistake(f"--baseline: {compared.before} has no suite in common with this run.")


def exit_code(checked: Checked, *, worse: bool = False) -> int:
    """Errors of the surroundings come first: with them, no figure is whole."""
    if any(is_broken(record) for record, _ in checked):
        return EXIT_INFRASTRUCTURE
    below = any(not check.holds for _, checks in checked for check in checks)
    return EXIT_BELOW if below or worse else EXIT_PASSED


def make_folder(folder: Path) -> None:
    """Makes the folder of a run, for its owner alone: it holds what was asked and answered.

    Raises:
        UsageMistake: It is there already, or cannot be made.
    """
    try:
        if not folder.parent.exists():
            folder.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        folder.mkdir(mode=FOLDER_MODE)
    except FileExistsError as exc:
        raise UsageMistake(f"{str(folder)!r} is there already; choose another --out.") from exc
    except OSError as exc:
        raise UsageMistake(f"{str(folder)!r} cannot be made: {exc.strerror}.") from exc
