"""Uploads from the terminal, with progress."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from server.cli.connection import Api, ApiFailure


def ingest_paths(api: Api, paths: Sequence[Path], tags: Sequence[str]) -> bool:
    """Uploads files one by one; true when every one of them was taken.

    Raises:
        ApiFailure: The server cannot be reached or refuses the key.
    """
    console = Console(highlight=False, soft_wrap=True)
    files = list(_files(paths))
    if not files:
        raise ApiFailure("there is no file at these paths.")
    failed = 0
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(files))
        for file in files:
            progress.update(task, description=escape(file.name))
            failed += not _ingest_file(api, file, tags, progress.console)
            progress.advance(task)
    console.print(f"{len(files) - failed} of {len(files)} files are searchable.")
    return failed == 0


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(
                found
                for found in path.rglob("*")
                if found.is_file() and not any(part.startswith(".") for part in found.parts)
            )
        elif path.is_file():
            yield path
        else:
            raise ApiFailure(f"there is no file {str(path)!r}.")


def _ingest_file(api: Api, file: Path, tags: Sequence[str], console: Console) -> bool:
    try:
        answer = api.request(
            "POST",
            "/v1/ingest/upload",
            files={"files": (file.name, file.read_bytes())},
            data={"tags": json.dumps(list(tags))},
        )
    except OSError as exc:
        console.print(f"[red]✗[/red] {escape(str(file))}: {escape(str(exc))}")
        return False
    except ApiFailure as exc:
        if exc.code != "UPLOAD_TOO_LARGE":
            raise
        console.print(f"[red]✗[/red] {escape(str(file))}: {escape(str(exc))}")
        return False
    for error in answer["errors"]:
        console.print(
            f"[red]✗[/red] {escape(str(file))}: {escape(error['message'])} [dim]{error['code']}[/]"
        )
    for taken in answer["files"]:
        state = "already there" if taken["status"] == "unchanged" else f"{taken['chunks']} passages"
        console.print(f"[green]✓[/green] {escape(str(file))} [dim]{taken['mime']}, {state}[/dim]")
    return not answer["errors"]
