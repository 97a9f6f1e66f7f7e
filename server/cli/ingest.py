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

from server.cli.connection import Api, ApiFailure
from server.cli.ingest_events import follow_ingest

AT_ONCE = {"Prefer": "wait=0"}
BATCH_FILES = 10
BATCH_BYTES = 32 * 1024 * 1024
"""Of several files; one that is larger is sent alone."""
URL_PREFIXES = ("http://", "https://")
_ENDED = {"indexed", "unchanged", "failed", "cancelled"}


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


class Ingestion:
    """Sends or names files, follows what becomes of them, and tells in the end."""

    def __init__(self, api: Api, tags: Sequence[str]) -> None:
        self._api = api
        self._tags = list(tags)
        self._console = Console(highlight=False, soft_wrap=True)
        self._rows: list[tuple[str, str, str]] = []
        self._taken = 0

    def send(self, paths: Sequence[Path]) -> None:
        """Sends files, and folders with all that is in them.

        Raises:
            ApiFailure: There is no file, or the server cannot be reached or refuses the key.
        """
        files = list(_files(paths))
        if not files:
            raise ApiFailure("there is no file at these paths.")
        with self._progress() as progress:
            task = progress.add_task("", total=len(files))
            for batch in _batches(files):
                self._send(batch, progress, task)

    def take_from(self, places: Sequence[str], *, recursive: bool) -> None:
        """Has the server read from its own folders or from the web.

        Raises:
            ApiFailure: The server cannot be reached or refuses.
        """
        with self._progress() as progress:
            task = progress.add_task("", total=None)
            for place in places:
                body = {
                    "path_or_url": place,
                    "from_web": place.startswith(URL_PREFIXES),
                    "recursive": recursive,
                    "tags": self._tags,
                }
                answer = self._api.request("POST", "/v1/ingest/path", json=body, headers=AT_ONCE)
                self._follow(answer, {}, progress, task)

    def tell(self) -> bool:
        """Shows what came of each file; true when every one of them is searchable."""
        table = Table("", "file", "", box=None, show_header=False)
        for mark, name, note in self._rows:
            table.add_row(mark, escape(name), escape(note))
        self._console.print(table)
        self._console.print(f"{self._taken} of {len(self._rows)} files are searchable.")
        return self._taken == len(self._rows)

    def _progress(self) -> Progress:
        return Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
        )

    def _send(self, batch: _Batch, progress: Progress, task: Any) -> None:
        parts = []
        for name, path in batch.files.items():
            progress.update(task, description=escape(name))
            try:
                parts.append(("files", (name, path.read_bytes())))
            except OSError as exc:
                self._refuse(str(path), str(exc))
                progress.advance(task)
        if not parts:
            return
        try:
            answer = self._api.request(
                "POST",
                "/v1/ingest/upload",
                files=parts,
                data={"tags": json.dumps(self._tags)},
                headers=AT_ONCE,
            )
        except ApiFailure as exc:
            if exc.code not in {"UPLOAD_TOO_LARGE", "VALIDATION_ERROR"}:
                raise
            if len(parts) > 1:  # one of them is at fault, or the server takes fewer at a time
                for path in batch.files.values():
                    self._send(_Batch(files={path.name: path}), progress, task)
                return
            for path in batch.files.values():
                self._refuse(str(path), str(exc))
            progress.advance(task)
            return
        self._follow(answer, batch.files, progress, task)

    def _follow(self, answer: Any, paths: dict[str, Path], progress: Progress, task: Any) -> None:
        ended: set[str] = set()
        report = answer
        if "files" not in answer:
            for event in follow_ingest(self._api, answer["run_id"]):
                if event.event == "done":
                    report = event.data
                    continue
                progress.update(task, description=_describe(event.data))
                if event.data["status"] in _ENDED and event.data["file_id"] not in ended:
                    ended.add(event.data["file_id"])
                    progress.advance(task)
        progress.advance(task, report["totals"]["files"] - len(ended))
        self._note(report, paths)
        while (offset := report["next_offset"]) is not None:
            run = f"/v1/ingest/runs/{report['run_id']}"
            report = self._api.request("GET", run, params={"offset": offset})
            self._note(report, paths)

    def _note(self, report: Any, paths: dict[str, Path]) -> None:
        for taken in report["files"]:
            state = (
                "already there" if taken["status"] == "unchanged" else f"{taken['chunks']} passages"
            )
            name = str(paths.get(taken["path"], taken["path"]))
            self._rows.append(("[green]✓[/green]", name, f"{taken['mime']}, {state}"))
            self._taken += 1
        for error in report["errors"]:
            name = str(paths.get(error["path"], error["path"]))
            self._refuse(name, f"{error['message']} {error['code']}")

    def _refuse(self, name: str, reason: str) -> None:
        self._rows.append(("[red]✗[/red]", name, reason))


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


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(
                found
                for found in path.rglob("*")
                if found.is_file() and not _is_hidden(found.relative_to(path))
            )
        elif path.is_file():
            yield path
        else:
            raise ApiFailure(f"there is no file {str(path)!r}.")


def _is_hidden(found: Path) -> bool:
    """Whether it or a folder on the way to it is; how one came to the first folder is no matter."""
    return any(part.startswith(".") for part in found.parts)
