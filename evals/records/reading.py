"""From Inspect's logs to records."""

import json
import math
from typing import Any

from inspect_ai.event import InfoEvent
from inspect_ai.log import EvalLog, EvalRetryError, EvalSample
from inspect_ai.scorer import Score, value_to_float

from evals.records.record import (
    AttemptRecord,
    Conditions,
    FailedTry,
    ScoreRecord,
    SuiteRecord,
    finite,
)
from evals.scorers.catalogue import MEASURES
from evals.target.answer import Answer, load_answer
from evals.target.media import load_media
from evals.target.solver import ANSWER, CACHED, EXPECT, FAILED, LIMIT, MEDIA

_as_number = value_to_float()
_CANCELLED = ("CancelledError(", "Cancelled(")
"""How Inspect writes down what Ctrl-C ended."""


def read_log(
    log: EvalLog,
    *,
    description: str,
    conditions: Conditions,
    thresholds: dict[str, dict[str, float | None]],
) -> SuiteRecord:
    """What a log says of a suite."""
    attempts = _attempts(log)
    # One that was killed has said nothing of its end; the samples that have one are there.
    stopped = log.status in {"started", "cancelled"}
    return SuiteRecord(
        suite=log.eval.task,
        description=description,
        conditions=conditions,
        started=str(log.stats.started_at),
        finished=str(log.stats.completed_at),
        attempts=attempts,
        thresholds=thresholds,
        failure=_failure(log) if log.status == "error" else None,
        log=log.location.rpartition("/")[2],
        missing=_asked(log) - len(attempts) if stopped else 0,
    )


def _attempts(log: EvalLog) -> tuple[AttemptRecord, ...]:
    """In the suite's order, which is not that of the log."""
    attempts = [read_attempt(each) for each in log.samples or () if not was_stopped(each)]
    order = [str(each) for each in log.eval.dataset.sample_ids or ()]
    places = {name: place for place, name in enumerate(order)}
    return tuple(
        sorted(attempts, key=lambda each: (places.get(each.sample, len(places)), each.epoch))
    )


def was_stopped(sample: EvalSample) -> bool:
    """Whether it was being put when its run was stopped: that is neither an answer nor an error."""
    return sample.error is not None and sample.error.message.startswith(_CANCELLED)


def _failure(log: EvalLog) -> str:
    return log.error.message if log.error else f"it ended as {log.status}."


def _asked(log: EvalLog) -> int:
    samples = log.eval.dataset.samples or 0
    limit = log.eval.config.limit
    chosen = min(samples, limit) if isinstance(limit, int) else samples
    return chosen * (log.eval.config.epochs or 1)


def read_attempt(sample: EvalSample) -> AttemptRecord:
    """What a log says of one sample."""
    texts = [sample.input] if isinstance(sample.input, str) else [m.text for m in sample.input]
    targets = [sample.target] if isinstance(sample.target, str) else sample.target
    scores = {} if sample.error else sample.scores or {}
    failed = _failed(sample.store.get(FAILED)) if sample.error else {}
    return AttemptRecord(
        sample=str(sample.id),
        epoch=sample.epoch,
        input=tuple(texts),
        media=load_media(sample.store.get(MEDIA) or ()),
        target=tuple(each for each in targets if each),
        tags=_tags(sample.metadata.get("tags")),
        expect=sample.metadata.get(EXPECT) or {},
        answer=failed.get("answer") or _answer(sample),
        scores=failed.get("scores") or {name: _score(each) for name, each in scores.items()},
        measures=tuple(sorted(MEASURES & scores.keys())),
        error=sample.error.message if sample.error else None,
        limit=sample.store.get(LIMIT) or (sample.limit.type if sample.limit else None),
        cached=bool(sample.store.get(CACHED)),
        earlier=tuple(
            FailedTry(number=number, error=each.message, **_failed(_kept_by(each)))
            for number, each in enumerate(sample.error_retries or (), start=1)
        ),
    )


def _kept_by(failure: EvalRetryError) -> Any:
    """Of a try that was made again there are its last events."""
    kept = [
        "".join(map(str, each.data))
        for each in failure.events or ()
        if isinstance(each, InfoEvent) and each.source == FAILED and isinstance(each.data, list)
    ]
    return json.loads(kept[-1]) if kept else None


def _failed(kept: Any) -> dict[str, Any]:
    """What there was of an answer that an error ended, and what is against the rules in it."""
    if not kept:
        return {}
    found = {name: ScoreRecord(value=0.0, explanation=why) for name, why in kept["found"].items()}
    return {"answer": load_answer(kept["answer"]), "scores": found}


def _tags(told: Any) -> tuple[str, ...]:
    """Tasks in Python may have anything there."""
    if isinstance(told, str):
        return (told,)
    return tuple(map(str, told)) if isinstance(told, list | tuple) else ()


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
