"""How a command ends: one sentence and an exit code."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from evals.errors import EvalsError, UsageMistake
from server.cli.connection import ApiFailure
from server.errors import ConfigurationError

EXIT_PASSED = 0
EXIT_BELOW = 1
"""Below a threshold, or worse than the baseline."""
EXIT_USAGE = 2
EXIT_INFRASTRUCTURE = 3
EXIT_STOPPED = 130


@contextmanager
def ending() -> Iterator[None]:
    """Turns errors into a sentence and the exit code that goes with them.

    Here commands are entered, so nothing passes: Python's own end would be the code of a threshold.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise  # ends already as it should
    except (UsageMistake, ConfigurationError) as exc:
        typer.secho(f"youworker eval: {exc}", fg="red", err=True)
        raise typer.Exit(EXIT_USAGE) from exc
    except (EvalsError, ApiFailure) as exc:
        typer.secho(f"youworker eval: {exc}", fg="red", err=True)
        raise typer.Exit(EXIT_INFRASTRUCTURE) from exc
    except OSError as exc:
        told = exc.strerror or str(exc)
        place = f"{exc.filename}: " if exc.filename else ""
        typer.secho(f"youworker eval: {place}{told}.", fg="red", err=True)
        raise typer.Exit(EXIT_INFRASTRUCTURE) from exc
    except Exception as exc:
        typer.echo(traceback.format_exc(), err=True)
        typer.secho(
            f"youworker eval: an error that should not be ({type(exc).__name__}: {exc}); "
            "where it arose stands above.",
            fg="red",
            err=True,
        )
        raise typer.Exit(EXIT_INFRASTRUCTURE) from exc
    except KeyboardInterrupt as exc:
        typer.secho("youworker eval: stopped.", err=True)
        raise typer.Exit(EXIT_STOPPED) from exc
