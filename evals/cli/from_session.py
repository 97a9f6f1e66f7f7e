"""`youworker eval from-session`."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from evals.errors import UsageMistake
from evals.reports.visible import visible
from evals.sessions.appending import append_sample, free_id
from evals.sessions.reading import Turn, read_session
from evals.sessions.sample import choose_turns, id_of, make_sample
from server.cli.connection import Api

WARNING = "This becomes plain text in a file: whoever reads it, or gets it, reads what was said."


@dataclass(frozen=True, kw_only=True)
class SessionRequest:
    """What was asked for."""

    session_id: str
    to: Path
    message: int | None = None
    """Up to which of the user's messages, counted from 1; all of them without it."""
    expects: bool = False
    """Whether the same calls and the same files are right."""
    without_images: bool = False
    tags: tuple[str, ...] = ()
    is_agreed: bool = False
    """Whether the person has said beforehand that it may be written."""


def _has_terminal() -> bool:
    return sys.stdin.isatty()


def add_session(
    api: Api, request: SessionRequest, *, has_person: Callable[[], bool] = _has_terminal
) -> None:
    """Shows the sample that a session makes, asks, and adds it to the file.

    Raises:
        UsageMistake: There is no such session of the key's owner, it cannot be a sample, or nobody
            is there to agree.
        ApiFailure: The product refused, or is away.
    """
    if not request.is_agreed and not has_person():
        raise UsageMistake("nobody is here to agree to what is written: give --yes to agree.")
    turns = choose_turns(
        read_session(api, request.session_id),
        message=request.message,
        without_images=request.without_images,
    )
    name = free_id(request.to, id_of(request.session_id, turns))
    sample = make_sample(turns, name=name, tags=request.tags, expects=request.expects)
    typer.echo(visible(json.dumps(sample, ensure_ascii=False, indent=2)))
    for line in _remarks(turns, request):
        typer.secho(f"- {line}", err=True)
    typer.secho(WARNING, fg="yellow", err=True)
    if not request.is_agreed and not typer.confirm(f"Add it to {request.to}?", err=True):
        typer.echo("Nothing was written.")
        return
    name = append_sample(request.to, sample)
    typer.echo(f"added {name!r} to {request.to}")


def _remarks(turns: Sequence[Turn], request: SessionRequest) -> list[str]:
    """What the person should know of the sample."""
    told = [
        f"Message {number} was a recording: what was understood of it is put, not its sound."
        for number, turn in enumerate(turns, 1)
        if turn.is_recording
    ]
    if left := sum(turn.images for turn in turns):
        told.append(f"{left} {'image is' if left == 1 else 'images are'} left out.")
    if not request.expects:
        told.append("It expects nothing yet: add 'target' or 'expect', or nothing can be wrong.")
        return told
    if not all(turn.knows_arguments for turn in turns):
        told.append("Arguments of calls are kept no more for some answers: any are right there.")
    if cited := sorted({name for turn in turns for name in turn.cited}):
        told.append(
            f"It looks for {', '.join(cited)}: list them in the suite's fixtures.documents."
        )
    return told
