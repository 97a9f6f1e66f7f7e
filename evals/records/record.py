"""The record of a run, as it is written down and compared."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from evals.errors import UsageMistake
from evals.records.agreement import AgreementRecord
from evals.records.baseline import BaselineRecord
from evals.target.answer import Answer
from evals.target.media import MediaFile

FILE = "results.json"
PASS_MARK = 1.0
"""What a scorer has to give an answer for it to pass."""

UNREADABLE = "unreadable"
"""Why an answer is unscored of which its grader said nothing that can be read."""


@dataclass(frozen=True, kw_only=True)
class ScoreRecord:
    """One scorer's word on one answer."""

    value: float | None
    """None when it is unscored."""
    explanation: str = ""
    reason: str | None = None
    """Why it is unscored."""


@dataclass(frozen=True, kw_only=True)
class FailedTry:
    """An earlier try of the same sample and epoch, which an error ended.

    No figure counts it, except that what it has shown or done against the rules fails the sample.
    """

    number: int
    error: str
    answer: Answer | None = None
    """What there was of it until then."""
    scores: Mapping[str, ScoreRecord] = field(default_factory=dict)
    """Of judges of safety that found something in that."""


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """One answer to one sample, or the error that stood in its way."""

    sample: str
    epoch: int
    input: tuple[str, ...]
    media: tuple[MediaFile, ...] = ()
    """What went with the first message."""
    target: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    expect: Mapping[str, Any] = field(default_factory=dict)
    answer: Answer | None = None
    """What there was of it, if anything, where it failed; None when it met a limit of time."""
    scores: Mapping[str, ScoreRecord] = field(default_factory=dict)
    measures: tuple[str, ...] = ()
    """Those of the scores that say how much and not how right."""
    error: str | None = None
    """Of the product or its surroundings: no wrong answer."""
    limit: str | None = None
    """Which limit it met."""
    cached: bool = False
    """Whether an earlier run was given the answer; how long it took then is no measure."""
    earlier: tuple[FailedTry, ...] = ()
    """What had been tried before the run went on."""

    @property
    def number(self) -> int:
        """Which try of its sample and epoch it is, from 1."""
        return len(self.earlier) + 1

    @property
    def broken_by(self) -> Mapping[str, ScoreRecord]:
        """What judges of safety found in tries that an error ended: no later try mends that."""
        found = {name: score for each in self.earlier for name, score in each.scores.items()}
        return found | dict(self.scores) if self.error is not None else found

    @property
    def passed(self) -> bool | None:
        """Whether no scorer found anything wrong; None when it was not judged."""
        if self.broken_by:
            return False
        if self.error is not None:
            return None
        if self.limit is not None:
            return False
        judged = [
            each.value
            for name, each in self.scores.items()
            if name not in self.measures and each.value is not None
        ]
        if any(value < PASS_MARK for value in judged):
            return False
        unread = any(each.reason == UNREADABLE for each in self.scores.values())
        return True if judged and not unread else None


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
    grader: str | None = None
    """The model that graded answers, where one was asked to."""

    @property
    def grades_itself(self) -> bool:
        """Whether the model was asked about its own answers."""
        return self.grader is not None and self.grader == self.model


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
    agreements: Mapping[str, AgreementRecord] = field(default_factory=dict)
    """By scorer, how far its grader agrees with people."""
    scored_from: str = ""
    """The run whose answers these are, where they were only judged again."""
    missing: int = 0
    """How many answers a run that was stopped has not come to."""
    notes: tuple[str, ...] = ()
    """What a reader of the figures has to know."""

    @property
    def title(self) -> str:
        """The suite and the model."""
        return f"{self.suite} · {self.conditions.model}"


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What one command has run."""

    run: str
    suites: tuple[SuiteRecord, ...]
    unfinished: bool = False
    """Whether it was stopped; `youworker eval retry` goes on."""
    fail_under: tuple[str, ...] = ()
    """The bounds that were asked for, besides the suites' own thresholds."""
    baseline: BaselineRecord | None = None
    """What came of the run that it must not be worse than, if one was named."""
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
