"""`youworker worker`: makes files searchable in the foreground."""

import asyncio

import typer

from loaders.file_access import hide_memory
from server.cli.serve import EXIT_OK, on_signals, warm_up
from server.installation import load_secrets
from server.observability import configure_logging, log_stray_error
from server.settings import Settings
from server.worker_bootstrap import open_worker, require_shared


async def run_worker(settings: Settings) -> int:
    """Runs until a signal; returns the exit code.

    Raises:
        ConfigurationError: Database or index are embedded.
        PersistenceError, AgentError, LoaderError: A part cannot be opened.
    """
    require_shared(settings)
    configure_logging(level=settings.log_level, json=settings.production)
    hide_memory()
    secrets = load_secrets(settings)
    asyncio.get_running_loop().set_exception_handler(log_stray_error)
    working = asyncio.current_task()
    assert working is not None  # noqa: S101 - this coroutine runs in a task
    with on_signals(working.cancel):
        try:
            async with open_worker(settings, secrets) as pipeline:
                typer.echo("YouWorker takes files from the queue.")
                await warm_up(pipeline)
                await asyncio.Event().wait()
        except asyncio.CancelledError:  # a signal; what was worked on has been given back
            typer.echo("youworker: stopped", err=True)
    return EXIT_OK
