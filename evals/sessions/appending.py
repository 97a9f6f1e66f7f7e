"""Samples added to a file of JSON lines, whole or not at all."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evals.errors import UsageMistake
from evals.suite.samples import read_samples

PRIVATE = 0o600
"""What somebody has said is for nobody else on this machine."""


def free_id(path: Path, wanted: str) -> str:
    """The name, or one with a number, that no sample of the file has.

    Raises:
        UsageMistake: The file is no file of samples.
    """
    if path.suffix != ".jsonl":
        raise UsageMistake(f"{str(path)!r}: samples are added to files that end in .jsonl.")
    text = _text_of(path)
    taken = {each.id for each in read_samples(path)} if text.strip() else set()
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def append_sample(path: Path, sample: dict[str, Any]) -> str:
    """Adds a sample; returns its id, which gets a number if it is taken by now.

    The file is replaced by one that holds it, readable for its owner alone: who stops the command
    half-way leaves what there was.

    Raises:
        UsageMistake: The file is no file of samples, or cannot be written.
    """
    path = path.resolve()  # what a link names is written, not the link
    try:
        with _locked(path.parent):
            name = free_id(path, sample["id"])
            text = _text_of(path)
            lines = [text.removesuffix("\n")] if text else []
            lines.append(json.dumps(sample | {"id": name}, ensure_ascii=False))
            _replace(path, "\n".join(lines) + "\n")
    except OSError as exc:
        raise UsageMistake(f"{str(path)!r} cannot be written: {exc.strerror}.") from exc
    return name


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageMistake(f"{str(path)!r} cannot be read ({exc}).") from exc


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two commands at once add both of their samples."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)  # of a command that was stopped
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
