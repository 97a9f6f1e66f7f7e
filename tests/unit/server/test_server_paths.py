"""Files of the server: what lies below the open folders is read, and nothing else is told of."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from persistence.account_records import User
from server.documents.paths import DEPTH_MAX, FoundFile, ServerPaths
from server.errors import (
    NotAuthorized,
    PathNotAllowed,
    PathNotFound,
    PathUnreadable,
    ServerError,
    TooLarge,
    TooManyFiles,
)
from server.security.principal import Principal, scope_of
from server.settings import SourceSettings

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An open folder, with something beside it that is nobody's business."""
    folder = tmp_path / "open"
    (folder / "plans" / "old").mkdir(parents=True)
    (folder / "plans" / "a.txt").write_text("plan a")
    (folder / "plans" / "b.txt").write_text("plan b, longer")
    (folder / "plans" / "old" / "c.txt").write_text("plan c")
    (folder / "plans" / ".hidden.txt").write_text("hidden")
    (folder / "plans" / ".git").mkdir()
    (folder / "plans" / ".git" / "config").write_text("hidden")
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "secret.txt").write_text("secret")
    return folder


def paths(*roots: Path, **settings: object) -> ServerPaths:
    return ServerPaths(SourceSettings.model_validate({"roots": roots, **settings}))


def names(found: list[FoundFile]) -> list[str]:
    return [Path(each.path).name for each in found]


def find(server_paths: ServerPaths, path: Path | str, *, recursive: bool = True) -> list[FoundFile]:
    return list(server_paths.find(str(path), recursive=recursive))


def refusal_of(act: Callable[[], object]) -> tuple[type[ServerError], str]:
    with pytest.raises(ServerError) as refusal:
        act()
    return refusal.type, str(refusal.value)


def test_a_file_is_found_and_read(root: Path):
    [found] = find(paths(root), root / "plans" / "b.txt")
    assert (found.path, found.size_bytes) == (str(root / "plans" / "b.txt"), 14)
    assert paths(root).read(found) == b"plan b, longer"


def test_a_folder_is_searched_without_what_is_hidden(root: Path):
    assert names(find(paths(root), root)) == ["a.txt", "b.txt", "c.txt"]
    assert names(find(paths(root), root / "plans", recursive=False)) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("path", ["", "plans", "./plans", "~/plans", "C:\\plans", "file:///plans"])
def test_a_path_that_is_not_absolute_is_refused(root: Path, path: str):
    assert refusal_of(lambda: paths(root).find(path, recursive=True))[0] is PathNotAllowed


@pytest.mark.parametrize(
    "tail", ["..", "../closed/secret.txt", "plans/../../closed", "a\0b", "\ud800"]
)
def test_a_path_that_climbs_or_is_no_text_is_refused(root: Path, tail: str):
    assert (
        refusal_of(lambda: paths(root).find(f"{root}/{tail}", recursive=True))[0] is PathNotAllowed
    )


def test_what_lies_outside_looks_like_what_is_not_there(root: Path):
    (root / "out.txt").symlink_to(root.parent / "closed" / "secret.txt")
    (root / "out").symlink_to(root.parent / "closed")
    (root / "broken").symlink_to(root / "nothing")
    (root / "circle").symlink_to(root / "circle")
    (root / "deep").symlink_to("/proc/self/root")
    server_paths = paths(root)
    outside = [
        root.parent,
        root.parent / "closed",
        root.parent / "closed" / "secret.txt",
        Path("/"),
        Path("/etc/passwd"),
        Path("/no/such/thing"),
        Path(f"{root}-sibling"),
        root / "out.txt",
        root / "out",
        root / "out" / "secret.txt",
        root / "broken",
        root / "circle",
        root / "deep" / "etc" / "passwd",
        root / "nothing",
        root / "plans" / "a.txt" / "x",
        root / "plans" / ".hidden.txt",
        root / "plans" / ".git" / "config",
        root / ("n" * 300),
    ]
    refusals = {
        refusal_of(lambda path=path: server_paths.find(str(path), recursive=True))
        for path in outside
    } | {
        refusal_of(lambda path=path: server_paths.read(FoundFile(path=str(path), size_bytes=1)))
        for path in outside
    }
    assert refusals == {(PathNotFound, PathNotFound.message)}
    assert names(find(server_paths, root)) == ["a.txt", "b.txt", "c.txt"]


def test_without_open_folders_there_is_nothing(root: Path):
    assert refusal_of(lambda: paths().find(str(root), recursive=True))[0] is PathNotFound
    gone = paths(root / "not-mounted")
    assert (
        refusal_of(lambda: gone.find(str(root / "not-mounted"), recursive=True))[0] is PathNotFound
    )


def test_links_are_followed_to_what_is_open(root: Path, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "d.txt").write_text("plan d")
    (root / "link.txt").symlink_to(other / "d.txt")
    (root / "up").symlink_to(root)
    (root / "shown.txt").symlink_to(root / "plans" / ".hidden.txt")
    [found] = find(paths(root, other), root / "link.txt")
    assert found.path == str(other / "d.txt")
    assert paths(root, other).read(found) == b"plan d"
    assert names(find(paths(root, other), root)) == ["d.txt", "a.txt", "b.txt", "c.txt"]
    assert names(find(paths(root), root / "up" / "plans", recursive=False)) == ["a.txt", "b.txt"]


def test_an_open_folder_can_itself_be_named_by_a_link(root: Path, tmp_path: Path):
    alias = tmp_path / "alias"
    alias.symlink_to(root)
    by_alias = paths(alias)
    for name in (alias, root):
        [found] = find(by_alias, name / "plans" / "a.txt")
        assert by_alias.read(found) == b"plan a"


def test_nothing_but_files_is_opened(root: Path):
    os.mkfifo(root / "pipe")
    (root / "device").symlink_to("/dev/zero")
    assert names(find(paths(root), root)) == ["a.txt", "b.txt", "c.txt"]
    pipe = FoundFile(path=str(root / "pipe"), size_bytes=0)
    assert refusal_of(lambda: paths(root).read(pipe))[0] is PathUnreadable
    assert refusal_of(lambda: paths(root).find(pipe.path, recursive=True))[0] is PathUnreadable
    folder = replace(pipe, path=str(root / "plans"))
    assert refusal_of(lambda: paths(root).read(folder))[0] is PathUnreadable
    if AS_ROOT or os.access("/dev/zero", os.R_OK):
        zero = FoundFile(path="/dev/zero", size_bytes=0)
        assert refusal_of(lambda: paths(Path("/dev")).read(zero))[0] is PathUnreadable


@pytest.mark.skipif(AS_ROOT, reason="nothing is closed to the superuser")
def test_what_is_closed_to_the_server_is_named_and_its_neighbours_are_found(root: Path):
    (root / "plans" / "old").chmod(0)
    (root / "plans" / "a.txt").chmod(0)
    found = find(paths(root), root)
    assert names(found) == ["a.txt", "b.txt", "old"]
    for each in (found[0], found[2]):
        assert refusal_of(lambda each=each: paths(root).read(each))[0] is PathUnreadable
    (root / "plans" / "old").chmod(0o700)


def test_a_file_that_became_a_link_since_it_was_found_is_not_followed(root: Path):
    [found] = find(paths(root), root / "plans" / "a.txt")
    (root / "plans" / "a.txt").unlink()
    (root / "plans" / "a.txt").symlink_to(root.parent / "closed" / "secret.txt")
    assert refusal_of(lambda: paths(root).read(found))[0] is PathNotFound


def test_a_folder_that_turns_into_a_link_all_the_time_lets_nobody_out(root: Path):
    """The swap is tried as fast as it goes, and the secret is never read."""
    honest, swapped = root / "plans" / "honest", root / "swap"
    honest.mkdir()
    (honest / "secret.txt").write_text("honest")
    swapped.symlink_to(honest)
    found = FoundFile(path=str(swapped / "secret.txt"), size_bytes=6)
    stop = threading.Event()

    def swap() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            draft = root / f"draft-{number}"
            draft.symlink_to(root.parent / "closed" if number % 2 else honest)
            draft.rename(swapped)

    swapping = threading.Thread(target=swap)
    swapping.start()
    read = set()
    try:
        for _ in range(500):
            try:
                read.add(paths(root).read(found))
            except PathNotFound:
                read.add(b"")
    finally:
        stop.set()
        swapping.join()
    assert read <= {b"honest", b""}


def test_a_file_that_is_too_large_is_refused(root: Path):
    [found] = find(paths(root), root / "plans" / "b.txt")
    assert paths(root, max_file_bytes=14).read(found)
    assert refusal_of(lambda: paths(root, max_file_bytes=13).read(found))[0] is TooLarge


def test_a_folder_with_too_many_files_is_refused(root: Path):
    assert len(find(paths(root, max_path_files=3), root)) == 3
    assert refusal_of(lambda: find(paths(root, max_path_files=2), root))[0] is TooManyFiles
    for number in range(3):
        (root / f"{number}.txt").touch()
    assert refusal_of(lambda: find(paths(root, max_path_files=2), root))[0] is TooManyFiles


@pytest.mark.parametrize("kind", ["folders", "dead links", "hidden files"])
def test_a_folder_of_anything_but_files_is_not_searched_for_ever(root: Path, kind: str):
    for number in range(30):
        if kind == "folders":
            (root / f"{number}").mkdir()
        elif kind == "dead links":
            (root / f"{number}").symlink_to(root / "nothing")
        else:
            (root / f".{number}").touch()
    assert len(find(paths(root, max_path_files=20), root)) == 3
    assert refusal_of(lambda: find(paths(root, max_path_files=5), root))[0] is TooManyFiles
    assert len(find(paths(root, max_path_files=5), root / "plans")) == 3


def test_a_folder_that_is_too_deep_is_refused(root: Path):
    deep = root / Path(*(["x"] * DEPTH_MAX))
    deep.mkdir(parents=True)
    (deep / "bottom.txt").touch()
    assert "bottom.txt" in names(find(paths(root), root))
    (deep / "x").mkdir()
    assert refusal_of(lambda: find(paths(root), root))[0] is TooManyFiles


def test_a_name_that_is_no_text_is_told_and_not_read(root: Path):
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.txt")).touch()
    strange = next(each for each in find(paths(root), root) if "caf" in each.path)
    strange.path.encode()
    assert refusal_of(lambda: paths(root).read(strange))[0] is PathNotFound


def test_nothing_stays_open(root: Path):
    def open_below() -> list[str]:
        # Others may open and close files meanwhile; the folder that is listed is gone by then.
        files = [file for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
        return [str(file.readlink()) for file in files if str(root) in str(file.readlink())]

    server_paths = paths(root)
    find(server_paths, root)
    server_paths.find(str(root), recursive=True)
    half = server_paths.find(str(root), recursive=True)
    next(half)
    del half
    for path in ("plans", "plans/a.txt", "nothing", "plans/a.txt/x"):
        try:
            server_paths.read(FoundFile(path=str(root / path), size_bytes=1))
        except ServerError:
            continue
    assert open_below() == []


def principal(*, is_root: bool) -> Principal:
    user = User(
        id=1, username="anna", is_root=is_root, is_active=True, created_at=datetime.now(UTC)
    )
    return Principal(user=user, scope=scope_of(user))


def test_root_alone_names_paths_unless_a_setting_opens_them(root: Path):
    paths(root).require_permission(principal(is_root=True))
    with pytest.raises(NotAuthorized):
        paths(root).require_permission(principal(is_root=False))
    paths(root, paths_for_everyone=True).require_permission(principal(is_root=False))


def test_settings_name_folders_with_commas_and_from_the_top(monkeypatch: pytest.MonkeyPatch):
    from server.errors import ConfigurationError
    from server.settings import load_settings

    monkeypatch.setenv("INGEST__ROOTS", "/srv/plans, /srv/notes")
    assert load_settings().ingest.roots == (Path("/srv/plans"), Path("/srv/notes"))
    monkeypatch.setenv("INGEST__ROOTS", "plans")
    with pytest.raises(ConfigurationError, match="INGEST__ROOTS"):
        load_settings()
