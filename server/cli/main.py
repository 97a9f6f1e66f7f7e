"""The commands, and how their failures end: one sentence and an exit code, never a traceback."""

import asyncio
import sys
from importlib.metadata import entry_points, version
from typing import Annotated

import typer

from graph.errors import AgentError
from loaders.errors import LoaderError
from persistence.errors import PersistenceError
from server.cli import audit, ingest_runs, keys, mcp, users
from server.cli.connection import ApiFailure, KeyOption, UrlOption, connect
from server.cli.exit_codes import EXIT_FAILED
from server.errors import ConfigurationError
from server.observability import configure_logging
from server.settings import Settings, load_settings
from tools.errors import ToolsError

PART_FAILURES = (AgentError, LoaderError, PersistenceError, ToolsError)
"""A part of the product that cannot be opened says why in one sentence."""

app = typer.Typer(
    name="youworker",
    help="An on-premise AI agent: chat with a local model, its tools and your documents.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(users.app, name="users")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(ingest_runs.app, name="ingest-runs")
app.add_typer(mcp.app, name="mcp")
for command in entry_points(group="youworker.commands"):
    # What stands above the server, such as evals, brings its commands; nothing is imported for it.
    app.add_typer(command.load(), name=command.name)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"youworker {version('youworker')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say which it is."),
    ] = False,
) -> None:
    """An on-premise AI agent: chat with a local model, its tools and your documents."""


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except (ConfigurationError, ApiFailure, *PART_FAILURES) as exc:
        typer.secho(f"youworker: {exc}", fg="red", err=True)
        sys.exit(EXIT_FAILED)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (API__HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (API__PORT).")] = None,
) -> None:
    """Run the server in the foreground until Ctrl-C or SIGTERM."""
    import uvloop

    from server.cli.serve import run_server

    settings = _with_address(load_settings(), host, port)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(run_server(settings)))


@app.command()
def worker() -> None:
    """Make files searchable in a process of its own, until Ctrl-C or SIGTERM.

    It takes what waits in the queue beside the servers and any number of other workers; with
    JOBS__IN_API=false the servers leave all of it to them. It needs DATABASE__URL and
    LLM__QDRANT_URL, and the same DATA_DIR/blobs as the servers: on the embedded database and
    index only the server itself can work.
    """
    import uvloop

    from server.cli.worker import run_worker

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(run_worker(load_settings())))


@app.command()
def chat(
    text: Annotated[
        list[str] | None, typer.Argument(help="Ask this and end; without it, a conversation.")
    ] = None,
    session: Annotated[str | None, typer.Option(help="Go on with this session.")] = None,
    model: Annotated[str | None, typer.Option(help="A model of the installation.")] = None,
    tools: Annotated[bool, typer.Option(help="Let the agent use its tools.")] = True,
    queue: Annotated[
        bool, typer.Option(help="Wait while the session is answering another message.")
    ] = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Talk to the agent; Ctrl-C stops an answer, Ctrl-D ends the conversation.

    Tool calls that need permission are put to you; where the input is no terminal they are refused.
    """
    from server.cli.chat import Conversation

    with connect(url, key) as api:
        conversation = Conversation(
            api, session_id=session, model=model, enable_tools=tools, enqueue=queue
        )
        ended_well = conversation.ask(" ".join(text)) if text else conversation.run()
    sys.exit(0 if ended_well else EXIT_FAILED)


@app.command()
def ingest(
    places: Annotated[
        list[str],
        typer.Argument(help="Files, folders with all that is in them, or web addresses."),
    ],
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be repeated.")] = None,
    server_path: Annotated[
        bool, typer.Option(help="These are paths of the server, below INGEST__ROOTS.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option(help="Look into the folders in a folder of the server.")
    ] = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Make documents searchable for yourself.

    Of a folder, links and what is hidden are left out. Ctrl-C sends no more; what the server has
    accepted goes on there.
    """
    from server.cli import ingest as ingestion

    below = ingestion.FolderOptions(of_server=server_path, recursive=recursive)
    with connect(url, key) as api:
        sys.exit(ingestion.ingest(api, places, tag or [], below=below))


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema (the server does so by itself at its start)."""
    from server.cli.migrate import migrate_database

    settings = load_settings()
    configure_logging(level=settings.log_level, json=settings.production)
    typer.echo(asyncio.run(migrate_database(settings)))


@app.command("rotate-keys")
def rotate_keys() -> None:
    """Encrypt everything anew with the first encryption key, while the server goes on.

    Put a new key in front of the old ones, restart every server, run this, then drop the old keys.
    It can be stopped and started again at any time. Exit codes: 0 done, 1 something cannot be
    opened or reached.
    """
    from server.cli import rotate_keys as rotation

    sys.exit(rotation.rotate_keys(load_settings()))


@app.command()
def reindex(
    model: Annotated[
        str | None, typer.Option(help="The embedding model; LLM__EMBED_MODEL without it.")
    ] = None,
) -> None:
    """Index all documents anew, with another embedding model if need be, while the server goes on.

    Searches find everything all the time. It can be stopped and started again at any time: until
    it has ended, the index of before is in force. Exit codes: 0 done, 1 something failed.
    """
    from server.cli import reindex as reindexing

    sys.exit(reindexing.reindex(load_settings(), model))


@app.command()
def doctor(
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Test every part of this installation, one line each; with --url, ask that server instead."""
    from server.cli import doctor as doctoring

    settings = load_settings()
    configure_logging(level="error", json=False)
    sys.exit(EXIT_FAILED * (not doctoring.examine(settings, url, key)))


def _with_address(settings: Settings, host: str | None, port: int | None) -> Settings:
    changes = {name: value for name, value in {"host": host, "port": port}.items() if value}
    return settings.model_copy(update={"api": settings.api.model_copy(update=changes)})
