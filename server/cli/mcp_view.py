"""Words of strangers in a terminal: nothing in them acts, and nothing is hidden."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import typer

from server.cli.connection import ApiFailure

JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
YesOption = Annotated[
    bool, typer.Option("--yes", help="Approve without asking, where no person is at a terminal.")
]


def visible(text: str) -> str:
    """One line of text in which every character shows; others are written as their codes."""
    return "".join(each if each.isprintable() else _code_of(each) for each in text)


def visible_lines(text: str) -> str:
    """The same for a text of several lines, which may be indented with tabs."""
    return "".join(
        each if each.isprintable() or each in "\t\n" else _code_of(each) for each in text
    )


def print_json(value: Any) -> None:
    """Prints JSON in ASCII."""
    typer.echo(json.dumps(value))


def print_list(
    things: Sequence[Any], columns: Callable[[Any], Iterable[str]], *, as_json: bool
) -> None:
    """Prints one line for each, of these columns; or all of it as JSON."""
    if as_json:
        print_json(things)
        return
    for thing in things:
        typer.echo("\t".join(map(visible, columns(thing))))


def print_fields(fields: dict[str, str | None]) -> None:
    """Prints one line for each value that there is."""
    width = max(map(len, fields))
    for name, value in fields.items():
        if value:
            shown = visible_lines(value).replace("\n", "\n" + " " * (width + 2))
            typer.echo(f"{name:{width}}  {shown}")


def confirm(question: str, *, yes: bool) -> None:
    """Has the person say yes.

    Raises:
        ApiFailure: They did not, or nobody is there.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ApiFailure("nobody is at a terminal to say yes; look at it and give --yes.")
    if not typer.confirm(question):
        raise ApiFailure("nothing was changed.")


def _code_of(char: str) -> str:
    return char.encode("unicode_escape").decode()
