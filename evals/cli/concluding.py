"""What every command does with a record that it has made: checks, reports, and an exit code."""

from collections.abc import Sequence
from pathlib import Path

import typer

from evals.cli.ending import EXIT_BELOW, EXIT_INFRASTRUCTURE, EXIT_PASSED
from evals.cli.reading import Checked, check_all, write_reports
from evals.errors import UsageMistake
from evals.records.comparison import compare_runs
from evals.records.gate import Bound
from evals.records.record import RunRecord, SuiteRecord
from evals.records.summary import SuiteSummary
from evals.reports import markdown

RUNS = "evals"
"""Below DATA_DIR: the folders of runs."""


def conclude(
    record: RunRecord, folder: Path, *, bounds: Sequence[Bound], baseline: RunRecord | None
) -> int:
    """Holds a record to its bounds, writes the reports and says where; returns the exit code.

    Raises:
        UsageMistake: No suite has the metric of a bound.
    """
    checked = check_all(record, bounds)
    write_reports(folder, record, checked)
    typer.echo(f"report: {folder / 'report.html'}")
    worse = False
    if baseline is not None:
        compared = compare_runs(baseline, record)
        typer.echo(markdown.comparison_report(compared))
        worse = any(each.is_worse for each in compared)
    return exit_code(checked, worse=worse)


def exit_code(checked: Checked, *, worse: bool = False) -> int:
    """Errors of the surroundings come first: with them, no figure is whole."""
    if any(_is_broken(record) for record, _ in checked):
        return EXIT_INFRASTRUCTURE
    below = any(not check.holds for _, checks in checked for check in checks)
    return EXIT_BELOW if below or worse else EXIT_PASSED


def _is_broken(record: SuiteRecord) -> bool:
    """Whether the product, its surroundings or a grader failed somewhere."""
    ungraded = any(each.failure for each in record.agreements.values())
    return bool(record.failure or SuiteSummary(record).errors or ungraded)


def make_folder(folder: Path) -> None:
    """Makes the folder of a run.

    Raises:
        UsageMistake: It is there already, or cannot be made.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError as exc:
        raise UsageMistake(f"{str(folder)!r} is there already; choose another --out.") from exc
    except OSError as exc:
        raise UsageMistake(f"{str(folder)!r} cannot be made: {exc.strerror}.") from exc
