"""Several models side by side."""

from collections.abc import Sequence

from evals.numbers.selectors import PASSED
from evals.records.record import SuiteRecord
from evals.records.summary import SuiteSummary
from evals.reports import wording


def model_table(records: Sequence[SuiteRecord]) -> str:
    """A table of models and metrics for each suite, in Markdown."""
    by_suite: dict[str, list[SuiteSummary]] = {}
    for record in records:
        by_suite.setdefault(record.suite, []).append(SuiteSummary(record))
    return "\n\n".join(_table(name, summaries) for name, summaries in by_suite.items())


def _table(suite: str, summaries: Sequence[SuiteSummary]) -> str:
    metrics = {each.name: each for summary in summaries for each in summary.metrics}
    names = [PASSED, *(name for name in metrics if name != PASSED)]
    lines = [
        f"| {suite} | {' | '.join(names)} | errors |",
        "|---" * (len(names) + 2) + "|",
    ]
    for summary in summaries:
        figures = [
            wording.with_error(summary.figure(name), is_measure=metrics[name].is_measure)
            for name in names
        ]
        model = summary.record.conditions.model
        lines.append(f"| {model} | {' | '.join(figures)} | {len(summary.errors)} |")
    return "\n".join(lines)
