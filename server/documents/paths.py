"""Files of the server itself, below the folders that the installation opens and nowhere else.

Links are followed to where they lead, and that is judged. Everything is then opened step by step
from the open folder without following any, so that what was judged is what is read.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from server.errors import (
    NotAuthorized,
    PathNotAllowed,
    PathNotFound,
    PathUnreadable,
    TooLarge,
    TooManyFiles,
)
from server.security.principal import Principal
from server.settings import SourceSettings

PATH_MAX_CHARS = 4_096
DEPTH_MAX = 32
ENTRIES_PER_FILE = 4
"""How many entries a folder may have for each file that may be found in it: a tree of folders and
of links that lead nowhere takes its time too, and nobody can stop a thread."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FLAGS = {
    stat.S_IFDIR: _FOLDER,
    # Without O_NONBLOCK a pipe that takes the file's place would hold the thread for ever.
    stat.S_IFREG: os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK,
}


@dataclass(frozen=True, kw_only=True)
class FoundFile:
    """A file that can be read, or a folder that cannot be looked into."""

    path: str
    size_bytes: int


@dataclass(frozen=True)
class _Place:
    """Where something is when all links are followed."""

    root: Path
    parts: tuple[str, ...]
    """The way from the root; none of it is hidden."""

    @property
    def path(self) -> Path:
        return self.root.joinpath(*self.parts)


class _Allowance:
    """What may still be looked at in one search."""

    def __init__(self, max_files: int) -> None:
        self._most = self._left = max_files * ENTRIES_PER_FILE

    def take(self) -> None:
        """Look at one entry more.

        Raises:
            TooManyFiles: It is one too many.
        """
        self._left -= 1
        if self._left < 0:
            raise TooManyFiles(
                f"There are more than {self._most} files, folders and links; name a smaller folder."
            )


class ServerPaths:
    """Finds and reads; all of it blocks."""

    def __init__(self, settings: SourceSettings) -> None:
        self._named = settings.roots
        self._open_to_all = settings.paths_for_everyone
        self._max_files = settings.max_path_files
        self._max_file_bytes = settings.max_file_bytes

    def require_permission(self, principal: Principal) -> None:
        """Return if the principal may name paths of the server.

        Raises:
            NotAuthorized: Only root may, and this is somebody else.
        """
        if not (self._open_to_all or principal.user.is_root):
            raise NotAuthorized("Only root takes in files from the server's own folders.")

    def find(self, path: str, *, recursive: bool) -> Iterator[FoundFile]:
        """Find a file, or those in a folder, without hidden ones, in the order of their names.

        Links to files are followed, links to folders only where `path` leads through them.

        Raises:
            PathNotAllowed: It is no absolute path.
            PathNotFound: Nothing is there that may be read, or nothing at all.
            PathUnreadable: It is neither a file nor a folder, or is closed to the server.
            TooManyFiles: There are more, or they lie deeper, than is taken in at once.
        """
        place = self._locate(path)
        state = _examine(place)
        if stat.S_ISDIR(state.st_mode):
            return self._count(self._list(place, recursive))
        return iter((_describe(place.path, state),))

    def read(self, found: FoundFile) -> bytes:
        """Read a file, which is judged again.

        Raises:
            PathNotFound: It is no longer there, or not where it may be read.
            PathUnreadable: It is no file, or is closed to the server.
            TooLarge: It is larger than files may be.
        """
        with _opened(self._locate(found.path)) as file:
            if stat.S_ISDIR(os.fstat(file).st_mode):
                raise PathUnreadable
            try:
                with os.fdopen(file, "rb", closefd=False) as reader:
                    data = reader.read(self._max_file_bytes + 1)
            except OSError as exc:  # a disk that fails
                raise PathUnreadable from exc
        if len(data) > self._max_file_bytes:
            raise TooLarge(f"The file is larger than {self._max_file_bytes} bytes.")
        return data

    def _locate(self, path: str) -> _Place:
        """Follow all links and judge where they lead; nothing is opened yet."""
        wanted = _read_path(path)
        for named in self._named:
            with suppress(OSError):
                roots = {named, _resolve(named)}
                if any(wanted.is_relative_to(root) for root in roots):
                    return self._judge(_resolve(wanted))
        raise PathNotFound

    def _judge(self, real: Path) -> _Place:
        for named in self._named:
            with suppress(OSError):
                root = _resolve(named)
                parts = real.relative_to(root).parts if real.is_relative_to(root) else None
                if parts is not None and not any(map(_is_hidden, parts)):
                    return _Place(root=root, parts=parts)
        raise PathNotFound

    def _list(self, place: _Place, recursive: bool) -> Iterator[FoundFile]:
        walk = _Walk(self._follow, _Allowance(self._max_files), recursive=recursive)
        with _opened(place) as folder:
            yield from walk.through(folder, place.path, DEPTH_MAX)

    def _follow(self, link: Path) -> Iterator[FoundFile]:
        with suppress(PathNotAllowed, PathNotFound, PathUnreadable):
            target = self._locate(str(link))
            state = _examine(target)
            if stat.S_ISREG(state.st_mode):
                yield _describe(target.path, state)

    def _count(self, files: Iterator[FoundFile]) -> Iterator[FoundFile]:
        for number, file in enumerate(files):
            if number == self._max_files:
                raise TooManyFiles(
                    f"There are more than {self._max_files} files; name a smaller folder."
                )
            yield file


class _Walk:
    """One search through folders."""

    def __init__(
        self,
        follow: Callable[[Path], Iterator[FoundFile]],
        allowance: _Allowance,
        *,
        recursive: bool,
    ) -> None:
        self._follow = follow
        self._allowance = allowance
        self._recursive = recursive

    def through(self, folder: int, path: Path, depth: int) -> Iterator[FoundFile]:
        """The files of an open folder and of those below it, as deep as is said."""
        for name in self._names(folder):
            yield from self._look_at(folder, path / name, depth)

    def _names(self, folder: int) -> list[str]:
        names: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                self._allowance.take()
                if not _is_hidden(entry.name):
                    names.append(entry.name)
        return sorted(names)

    def _look_at(self, folder: int, path: Path, depth: int) -> Iterator[FoundFile]:
        try:
            state = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
        except OSError:  # it has gone meanwhile
            return
        if stat.S_ISREG(state.st_mode):
            yield _describe(path, state)
        elif stat.S_ISLNK(state.st_mode):
            yield from self._follow(path)
        elif stat.S_ISDIR(state.st_mode) and self._recursive:
            if depth == 0:
                raise TooManyFiles(f"The folder is nested deeper than {DEPTH_MAX} folders.")
            try:
                below = os.open(path.name, _FOLDER, dir_fd=folder)
            except OSError:
                yield _describe(path, state)  # to be named among what could not be read
                return
            try:
                yield from self.through(below, path, depth - 1)
            finally:
                os.close(below)


def _read_path(text: str) -> PurePosixPath:
    path = PurePosixPath(text)
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise PathNotAllowed from exc
    if len(text) > PATH_MAX_CHARS or "\0" in text or not path.is_absolute() or ".." in path.parts:
        raise PathNotAllowed
    return path


def _resolve(path: PurePath) -> Path:
    return Path(os.path.realpath(path, strict=True))


@contextmanager
def _opened(place: _Place) -> Iterator[int]:
    """Open step by step from the root: a link that has come in between is not followed.

    Raises:
        PathNotFound: It is not there any more, or not as it was judged.
        PathUnreadable: It is neither a file nor a folder, or is closed to the server.
    """
    try:
        opened = os.open(place.root, _FOLDER)
        for name in place.parts:
            try:
                below = _open_in(opened, name)
            finally:
                os.close(opened)
            opened = below
    except PermissionError as exc:
        raise PathUnreadable from exc
    except OSError as exc:
        raise PathNotFound from exc
    try:
        yield opened
    finally:
        os.close(opened)


def _examine(place: _Place) -> os.stat_result:
    with _opened(place) as opened:
        return os.fstat(opened)


def _open_in(folder: int, name: str) -> int:
    kind = stat.S_IFMT(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    if kind not in _FLAGS:
        raise PathUnreadable  # and is not opened: that can do something to a device
    opened = os.open(name, _FLAGS[kind], dir_fd=folder)
    if stat.S_IFMT(os.fstat(opened).st_mode) != kind:
        os.close(opened)
        raise PathNotFound
    return opened


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _describe(path: Path, state: os.stat_result) -> FoundFile:
    # A name that is no UTF-8 can be told but not read: then nothing is found under it.
    told = os.fsencode(path).decode("utf-8", "replace")
    return FoundFile(path=told, size_bytes=state.st_size)
