"""From Inspect's logs to records."""

import math
from typing import Any

from inspect_ai.log import EvalLog, EvalSample
from inspect_ai.scorer import Score, value_to_float

from evals.records.record import AttemptRecord, Conditions, ScoreRecord, SuiteRecord, finite
from evals.scorers.catalogue import MEASURES
from evals.scorers.scoring import EXPECT
from evals.target.answer import Answer, load_answer
from evals.target.solver import ANSWER

_as_number = value_to_float()


def read_log(
    log: EvalLog,
    *,
    description: str,
    conditions: Conditions,
    thresholds: dict[str, dict[str, float | None]],
) -> SuiteRecord:
    """What a log says of a suite."""
    failed = log.status != "success"
    return SuiteRecord(
        suite=log.eval.task,
        description=description,
        conditions=conditions,
        started=str(log.stats.started_at),
        finished=str(log.stats.completed_at),
        attempts=_attempts(log),
        thresholds=thresholds,
        failure=_failure(log) if failed else None,
        log=log.location.rpartition("/")[2],
    )


def _attempts(log: EvalLog) -> tuple[AttemptRecord, ...]:
    """In the suite's order, which is not that of the log."""
    attempts = [_attempt(each) for each in log.samples or ()]
    order = [str(each) for each in log.eval.dataset.sample_ids or ()]
    places = {name: place for place, name in enumerate(order)}
    return tuple(
        sorted(attempts, key=lambda each: (places.get(each.sample, len(places)), each.epoch))
    )


def _failure(log: EvalLog) -> str:
    return log.error.message if log.error else f"it ended as {log.status}."


def _attempt(sample: EvalSample) -> AttemptRecord:
    texts = [sample.input] if isinstance(sample.input, str) else [m.text for m in sample.input]
    targets = [sample.target] if isinstance(sample.target, str) else sample.target
    scores = {} if sample.error else sample.scores or {}
    return AttemptRecord(
        sample=str(sample.id),
        epoch=sample.epoch,
        input=tuple(texts),
        target=tuple(each for each in targets if each),
        tags=tuple(sample.metadata.get("tags", ())),
        expect=sample.metadata.get(EXPECT) or {},
        answer=_answer(sample),
        scores={name: _score(each) for name, each in scores.items()},
        measures=tuple(sorted(MEASURES & scores.keys())),
        error=sample.error.message if sample.error else None,
        limit=sample.limit.type if sample.limit else None,
    )


def _answer(sample: EvalSample) -> Answer | None:
    kept: Any = sample.store.get(ANSWER) or (sample.output.metadata or {}).get(ANSWER)
    return load_answer(kept) if kept else None


def _score(score: Score) -> ScoreRecord:
    value = _number(score)
    return ScoreRecord(
        value=value,
        explanation=score.explanation or "",
        reason=score.reason if value is None else None,
    )


def _number(score: Score) -> float | None:
    """Marks of foreign scorers, such as C and I, are numbers too; lists and tables are none."""
    if not isinstance(score.value, str | int | float):
        return None
    if isinstance(score.value, float) and math.isnan(score.value):
        return None
    return finite(_as_number(score.value))
