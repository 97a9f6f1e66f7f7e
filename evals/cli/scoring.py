"""`youworker eval score`."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import typer
from inspect_ai.util._display import init_display_type  # the one way to set it for score_async

from evals.cli.concluding import RUNS, conclude, make_folder
from evals.errors import UsageMistake
from evals.records.record import RunRecord, SuiteRecord, load_run
from evals.records.summary import SuiteSummary
from evals.reports import wording
from evals.running.asked import require_baseline, require_bounds
from evals.running.graders import NamedGrader, choose_grader, inspect_grader, is_own_model
from evals.running.grading import UNGRADED, begin_grading
from evals.running.request import FILE as REQUEST
from evals.running.request import load_request
from evals.running.rescoring import Rescored, rescore, save_log
from evals.suite.loading import Suite, find_suite, own_suites
from evals.target.opening import Target, open_target
from server.settings import Settings, load_settings


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """What was asked for."""

    run: Path
    suites: tuple[str, ...] = ()
    """Where suites are that have moved since."""
    fail_under: tuple[str, ...] = ()
    baseline: Path | None = None
    grader: str | None = None
    """Of suites in which a model grades."""
    url: str | None = None
    """Where the grader is, if it is a model of an installation."""
    key: str | None = field(default=None, repr=False)
    out: Path | None = None


def score_run(request: ScoreRequest) -> int:
    """Judges a run anew, writes the reports into a folder of their own; returns the exit code.

    Raises:
        UsageMistake: It is no run, its answers are not there, or its suites are not.
    """
    before = load_run(request.run)
    given = {suite.name: suite for suite in map(find_suite, request.suites)}
    known = _suites_of_run(request.run) | given
    suites = [_suite_of(record, known) for record in before.suites]
    _require_grader(request, suites)
    if unused := sorted(given.keys() - {each.name for each in suites}):
        raise UsageMistake(f"--suite: {before.run} has no answers to {', '.join(unused)}.")
    require_bounds(request.fail_under, [(each, each.samples) for each in suites])
    baseline = load_run(request.baseline) if request.baseline else None
    if baseline is not None:
        require_baseline(baseline, suites)
    folder = request.out or Settings().data_dir / RUNS / f"{_now()}-scored"
    init_display_type("none")
    scored = asyncio.run(_rescore(request, before, suites, folder))
    for each in scored:
        _tell(each)
    records = tuple(each.record for each in scored)
    record = RunRecord(run=folder.name, suites=records, fail_under=request.fail_under)
    return conclude(record, folder, baseline=baseline)


async def _rescore(
    request: ScoreRequest, before: RunRecord, suites: Sequence[Suite], folder: Path
) -> list[Rescored]:
    logs = request.run if request.run.is_dir() else request.run.parent
    scored = []
    async with _chosen_grader(request, suites) as grader:
        for record, suite in zip(before.suites, suites, strict=True):
            grading = UNGRADED
            if grader is not None and suite.spec is not None and suite.spec.needs_grader:
                grading = await begin_grading(suite, suite.spec, grader)
            each = await rescore(record, suite, run=before.run, logs=logs, grading=grading)
            scored.append(each)
    make_folder(folder)  # not before: a run that cannot be judged leaves none
    for each in scored:
        await save_log(each, folder)
    return scored


@asynccontextmanager
async def _chosen_grader(
    request: ScoreRequest, suites: Sequence[Suite]
) -> AsyncIterator[NamedGrader | None]:
    """The grader; the product is opened only where the grader is one of its models."""
    name = request.grader
    if name is None or not any(each.spec and each.spec.needs_grader for each in suites):
        yield None
    elif is_own_model(name):
        settings = Settings() if request.url and request.key else load_settings()
        async with open_target(Target(url=request.url, key=request.key), settings) as product:
            yield choose_grader(name, product, model=None, called=name, concurrency=1)
    else:
        yield inspect_grader(name, concurrency=1)


def _require_grader(request: ScoreRequest, suites: Sequence[Suite]) -> None:
    asking = sorted({each.name for each in suites if each.spec and each.spec.needs_grader})
    if asking and request.grader is None:
        raise UsageMistake(f"{', '.join(asking)}: a model grades; name one with --grader.")


def _suites_of_run(run: Path) -> dict[str, Suite]:
    """Those that stand where they stood when the run began, if it has written that down."""
    if not (run / REQUEST).is_file():
        return {}
    found = {}
    for name in load_request(run).request.suites:
        if name in own_suites() or Path(name).exists():
            suite = find_suite(name)
            found[suite.name] = suite
    return found


def _suite_of(record: SuiteRecord, known: Mapping[str, Suite]) -> Suite:
    """The suite as it is now."""
    suite = known.get(record.suite)
    if suite is None and record.suite in own_suites():
        suite = find_suite(record.suite)
    if suite is None:
        raise UsageMistake(
            f"suite {record.suite!r} is not where it was: say with --suite where it is now."
        )
    if suite.spec is None:
        raise UsageMistake(
            f"{record.suite!r} is a task in Python: its scorers are Inspect's; use 'inspect score'."
        )
    return suite


def _tell(scored: Rescored) -> None:
    record = scored.record
    typer.echo(f"{record.title}: {wording.tally(SuiteSummary(record))}")
    for reason, samples in scored.left_out.items():
        typer.secho(f"  left out, {reason}: {', '.join(samples)}", fg="yellow", err=True)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
