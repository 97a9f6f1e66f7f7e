"""Records made for tests."""

from evals.records.record import (
    AttemptRecord,
    Conditions,
    RunRecord,
    ScoreRecord,
    SuiteRecord,
)
from evals.target.answer import Answer, CalledTool, FoundSource

ANSWER = Answer(
    content="It is <noon> in Tokyo [a1].",
    calls=(CalledTool(name="datetime.now", arguments={"timezone": "Tokyo"}, result="12:00"),),
    sources=(FoundSource(filename="t.md", title="T", label="a1", cited=True, snippet="noon"),),
    seconds=1.5,
    run_ids=("r1",),
)


def attempt(sample, value=1.0, *, epoch=1, tags=(), error=None, latency=2.0):
    scores = {
        "includes": ScoreRecord(value=value, explanation="missing ['noon']"),
        "latency": ScoreRecord(value=latency),
    }
    return AttemptRecord(
        sample=sample,
        epoch=epoch,
        input=("Time & date?",),
        target=("noon",),
        tags=tags,
        answer=None if error else ANSWER,
        scores={} if error else scores,
        measures=("latency",),
        error=error,
    )


def suite_record(*attempts, name="mine", thresholds=None, agreements=None, **conditions):
    held = {
        "target": "in process",
        "model": "m",
        "seed": 1,
        "settings_digest": "d1",
        "git_revision": "abc",
        "git_dirty": False,
        "samples_digest": "s1",
    }
    return SuiteRecord(
        suite=name,
        description="One of mine.",
        conditions=Conditions(**(held | conditions)),
        started="2026-01-01",
        finished="2026-01-02",
        attempts=attempts,
        thresholds=thresholds or {},
        agreements=agreements or {},
    )


def run_record(*suites, run="r", **more):
    return RunRecord(run=run, suites=suites, **more)
