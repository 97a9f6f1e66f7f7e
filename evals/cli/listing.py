"""`youworker eval list`."""

from collections.abc import Sequence

import typer

from evals.suite.loading import Suite, find_suite, own_suites


def list_all(names: Sequence[str]) -> None:
    """Prints a line for each suite.

    Raises:
        UsageMistake: One is not there, or cannot be used.
    """
    for name in names or own_suites():
        typer.echo(describe(find_suite(name)))


def describe(suite: Suite) -> str:
    """Name, number of samples, tags and what it is about."""
    tags = sorted({tag for each in suite.samples for tag in each.tags})
    count = f"{len(suite.samples)} samples" if suite.spec else "Python"
    return "\t".join((suite.name, count, ", ".join(tags), suite.description))
