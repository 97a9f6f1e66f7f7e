"""The record of a run, as it is written down and compared."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from evals.errors import UsageMistake
from evals.target.answer import Answer

FILE = "results.json"
PASS_MARK = 1.0
"""What a scorer has to give an answer for it to pass."""


@dataclass(frozen=True, kw_only=True)
class ScoreRecord:
    """One scorer's word on one answer."""

    value: float | None
    """None when it is unscored."""
    explanation: str = ""
    reason: str | None = None
    """Why it is unscored."""


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """One answer to one sample, or the error that stood in its way."""

    sample: str
    epoch: int
    input: tuple[str, ...]
    target: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    expect: Mapping[str, Any] = field(default_factory=dict)
    answer: Answer | None = None
    """None when it failed, or did not come within the limits."""
    scores: Mapping[str, ScoreRecord] = field(default_factory=dict)
    measures: tuple[str, ...] = ()
    """Those of the scores that say how much and not how right."""
    error: str | None = None
    """Of the product or its surroundings: no wrong answer."""
    limit: str | None = None
    """Which limit it met."""

    @property
    def passed(self) -> bool | None:
        """Whether no scorer found anything wrong; None when it was not judged."""
        if self.error is not None:
            return None
        judged = [
            each.value
            for name, each in self.scores.items()
            if name not in self.measures and each.value is not None
        ]
        return all(value >= PASS_MARK for value in judged) if judged else None


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Under what the answers came about."""

    target: str
    model: str
    seed: int
    settings_digest: str | None
    """Of what the product was set to, where it was started here."""
    git_revision: str | None
    git_dirty: bool | None
    versions: Mapping[str, str] = field(default_factory=dict)
    epochs: int = 1
    selection: str = ""
    """Which of the suite's samples were put, if not all."""
    samples_digest: str = ""
    """Of the samples and the suite's file: other digests, other questions."""


@dataclass(frozen=True, kw_only=True)
class SuiteRecord:
    """One suite on one model."""

    suite: str
    description: str
    conditions: Conditions
    started: str
    finished: str
    attempts: tuple[AttemptRecord, ...]
    thresholds: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    failure: str | None = None
    """Why the whole suite came to nothing."""
    log: str = ""
    """Inspect's own log, beside this file."""

    @property
    def title(self) -> str:
        """The suite and the model."""
        return f"{self.suite} · {self.conditions.model}"


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What one command has run."""

    run: str
    suites: tuple[SuiteRecord, ...]
    form: Literal[1] = 1
    """Of the file; another number is another form."""


_RUN = TypeAdapter(RunRecord)


def finite(value: float) -> float | None:
    """None for what is no number."""
    return value if math.isfinite(value) else None


def dump_run(record: RunRecord) -> bytes:
    """As JSON."""
    return _RUN.dump_json(record, indent=1)


def load_run(path: Path) -> RunRecord:
    """Reads a run by its folder or file.

    Raises:
        UsageMistake: There is none, or it is something else.
    """
    file = path / FILE if path.is_dir() else path
    try:
        return _RUN.validate_json(file.read_bytes())
    except OSError as exc:
        raise UsageMistake(f"{str(path)!r} is no run: give the folder of one.") from exc
    except ValidationError as exc:
        raise UsageMistake(f"{str(file)!r} is no record of a run that this version reads.") from exc
