"""Under what a run takes place: revision, settings, versions."""

import hashlib
import secrets
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel

from server.settings import Settings

GIT_SECONDS = 10.0
_ROOT = Path(__file__).parents[2]
_CODE = ("evals", "graph", "loaders", "migrations", "persistence", "server", "tools")
"""Folders of a checkout in which a file that git does not know may change answers."""
UNTRACKED_MAX = 1000
_NOT_BEHAVIOUR = {"data_dir", "log_level"}
"""Settings that change no answer."""


@dataclass(frozen=True, kw_only=True)
class Revision:
    """What the checkout holds; nothing is known outside of one."""

    commit: str | None = None
    dirty: bool | None = None


def read_revision(root: Path = _ROOT) -> Revision:
    """Asks git."""
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return Revision()
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return Revision(commit=commit, dirty=None if changed is None else bool(changed))


def read_changes(root: Path = _ROOT) -> str:
    """A digest of what the checkout holds beyond its revision, files of its own code included.

    What cannot be told is like nothing before: then no two digests are the same.
    """
    changes = _git(root, "diff", "HEAD")
    listed = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *_CODE)
    if changes is None or listed is None:
        return secrets.token_hex(8)
    untracked = sorted(filter(None, listed.split("\0")))
    if len(untracked) > UNTRACKED_MAX:
        return secrets.token_hex(8)
    told = [changes, *(f"{name} {file_digest(root / name)}" for name in untracked)]
    return hashlib.sha256("\0".join(told).encode(errors="surrogateescape")).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Of what a file holds, read piece by piece; one that cannot be read is told by that."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "unreadable"


def settings_digest(settings: Settings) -> str:
    """The same for installations that are set alike; secrets have no part in it."""
    shown = settings.model_dump_json(exclude=_NOT_BEHAVIOUR)
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


def samples_digest(samples: Iterable[BaseModel], *others: bytes) -> str:
    """The same for the same questions."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(sample.model_dump_json().encode() + b"\n")
    for other in others:
        digest.update(other)
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    return {name: version(name) for name in ("youworker", "inspect-ai")}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            ["git", *arguments],  # noqa: S607 - whichever git there is
            cwd=root,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
