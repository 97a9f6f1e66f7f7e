"""The files of this machine that are sent."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from server.cli.connection import ApiFailure


class LocalFiles:
    """Those that were named, and those in folders that were; what is left out is counted."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Looks into the folders.

        Raises:
            ApiFailure: There is nothing at a path, or no file at any.
        """
        self._links = 0
        self._hidden = 0
        self.files = [file for path in paths for file in self._at(path)]
        if not self.files:
            raise ApiFailure(f"there is no file at these paths. {self.left_out}".rstrip())

    @property
    def left_out(self) -> str:
        """What was not looked at, as a sentence; empty when there is nothing."""
        counts = {"link": self._links, "hidden file or folder": self._hidden}
        told = [f"{count} × {name}" for name, count in counts.items() if count]
        return f"Left out: {', '.join(told)}." if told else ""

    def _at(self, path: Path) -> Iterator[Path]:
        if path.is_dir():
            yield from sorted(self._below(path))
        elif path.is_file():
            yield path
        else:
            raise ApiFailure(f"there is no file {str(path)!r}.")

    def _below(self, folder: Path) -> Iterator[Path]:
        """No link is followed: it may lead to what nobody meant to give."""
        for place, folders, files in os.walk(folder):
            kept = [name for name in folders if self._keeps(Path(place, name))]
            folders[:] = kept
            for name in files:
                file = Path(place, name)
                if self._keeps(file) and file.is_file():
                    yield file

    def _keeps(self, path: Path) -> bool:
        is_hidden, is_link = path.name.startswith("."), path.is_symlink()
        self._hidden += is_hidden
        self._links += is_link and not is_hidden
        return not (is_hidden or is_link)
