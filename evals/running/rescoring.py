"""Answers that were kept, judged again by the suite as it is now; the product is asked nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inspect_ai import score_async
from inspect_ai.log import EvalLog, EvalSample, read_eval_log_async, write_eval_log_async
from inspect_ai.model import ChatMessage, get_model
from inspect_ai.scorer import Scorer

from evals.errors import UsageMistake
from evals.records.reading import read_log
from evals.records.record import SuiteRecord
from evals.running.digests import suite_digest
from evals.running.grading import UNGRADED, Grading
from evals.running.task import as_sample, build_scorers
from evals.suite.loading import Suite
from evals.suite.schema import SampleSpec
from evals.target.solver import EXPECT

CHANGED = "what they ask has changed since"
GONE = "the suite has them no more"
UNASKED = "they were not asked"
_MAY_CHANGE = {"tags", EXPECT}
_PLAIN = as_sample(SampleSpec(id="plain", input=["?"])).metadata or {}
"""What older logs do not say of a sample was so of each."""


@dataclass(frozen=True, kw_only=True)
class Rescored:
    """A suite that was judged again."""

    record: SuiteRecord
    log: EvalLog
    left_out: Mapping[str, Sequence[str]]
    """Samples about which nothing is said, by the reason."""


async def rescore(
    before: SuiteRecord, suite: Suite, *, run: str, logs: Path, grading: Grading = UNGRADED
) -> Rescored:
    """Judges the answers in Inspect's log anew; the log on the disk stays as it is.

    Args:
        before: What was recorded of the suite.
        suite: The suite as it is now.
        run: The run that the answers are from.
        logs: The folder with its logs.
        grading: Who grades, where scorers ask for that.

    Raises:
        UsageMistake: The log is not there, or no answer in it is to a question of the suite's.
    """
    spec = suite.spec
    assert spec is not None  # noqa: S101 - tasks in Python are judged by Inspect itself
    log = await _read(before, logs)
    now = {each.id: each for each in suite.samples}
    left_out = _left_out(log, now)
    kept = [each for each in log.samples or () if _asks_the_same(each, now.get(str(each.id)))]
    if not kept:
        raise UsageMistake(
            f"{suite.name}: no answer of {run} is to a question that the suite has now."
        )
    log = await _judge(
        log,
        build_scorers(spec, grader=grading.grader),
        [_as_now(each, now[str(each.id)]) for each in kept],
    )
    record = read_log(
        log,
        description=suite.description,
        conditions=replace(
            before.conditions,
            selection=_selection(before, left_out),
            samples_digest=suite_digest(suite),
            grader=grading.name,
        ),
        thresholds={name: each.model_dump() for name, each in spec.thresholds.items()},
    )
    record = replace(record, scored_from=run, agreements=grading.agreements)
    return Rescored(record=record, log=log, left_out=left_out)


async def save_log(scored: Rescored, folder: Path) -> None:
    """Writes Inspect's log with the new scores beside the record."""
    await write_eval_log_async(scored.log, str(folder / scored.record.log))


async def _read(before: SuiteRecord, logs: Path) -> EvalLog:
    name = Path(before.log).name
    if not name or not (logs / name).is_file():
        raise UsageMistake(
            f"the answers of {before.title!r} are not there: {str(logs)!r} has no log {name!r}."
        )
    return await read_eval_log_async(str(logs / name), resolve_attachments=True)


async def _judge(log: EvalLog, scorers: list[Scorer], asked: Sequence[EvalSample]) -> EvalLog:
    """Scores what was answered; to an error there is nothing to say."""
    errors = [each for each in asked if each.error is not None]
    log.samples = [each for each in asked if each.error is None]
    if log.samples:
        log = await score_async(
            log, scorers, model=get_model("none"), action="overwrite", copy=False
        )
    log.samples = [*(log.samples or ()), *errors]
    return log


def _left_out(log: EvalLog, now: Mapping[str, SampleSpec]) -> dict[str, list[str]]:
    asked = {str(each.id): each for each in log.samples or ()}
    found = {
        CHANGED: [n for n in asked if n in now and not _asks_the_same(asked[n], now[n])],
        GONE: [name for name in asked if name not in now],
        UNASKED: [name for name in now if name not in asked],
    }
    return {reason: names for reason, names in found.items() if names}


def _asks_the_same(asked: EvalSample, spec: SampleSpec | None) -> bool:
    """Whether the answer is one to the question as it stands now: same words, same asker."""
    if spec is None:
        return False
    now = as_sample(spec)
    return _texts(asked.input) == _texts(now.input) and _put(asked.metadata) == _put(now.metadata)


def _put(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the product was given besides words, and by whom."""
    held = _PLAIN | dict(metadata or {})
    return {name: value for name, value in held.items() if name not in _MAY_CHANGE}


def _texts(asked: str | Sequence[ChatMessage]) -> list[str]:
    return [asked] if isinstance(asked, str) else [message.text for message in asked]


def _as_now(asked: EvalSample, spec: SampleSpec) -> EvalSample:
    """The answer that was given, with what the suite expects now."""
    now = as_sample(spec)
    metadata = asked.metadata | (now.metadata or {})
    return asked.model_copy(update={"target": now.target, "metadata": metadata})


def _selection(before: SuiteRecord, left_out: Mapping[str, Sequence[str]]) -> str:
    told = [before.conditions.selection] if before.conditions.selection else []
    return "; ".join([*told, *(f"without {len(n)}, {why}" for why, n in left_out.items())])
