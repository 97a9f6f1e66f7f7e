"""Answers that an earlier run was given, for runs that ask for them with `--cache`.

They are files of JSON that only their owner can read, as Inspect's logs hold the same.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal

import anyio.to_thread
from pydantic import TypeAdapter, ValidationError

from evals.target.answer import Answer

FOLDER_MODE = 0o700
KEPT_STATUSES = {"success", "awaiting_approval"}
"""An answer that was broken off, or refused, is asked for again."""


@dataclass(frozen=True, kw_only=True)
class CachedAnswer:
    """The answers to all messages of a sample."""

    turns: tuple[Answer, ...]
    form: Literal[1] = 1


_CACHED = TypeAdapter(CachedAnswer)


class AnswerCache:
    """A folder of answers, each under all that it hangs on."""

    def __init__(self, folder: Path, conditions: Mapping[str, Any]) -> None:
        """Args: conditions: what answers hang on besides their sample, such as settings."""
        self._folder = folder
        self._conditions = dict(conditions)

    async def load(self, asked: Mapping[str, Any]) -> tuple[Answer, ...] | None:
        """The answers to what was asked; None when there are none that can be read."""
        try:
            data = await anyio.to_thread.run_sync(self._file(asked).read_bytes)
            return _CACHED.validate_json(data).turns or None
        except (OSError, ValidationError):
            return None

    async def keep(self, asked: Mapping[str, Any], turns: Sequence[Answer]) -> None:
        """Keeps answers that came to an end."""
        if turns and all(each.status in KEPT_STATUSES for each in turns):
            data = _CACHED.dump_json(CachedAnswer(turns=tuple(turns)))
            await anyio.to_thread.run_sync(self._write, self._file(asked), data)

    def _file(self, asked: Mapping[str, Any]) -> Path:
        told = json.dumps({"conditions": self._conditions, "asked": dict(asked)}, sort_keys=True)
        return self._folder / f"{hashlib.sha256(told.encode()).hexdigest()}.json"

    def _write(self, file: Path, data: bytes) -> None:
        """Whole or not at all; the temporary file is made for its owner alone."""
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self._folder, delete=False) as written:
            written.write(data)
        Path(written.name).replace(file)
