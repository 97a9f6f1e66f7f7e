"""The commands. Each loads what it needs when it is called: Inspect takes seconds to import.

The command line of the server finds them by the entry point `youworker.commands`, so that the
server imports nothing of evals.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evals.cli.ending import EXIT_USAGE, ending
from evals.errors import UsageMistake
from server.cli.connection import KeyOption

if TYPE_CHECKING:
    from server.settings import Settings

app = typer.Typer(help="Measure the agent with suites of samples.", no_args_is_help=True)

MISSING = (
    "this installation has no part for evals: install it with 'make evals', "
    "or 'uv pip install --require-hashes --no-deps -r requirements-evals.lock'."
)
UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="A server to evaluate; without it, the product is started here."),
]
Suites = Annotated[
    list[str], typer.Argument(help="Names of suites, or paths of folders, YAML or Python files.")
]


@app.callback()
def _require_inspect() -> None:
    if find_spec("inspect_ai") is None:
        typer.secho(f"youworker eval: {MISSING}", fg="red", err=True)
        raise typer.Exit(EXIT_USAGE)


@app.command("list")
def list_suites(
    suites: Annotated[list[str] | None, typer.Argument(help="Only these.")] = None,
) -> None:
    """List suites: what they are about, how many samples they have, their tags."""
    with ending():
        from evals.cli.listing import list_all

        list_all(suites or [])


@app.command()
def run(
    suites: Suites,
    model: Annotated[
        list[str] | None, typer.Option(help="A model of the installation; may be repeated.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="How often each sample is put.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="How many are put at a time.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first samples.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only samples with it; repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn, and of the record.")] = 0,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE",
            help="METRIC is a scorer, 'passed', METRIC@TAG, METRIC#SAMPLE, pass@K or pass^K.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="A run that this one must not be worse than.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder of the run; one below DATA_DIR/evals by default."),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Run suites; write JSON, JUnit XML, Markdown and one HTML report.

    Exit codes: 0 passed, 1 below a threshold or worse than the baseline, 2 usage, 3 errors of the
    product or its surroundings.
    """
    with ending():
        from evals.cli.running import RunRequest, run_suites

        request = RunRequest(
            suites=tuple(suites),
            models=tuple(model or [None]),
            epochs=epochs,
            concurrency=concurrency,
            limit=limit,
            tags=tuple(tag or []),
            seed=seed,
            fail_under=tuple(fail_under or []),
            baseline=baseline,
            out=out,
            url=url,
            key=key,
        )
        raise typer.Exit(run_suites(request, begin=_log_faults_alone))


def _log_faults_alone(settings: "Settings") -> None:
    from server.observability import configure_logging

    configure_logging(level="error", json=settings.production)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="The folder of a run.")],
    after: Annotated[Path, typer.Argument(help="The folder of another run.")],
) -> None:
    """Compare two runs, in Markdown: samples that flipped first, then a paired test of each metric.

    Exit codes: 0 not worse, 1 worse, 2 usage.
    """
    with ending():
        from evals.cli.reading import compare_folders

        raise typer.Exit(compare_folders(before, after))


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
) -> None:
    """Write the reports of a run anew, and print the Markdown."""
    with ending():
        from evals.cli.reading import report_folder

        if not run.is_dir():
            raise UsageMistake(f"{str(run)!r} is no folder of a run.")
        report_folder(run)
