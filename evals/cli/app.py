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
from server.cli.connection import KeyOption, connect
from server.cli.connection import UrlOption as ServerOption

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
OutOption = Annotated[
    Path | None,
    typer.Option(help="The folder of the run; one below DATA_DIR/evals by default."),
]
CacheOption = Annotated[
    bool, typer.Option("--cache", help="Use answers that earlier runs were given under the same.")
]
ToolsHostOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Of this machine, where a server on another one finds tools that samples bring.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Say nothing of how far it is.")]
GraderOption = Annotated[
    str | None,
    typer.Option(
        help="The model that grades answers where a scorer asks one: a model of the installation, "
        "or PROVIDER/MODEL as Inspect names it; by default, the model that answers."
    ),
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
    grader: GraderOption = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="How often each sample is put.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="How many are put at a time.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first samples.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only samples with it; repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn, and of the record.")] = 0,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE",
            help="A figure that has to reach a value: METRIC is a scorer, 'passed', METRIC@TAG, "
            "METRIC#SAMPLE, pass@K or pass^K. 'METRIC>=VALUE' is the same, 'METRIC<=VALUE' an "
            "upper bound, such as 'latency<=10' (quote it for the shell). May be repeated.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="A run that this one must not be worse than.")
    ] = None,
    out: OutOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    tools_host: ToolsHostOption = None,
    cache: CacheOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run suites; write JSON, JUnit XML, Markdown and one HTML report.

    A run that was stopped goes on with 'youworker eval retry'.

    Exit codes: 0 passed, 1 below a threshold or worse than the baseline, 2 usage, 3 errors of the
    product or its surroundings, 130 stopped.
    """
    with ending():
        from evals.cli.running import run_suites
        from evals.running.request import RunRequest

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
            tools_host=tools_host,
            grader=grader,
            cache=cache,
            quiet=quiet,
        )
        raise typer.Exit(run_suites(request, begin=_log_faults_alone))


@app.command()
def retry(
    run: Annotated[
        Path | None,
        typer.Argument(help="The folder of a run; the newest below DATA_DIR/evals by default."),
    ] = None,
    key: KeyOption = None,
    quiet: QuietOption = False,
) -> None:
    """Go on with a run that was stopped, or in which samples ended in errors.

    What has an answer is not asked again, and every try stays in the record. Exit codes: those of
    'run'.
    """
    with ending():
        from evals.cli.running import retry_run

        raise typer.Exit(retry_run(run, key=key, quiet=quiet, begin=_log_faults_alone))


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


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="a-z, 0-9, '-' and '_'.")],
    below: Annotated[
        Path, typer.Option("--dir", help="Where its folder is made; here by default.")
    ] = Path(),
) -> None:
    """Make a first suite, with comments, that runs as it is.

    Exit codes: 0 made, 2 the name is none or is taken.
    """
    with ending():
        from evals.cli.making import make_suite

        make_suite(name, below)


@app.command()
def score(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    suite: Annotated[
        list[str] | None,
        typer.Option(help="Where a suite is that has moved since; may be repeated."),
    ] = None,
    fail_under: Annotated[
        list[str] | None, typer.Option(metavar="METRIC=VALUE", help="As of 'run'.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="A run that this one must not be worse than.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The new folder; one below DATA_DIR/evals by default."),
    ] = None,
    grader: GraderOption = None,
    url: Annotated[
        str | None, typer.Option("--url", help="The server whose model grades, if one does.")
    ] = None,
    key: KeyOption = None,
) -> None:
    """Judge the answers of a run again, with scorers and expectations as they are now.

    The questions are not put again, and the run stays as it is. Exit codes: those of 'run'.
    """
    with ending():
        from evals.cli.scoring import ScoreRequest, score_run

        request = ScoreRequest(
            run=run,
            suites=tuple(suite or []),
            fail_under=tuple(fail_under or []),
            baseline=baseline,
            grader=grader,
            url=url,
            key=key,
            out=out,
        )
        raise typer.Exit(score_run(request))


@app.command("from-session")
def from_session(
    session_id: Annotated[str, typer.Argument(help="A session of the key's owner.")],
    to: Annotated[Path, typer.Option(help="A file of samples that ends in .jsonl.")],
    message: Annotated[
        int | None, typer.Option(min=1, help="Up to your N-th message; all without it.")
    ] = None,
    expect_from_answer: Annotated[
        bool, typer.Option(help="The same calls and cited files are what is right.")
    ] = False,
    without_images: Annotated[bool, typer.Option(help="Leave images out.")] = False,
    tag: Annotated[list[str] | None, typer.Option(help="Of the sample; may be repeated.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Agree without being asked.")] = False,
    url: ServerOption = None,
    key: KeyOption = None,
) -> None:
    """Make a sample of a conversation of one's own, after showing what is written.

    Only sessions of the key's owner are found, whoever that is. Exit codes: 0 added or declined,
    2 no such session or nothing that a sample can hold, 3 the server refused or is away.
    """
    with ending():
        from evals.cli.from_session import SessionRequest, add_session

        request = SessionRequest(
            session_id=session_id,
            to=to,
            message=message,
            expects=expect_from_answer,
            without_images=without_images,
            tags=tuple(tag or []),
            is_agreed=yes,
        )
        with connect(url, key) as api:
            add_session(api, request)


@app.command()
def view(
    run: Annotated[
        Path | None, typer.Argument(help="The folder of a run; all runs without it.")
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 7576,
    inspect: Annotated[
        bool, typer.Option("--inspect", help="Show Inspect's logs with Inspect's own viewer.")
    ] = False,
) -> None:
    """Look at runs in a browser: an index, every report, and two runs compared; Ctrl-C ends it.

    It is served to this machine alone, unless --host says otherwise.
    """
    with ending():
        from evals.cli.viewing import view_runs

        view_runs(run, host=host, port=port, by_inspect=inspect)
