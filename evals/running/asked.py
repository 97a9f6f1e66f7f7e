"""Whether what a run is to be held to can come of it: told before anything is asked."""

from collections.abc import Sequence

from evals.errors import UsageMistake
from evals.numbers.selectors import PASSED
from evals.records.gate import Bound
from evals.records.record import RunRecord
from evals.suite.loading import Suite
from evals.suite.remedies import one_of
from evals.suite.schema import SampleSpec

Chosen = Sequence[tuple[Suite, Sequence[SampleSpec]]]
"""The suites of a run with those of their samples that are put."""


def require_bounds(texts: Sequence[str], chosen: Chosen) -> None:
    """Each bound is about a metric, a tag and a sample that there is.

    What a task in Python has is known only when it has run.

    Raises:
        UsageMistake: One names nothing.
    """
    bounds = [Bound.parse(text) for text in texts]
    if any(suite.spec is None for suite, _ in chosen):
        return
    for bound in bounds:
        _require_bound(bound, chosen)


def require_baseline(baseline: RunRecord, suites: Sequence[Suite]) -> None:
    """A run is held against one that has a suite of it.

    Raises:
        UsageMistake: It has none.
    """
    held = {each.suite for each in baseline.suites}
    if any(each.spec is None for each in suites) or held & {each.name for each in suites}:
        return
    raise UsageMistake(
        f"--baseline: {baseline.run} has no suite in common with this run; it has "
        f"{', '.join(sorted(held)) or 'none'}."
    )


def _require_bound(bound: Bound, chosen: Chosen) -> None:
    asked = bound.selector
    metrics = [(_metrics(suite), samples) for suite, samples in chosen]
    having = [samples for known, samples in metrics if asked.metric in known]
    if not having:
        known = {name for names, _ in metrics for name in names}
        raise UsageMistake(
            f"--fail-under: there is no metric {asked.metric!r}; {one_of(asked.metric, known)}."
        )
    samples = [each for some in having for each in some]
    if asked.tag is not None:
        tags = {tag for each in samples for tag in each.tags}
        _require_among(bound, "tag", asked.tag, tags)
    if asked.sample is not None:
        _require_among(bound, "id", asked.sample, {each.id for each in samples})


def _require_among(bound: Bound, what: str, name: str, known: set[str]) -> None:
    if name not in known:
        remedy = f"; {one_of(name, known)}" if known else ""
        raise UsageMistake(
            f"--fail-under {bound.name!r}: no sample that is put has the {what} {name!r}{remedy}."
        )


def _metrics(suite: Suite) -> set[str]:
    """What the suite can say, as its thresholds may name it."""
    assert suite.spec is not None  # noqa: S101 - tasks in Python were passed over
    return {PASSED, *suite.spec.metrics}
