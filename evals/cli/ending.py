"""How a command ends: one sentence and an exit code."""

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
    """Turns errors into a sentence and the exit code that goes with them."""
    try:
        yield
    except (UsageMistake, ConfigurationError) as exc:
        typer.secho(f"youworker eval: {exc}", fg="red", err=True)
        raise typer.Exit(EXIT_USAGE) from exc
    except (EvalsError, ApiFailure) as exc:
        typer.secho(f"youworker eval: {exc}", fg="red", err=True)
        raise typer.Exit(EXIT_INFRASTRUCTURE) from exc
    except KeyboardInterrupt as exc:
        typer.secho("youworker eval: stopped.", err=True)
        raise typer.Exit(EXIT_STOPPED) from exc
