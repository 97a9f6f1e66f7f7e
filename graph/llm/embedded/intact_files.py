"""Tells whether a cached file still holds what was written, without hashing it at every start.

Beside each file lies a stamp: size, time of change and SHA-256 of when it was known to be right.
While size and time agree with the stamp the file is taken as intact; otherwise it is hashed.
"""

import hashlib
import json
import os
from pathlib import Path

CHUNK_BYTES = 1024 * 1024


def write_stamp(path: Path, sha256: str) -> None:
    """Record that the file, as it is now, has this hash."""
    stat = path.stat()
    stamp = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": sha256}
    _write_whole(_stamp_of(path), json.dumps(stamp).encode())


def is_intact(path: Path, *, sha256: str | None = None) -> bool:
    """Whether the file holds what its stamp, and `sha256` when given, say. Blocking.

    A file that was touched but holds the right bytes gets a fresh stamp.
    """
    try:
        stat = path.stat()
        stamp = json.loads(_stamp_of(path).read_bytes())
        known, unchanged = (
            stamp["sha256"],
            stamp["size"] == stat.st_size and stamp["mtime_ns"] == stat.st_mtime_ns,
        )
    except FileNotFoundError:
        known, unchanged = sha256, False
    except (ValueError, KeyError, TypeError):
        known, unchanged = sha256, False
    wanted = sha256 or known
    if wanted is None or not path.is_file():
        return False
    if unchanged and known == wanted:
        return True
    if hash_file(path) != wanted:
        return False
    write_stamp(path, wanted)
    return True


def hash_file(path: Path) -> str:
    """The SHA-256 of a file as hex digits. Blocking."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _stamp_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.stamp")


def _write_whole(path: Path, data: bytes) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    draft.write_bytes(data)
    draft.replace(path)
