"""Inspect's logs in the folder of a run: one for each time that a task was put."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalLog, EvalLogInfo, list_eval_logs, read_eval_log_async
from pydantic import TypeAdapter

from evals.records.agreement import AgreementRecord
from evals.records.reading import read_log
from evals.records.record import Conditions, SuiteRecord

_KEY = "youworker"
_FORMAT: Any = "eval"
_UNRECORDED = {"events", "events_data", "timelines", "messages", "attachments"}
"""Most of a log; no record holds any of it."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which task of a run a log is of."""

    suite: int
    """Its number among those that were asked for."""
    model: int
    task: int = 0
    """Its number in a Python file."""


@dataclass(frozen=True, kw_only=True)
class LogLabel:
    """What a log has to tell for a record to be made of it alone."""

    place: Place
    leg: int
    """1 for the first; a run that goes on begins another one, which holds what the last one had."""
    description: str
    conditions: Conditions
    thresholds: dict[str, dict[str, float | None]]
    notes: tuple[str, ...] = ()
    """What a reader of the figures has to know."""
    agreements: dict[str, AgreementRecord] = field(default_factory=dict)
    """By scorer, how far its grader agrees with people."""

    @property
    def is_graded(self) -> bool:
        """Whether no grader has failed on labelled answers."""
        return not any(each.failure for each in self.agreements.values())

    def as_metadata(self) -> dict[str, Any]:
        """As an eval's metadata hold it; seed and target stand there for Inspect's viewer."""
        conditions = self.conditions
        return {
            "seed": conditions.seed,
            "target": conditions.target,
            _KEY: _LABEL.dump_python(self, mode="json"),
        }


_LABEL = TypeAdapter(LogLabel)


@dataclass(frozen=True, kw_only=True)
class OpenedLog:
    """A log with its samples."""

    label: LogLabel
    info: EvalLogInfo
    log: EvalLog

    @property
    def is_whole(self) -> bool:
        """Whether there is nothing left to put: every sample has an answer, and was graded."""
        answered = all(each.error is None for each in self.log.samples or ())
        return self.log.status == "success" and answered and self.label.is_graded

    @property
    def record(self) -> SuiteRecord:
        """What it says of its suite."""
        return record_of(self.label, self.log)


@dataclass(frozen=True, kw_only=True)
class KeptLog:
    """A log of a run."""

    label: LogLabel
    info: EvalLogInfo

    async def open(self) -> OpenedLog:
        """With its samples, those of a run that was killed too."""
        log = await read_eval_log_async(self.info)
        return OpenedLog(label=self.label, info=self.info, log=log)

    async def read(self) -> SuiteRecord:
        """What it says of its suite, for who does not go on with it."""
        return record_of(self.label, await read_answers(self.info.name))


async def newest_logs(folder: Path) -> dict[Place, KeptLog]:
    """The log of each task with which its run would go on."""
    newest: dict[Place, KeptLog] = {}
    for info in list_eval_logs(str(folder), formats=[_FORMAT], recursive=False):
        header = await read_eval_log_async(info, header_only=True)
        told = (header.eval.metadata or {}).get(_KEY)
        if told is None:
            continue
        label = _LABEL.validate_python(told)
        known = newest.get(label.place)
        if known is None or known.label.leg < label.leg:
            newest[label.place] = KeptLog(label=label, info=info)
    return newest


async def read_answers(location: str) -> EvalLog:
    """A log with no more of its samples than a record holds: whole ones take much memory."""
    return await read_eval_log_async(location, exclude_fields=_UNRECORDED)


def record_of(label: LogLabel, log: EvalLog) -> SuiteRecord:
    """What a log says of its suite."""
    record = read_log(
        log,
        description=label.description,
        conditions=label.conditions,
        thresholds=label.thresholds,
    )
    return replace(record, notes=label.notes, agreements=label.agreements)


async def read_records(folder: Path) -> list[SuiteRecord]:
    """What there is of a run, in the order in which it was asked for."""
    newest = await newest_logs(folder)
    ordered = sorted(newest.items(), key=lambda each: tuple(asdict(each[0]).values()))
    return [await kept.read() for _, kept in ordered]
