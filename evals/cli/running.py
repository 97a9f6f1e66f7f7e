"""`youworker eval run` and `retry`."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import typer
from inspect_ai.util._display import init_display_type  # the one way to set it for eval_async

from evals.cli.concluding import RUNS, conclude, make_folder
from evals.cli.holding import held
from evals.cli.progress import choose_progress
from evals.cli.stopping import stopped_by_sigterm, tell_stopped
from evals.errors import EvalsError, UsageMistake
from evals.records.record import RunRecord, SuiteRecord, load_run
from evals.records.summary import SuiteSummary
from evals.records.surroundings import read_revision, settings_digest
from evals.reports import wording
from evals.reports.models import model_table
from evals.running.asked import require_baseline, require_bounds
from evals.running.conditions import model_name
from evals.running.digests import suite_digest
from evals.running.options import RunOptions
from evals.running.request import (
    FILE,
    KeptRequest,
    RunRequest,
    changes_since,
    find_suites,
    keep_request,
    load_request,
    require_same,
)
from evals.running.run import SuiteRunner
from evals.running.task import choose_samples
from evals.suite.loading import Suite
from evals.suite.schema import SampleSpec
from evals.target.opening import Target, open_target
from server.cli.connection import ApiFailure
from server.settings import Settings, load_settings

CACHE = "cache"
"""Beside them: answers that runs were given."""


def _as_it_is(_: Settings) -> None:
    """Leaves the process as it is."""


Begin = Callable[[Settings], None]
"""Called when nothing stands in the way any more, before anything is started."""


def run_suites(request: RunRequest, *, begin: Begin = _as_it_is) -> int:
    """Runs them, writes the reports, says what came of it; returns the exit code.

    Raises:
        UsageMistake: Something that was asked for is not there.
        TargetFailed: The product does not start, or is away.
        KeyboardInterrupt: It was stopped; reports of what there is are written.
    """
    suites = find_suites(request.suites)
    _require_usable(request, suites)
    settings = _settings(request)
    folder = request.out or settings.data_dir / RUNS / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    make_folder(folder)
    keep_request(folder, _kept(request, suites, settings))
    options = _options(request, settings, folder)
    with held(folder):
        return _put(request, suites, settings, options, begin=begin)


def retry_run(
    folder: Path | None, *, key: str | None = None, quiet: bool = False, begin: Begin = _as_it_is
) -> int:
    """Goes on with a run: puts what has no answer, and writes the reports; returns the exit code.

    Args:
        folder: The run; the newest one of the installation when left out.
        key: For a run at an address.
        quiet: Whether nothing is said of how far it is.
        begin: Called before anything is started.

    Raises:
        UsageMistake: There is no such run, or what it asked is not the same any more.
        TargetFailed: The product does not start, or is away.
        KeyboardInterrupt: It was stopped again.
    """
    folder = folder or _newest_run(Settings().data_dir / RUNS)
    before = load_request(folder)
    request = replace(before.request, key=key, quiet=quiet)
    suites = find_suites(request.suites)
    _require_usable(request, suites)
    settings = _settings(request)
    now = _kept(request, suites, settings)
    require_same(before, now)
    notes = tuple(changes_since(before, now))
    for note in notes:
        typer.secho(f"youworker eval: {note}.", fg="yellow", err=True)
    options = replace(_options(request, settings, folder), goes_on=True, notes=notes)
    with held(folder):
        return _put(request, suites, settings, options, begin=begin)


def _put(
    request: RunRequest,
    suites: Sequence[Suite],
    settings: Settings,
    options: RunOptions,
    *,
    begin: Begin,
) -> int:
    before = load_run(request.baseline) if request.baseline else None
    init_display_type("none")
    begin(settings)
    try:
        with stopped_by_sigterm():
            records = asyncio.run(_run(request, suites, settings, options))
    except (KeyboardInterrupt, EvalsError, ApiFailure):
        tell_stopped(options.folder, fail_under=request.fail_under)
        raise
    record = RunRecord(
        run=options.folder.name, suites=tuple(records), fail_under=request.fail_under
    )
    if len(request.models) > 1:
        typer.echo(model_table(records))
    return conclude(record, options.folder, baseline=before)


def _tell_who_grades(request: RunRequest, suites: Sequence[Suite]) -> None:
    asking = [each.name for each in suites if each.spec and each.spec.needs_grader]
    if asking and request.grader is None:
        typer.secho(
            f"youworker eval: in {', '.join(asking)} the model grades its own answers, and models "
            "think too well of those: name another one with --grader.",
            fg="yellow",
            err=True,
        )


def _options(request: RunRequest, settings: Settings, folder: Path) -> RunOptions:
    return RunOptions(
        models=request.models,
        epochs=request.epochs,
        limit=request.limit,
        tags=request.tags,
        seed=request.seed,
        folder=folder,
        cache=settings.data_dir / RUNS / CACHE if request.cache else None,
        grader=request.grader,
    )


async def _run(
    request: RunRequest, suites: Sequence[Suite], settings: Settings, options: RunOptions
) -> list[SuiteRecord]:
    target = _target(request)
    _tell_who_grades(request, suites)
    progress = choose_progress(quiet=request.quiet)
    if not request.quiet:
        typer.echo(f"evaluating {target.name}", err=True)
    records = []
    async with open_target(target, settings) as product:
        runner = SuiteRunner(product, target, settings, options, progress)
        async for record in runner.run(suites):
            typer.echo(f"{record.title}: {wording.tally(SuiteSummary(record))}")
            records.append(record)
    return records


def _require_usable(request: RunRequest, suites: Sequence[Suite]) -> None:
    """Faults are told before anything is started, or made.

    Raises:
        UsageMistake: Something that was asked for is not there, or does not go together.
    """
    if request.baseline:
        require_baseline(load_run(request.baseline), suites)
    require_bounds(request.fail_under, [(each, _chosen(request, each)) for each in suites])
    if request.cache:
        _require_cacheable(request, suites)


def _chosen(request: RunRequest, suite: Suite) -> Sequence[SampleSpec]:
    """The samples that are put, as far as that is known."""
    if suite.spec is None:
        return ()
    return choose_samples(suite, tags=request.tags, limit=request.limit)


def _require_cacheable(request: RunRequest, suites: Sequence[Suite]) -> None:
    for suite in suites:
        if suite.spec is None:
            raise UsageMistake(
                f"--cache is for suites of samples: {suite.name!r} is a task in Python, which has "
                "Inspect's own."
            )
    if request.url:
        raise UsageMistake(
            "--cache is for a product that is started here: what a server is set to nobody knows, "
            "so nobody knows which answers of it still hold."
        )


def _settings(request: RunRequest) -> Settings:
    return Settings() if request.url and request.key else load_settings()


def _target(request: RunRequest) -> Target:
    return Target(
        url=request.url,
        key=request.key,
        concurrency=request.concurrency,
        tools_host=request.tools_host,
    )


def _kept(request: RunRequest, suites: Sequence[Suite], settings: Settings) -> KeptRequest:
    target = _target(request)
    return KeptRequest(
        request=request,
        digests=tuple(suite_digest(each) for each in suites),
        models=tuple(model_name(each, target, settings) for each in request.models),
        settings_digest=settings_digest(settings) if target.url is None else None,
        git_revision=read_revision().commit,
    )


def _newest_run(runs: Path) -> Path:
    requests = sorted(runs.glob(f"*/{FILE}"), key=lambda each: each.stat().st_mtime)
    if not requests:
        raise UsageMistake(f"there is no run in {str(runs)!r} that can go on: give its folder.")
    return requests[-1].parent
