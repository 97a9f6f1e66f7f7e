"""Files made searchable from the terminal, with progress, and a table in the end."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from server.cli.connection import Api, ApiFailure, ConnectionLost
from server.cli.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED
from server.cli.ingest_events import follow_ingest
from server.cli.local_files import LocalFiles

AT_ONCE = {"Prefer": "wait=0"}
BATCH_FILES = 10
BATCH_BYTES = 32 * 1024 * 1024
"""Of several files; one that is larger is sent alone."""
URL_PREFIXES = ("http://", "https://")
_ENDED = {"indexed", "unchanged", "failed", "cancelled"}


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """Whose folders are meant, and how far they are looked into."""

    of_server: bool
    recursive: bool


@dataclass(kw_only=True)
class _Batch:
    """Files that are sent together; no two have the same name."""

    files: dict[str, Path] = field(default_factory=dict)
    size_bytes: int = 0

    def has_room_for(self, file: Path) -> bool:
        size = file.stat().st_size
        return not self.files or (
            len(self.files) < BATCH_FILES
            and file.name not in self.files
            and self.size_bytes + size <= BATCH_BYTES
        )

    def add(self, file: Path) -> None:
        self.files[file.name] = file
        self.size_bytes += file.stat().st_size


def ingest(api: Api, places: Sequence[str], tags: Sequence[str], *, below: FolderOptions) -> int:
    """Makes searchable what is at these places, and tells what came of it.

    Returns:
        The exit code.

    Raises:
        ApiFailure: There is no file, or the server cannot be reached or refuses.
    """
    named = [place for place in places if below.of_server or place.startswith(URL_PREFIXES)]
    local = [Path(place) for place in places if place not in named]
    ingestion = Ingestion(api, tags)
    try:
        ingestion.take(LocalFiles(local) if local else None, named, recursive=below.recursive)
    except KeyboardInterrupt:
        ingestion.tell_rest()
        return EXIT_INTERRUPTED
    except ApiFailure:
        ingestion.tell_rest()
        raise
    return 0 if ingestion.tell() else EXIT_FAILED


class Ingestion:
    """Sends or names files, follows what becomes of them, and tells in the end."""

    def __init__(self, api: Api, tags: Sequence[str]) -> None:
        self._api = api
        self._tags = list(tags)
        self._console = Console(highlight=False, soft_wrap=True)
        self._rows: list[tuple[str, str, str]] = []
        self._taken = 0
        self._left_out = ""
        self._given = 0
        self._passed_on = 0
        self._in_doubt = 0
        """Those of a request that has not been answered."""
        self._open_run: str | None = None

    def take(self, local: LocalFiles | None, named: Sequence[str], *, recursive: bool) -> None:
        """Sends the files, and has the server read those at the named places.

        Raises:
            ApiFailure: The server cannot be reached or refuses.
        """
        files = local.files if local else []
        self._left_out = local.left_out if local else ""
        self._given = len(files) + len(named)
        if files:
            self._send_all(files)
        if named:
            self._take_from(named, recursive=recursive)

    def tell_rest(self) -> None:
        """Says what the server has of it, when it was not followed to its end."""
        if not self._given:
            return
        if self._rows:
            self.tell()
        say = self._console.print
        say(f"{self._given - self._passed_on} of {self._given} were not sent.")
        if self._in_doubt:
            say(f"Of {self._in_doubt} of them it is not known: 'youworker ingest-runs list' tells.")
        if self._open_run:
            say(f"The run {self._open_run} was accepted and goes on at the server:")
            say(f"'youworker ingest-runs cancel {self._open_run}' stops it.")

    def _send_all(self, files: Sequence[Path]) -> None:
        with self._progress() as progress:
            task = progress.add_task("", total=len(files))
            for batch in _batches(files):
                self._send(batch, progress, task)

    def _take_from(self, places: Sequence[str], *, recursive: bool) -> None:
        with self._progress() as progress:
            task = progress.add_task("", total=None)
            for place in places:
                body = {
                    "path_or_url": place,
                    "from_web": place.startswith(URL_PREFIXES),
                    "recursive": recursive,
                    "tags": self._tags,
                }
                answer = self._give(1, "/v1/ingest/path", json=body)
                self._follow(answer, {}, progress, task)

    def tell(self) -> bool:
        """Shows what came of each file; true when every one of them is searchable."""
        table = Table("", "file", "", box=None, show_header=False)
        for mark, name, note in self._rows:
            table.add_row(mark, escape(name), escape(note))
        self._console.print(table)
        self._console.print(f"{self._taken} of {len(self._rows)} files are searchable.")
        if self._left_out:
            self._console.print(self._left_out)
        return self._taken == len(self._rows)

    def _progress(self) -> Progress:
        return Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )

    def _give(self, count: int, path: str, **body: Any) -> Any:
        self._in_doubt = count
        try:
            answer = self._api.request("POST", path, headers=AT_ONCE, **body)
        except ConnectionLost:
            raise
        except ApiFailure:
            self._in_doubt = 0
            raise
        self._in_doubt = 0
        self._passed_on += count
        return answer

    def _send(self, batch: _Batch, progress: Progress, task: Any) -> None:
        parts = []
        for name, path in batch.files.items():
            progress.update(task, description=escape(name))
            try:
                parts.append(("files", (name, path.read_bytes())))
            except OSError as exc:
                self._refuse_here(path, exc, progress, task)
        if not parts:
            return
        try:
            tags = {"tags": json.dumps(self._tags)}
            answer = self._give(len(parts), "/v1/ingest/upload", files=parts, data=tags)
        except ApiFailure as exc:
            if exc.code not in {"UPLOAD_TOO_LARGE", "VALIDATION_ERROR"}:
                raise
            if len(parts) > 1:  # one of them is at fault, or the server takes fewer at a time
                for path in batch.files.values():
                    self._send(_Batch(files={path.name: path}), progress, task)
                return
            self._refuse_here(next(iter(batch.files.values())), exc, progress, task)
            return
        self._follow(answer, batch.files, progress, task)

    def _follow(self, answer: Any, paths: dict[str, Path], progress: Progress, task: Any) -> None:
        ended: set[str] = set()
        report = answer
        if "files" not in answer:
            self._open_run = answer["run_id"]
            for event in follow_ingest(self._api, answer["run_id"]):
                if event.event == "done":
                    report = event.data
                    continue
                progress.update(task, description=_describe(event.data))
                if event.data["status"] in _ENDED and event.data["file_id"] not in ended:
                    ended.add(event.data["file_id"])
                    progress.advance(task)
        self._open_run = None
        progress.advance(task, report["totals"]["files"] - len(ended))
        self._note(report, paths)
        while (offset := report["next_offset"]) is not None:
            run = f"/v1/ingest/runs/{report['run_id']}"
            report = self._api.request("GET", run, params={"offset": offset})
            self._note(report, paths)

    def _note(self, report: Any, paths: dict[str, Path]) -> None:
        for taken in report["files"]:
            state = (
                "already there" if taken["status"] == "unchanged" else _passages(taken["chunks"])
            )
            name = str(paths.get(taken["path"], taken["path"]))
            self._rows.append(("[green]✓[/green]", name, f"{taken['mime']}, {state}"))
            self._taken += 1
        for error in report["errors"]:
            name = str(paths.get(error["path"], error["path"]))
            self._refuse(name, f"{error['message']} {error['code']}")

    def _refuse_here(self, path: Path, reason: Exception, progress: Progress, task: Any) -> None:
        self._refuse(str(path), str(reason))
        self._given -= 1  # it is told of already
        progress.advance(task)

    def _refuse(self, name: str, reason: str) -> None:
        self._rows.append(("[red]✗[/red]", name, reason))


def _passages(count: int) -> str:
    return "1 passage" if count == 1 else f"{count} passages"


def _describe(file: Any) -> str:
    progress = file["progress"]
    done = f" {progress['done']}/{progress['total']} {progress['unit']}" if progress else ""
    return f"{escape(file['path'])} [dim]{file['status']}{done}[/dim]"


def _batches(files: Iterable[Path]) -> Iterator[_Batch]:
    batch = _Batch()
    for file in files:
        if not batch.has_room_for(file):
            yield batch
            batch = _Batch()
        batch.add(file)
    yield batch
