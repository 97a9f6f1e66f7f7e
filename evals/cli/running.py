"""`youworker eval run`."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import typer
from inspect_ai.util._display import init_display_type  # the one way to set it for eval_async

from evals.cli.ending import EXIT_BELOW, EXIT_INFRASTRUCTURE, EXIT_PASSED
from evals.cli.reading import Checked, check_all, write_reports
from evals.errors import UsageMistake
from evals.records.comparison import compare_runs
from evals.records.gate import Bound
from evals.records.record import RunRecord, SuiteRecord, load_run
from evals.records.summary import SuiteSummary
from evals.reports import markdown, wording
from evals.running.run import RunOptions, SuiteRunner
from evals.suite.loading import Suite, find_suite
from evals.target.opening import Target, open_target
from server.settings import Settings, load_settings


def _as_it_is(_: Settings) -> None:
    """Leaves the process as it is."""


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What was asked for."""

    suites: tuple[str, ...]
    models: tuple[str | None, ...] = (None,)
    epochs: int | None = None
    concurrency: int = 1
    limit: int | None = None
    tags: tuple[str, ...] = ()
    seed: int = 0
    fail_under: tuple[str, ...] = ()
    baseline: Path | None = None
    out: Path | None = None
    url: str | None = None
    key: str | None = field(default=None, repr=False)


def run_suites(request: RunRequest, *, begin: Callable[[Settings], None] = _as_it_is) -> int:
    """Runs them, writes the reports, says what came of it; returns the exit code.

    Args:
        request: What was asked for.
        begin: Called when nothing stands in the way any more, before anything is started.

    Raises:
        UsageMistake: Something that was asked for is not there.
        TargetFailed: The product does not start, or is away.
    """
    suites = [find_suite(name) for name in request.suites]
    bounds = [Bound.parse(text) for text in request.fail_under]
    before = load_run(request.baseline) if request.baseline else None
    settings = Settings() if request.url and request.key else load_settings()
    folder = request.out or settings.data_dir / "evals" / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    _make_folder(folder)
    init_display_type("none")
    begin(settings)
    records = asyncio.run(_run(request, suites, settings, folder))
    record = RunRecord(run=folder.name, suites=tuple(records))
    checked = check_all(record, bounds)
    write_reports(folder, record, checked)
    typer.echo(f"report: {folder / 'report.html'}")
    worse = False
    if before is not None:
        compared = compare_runs(before, record)
        typer.echo(markdown.comparison_report(compared))
        worse = any(each.is_worse for each in compared)
    return exit_code(checked, worse=worse)


def exit_code(checked: Checked, *, worse: bool = False) -> int:
    """Errors of the surroundings come first: with them, no figure is whole."""
    if any(record.failure or SuiteSummary(record).errors for record, _ in checked):
        return EXIT_INFRASTRUCTURE
    below = any(not check.holds for _, checks in checked for check in checks)
    return EXIT_BELOW if below or worse else EXIT_PASSED


async def _run(
    request: RunRequest, suites: Sequence[Suite], settings: Settings, folder: Path
) -> list[SuiteRecord]:
    target = Target(url=request.url, key=request.key, concurrency=request.concurrency)
    options = RunOptions(
        models=request.models,
        epochs=request.epochs,
        limit=request.limit,
        tags=request.tags,
        seed=request.seed,
        folder=folder,
    )
    typer.echo(f"evaluating {target.name}", err=True)
    records = []
    async with open_target(target, settings) as product:
        async for record in SuiteRunner(product, target, settings, options).run(suites):
            typer.echo(f"{record.title}: {wording.tally(SuiteSummary(record))}")
            records.append(record)
    return records


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError as exc:
        raise UsageMistake(f"{str(folder)!r} is there already; choose another --out.") from exc
    except OSError as exc:
        raise UsageMistake(f"{str(folder)!r} cannot be made: {exc.strerror}.") from exc
