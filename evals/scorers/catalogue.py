"""All judges by the names that suites call them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from evals.scorers import behaviour, retrieval, structured, text, trajectory
from evals.scorers.verdict import Judge


@dataclass(frozen=True, kw_only=True)
class JudgeKind:
    """A judge that suites can name."""

    build: Callable[[Any], Judge]
    options: type[BaseModel]
    is_measure: bool = False
    """Whether it says how much and not how right; no answer passes or fails by it."""

    @property
    def meaning(self) -> str:
        """One sentence."""
        return (self.build.__doc__ or "").strip()


JUDGES = {
    "exact": JudgeKind(build=text.exact, options=text.TextOptions),
    "includes": JudgeKind(build=text.includes, options=text.TextOptions),
    "regex": JudgeKind(build=text.regex, options=text.RegexOptions),
    "numeric": JudgeKind(build=structured.numeric, options=structured.NumericOptions),
    "json_schema": JudgeKind(build=structured.json_schema, options=structured.SchemaOptions),
    "tool_trajectory": JudgeKind(
        build=trajectory.tool_trajectory, options=trajectory.TrajectoryOptions
    ),
    "recall": JudgeKind(build=retrieval.recall, options=retrieval.RankOptions),
    "ndcg": JudgeKind(build=retrieval.ndcg, options=retrieval.RankOptions),
    "mrr": JudgeKind(build=retrieval.mrr, options=retrieval.RankOptions),
    "citation_precision": JudgeKind(
        build=retrieval.citation_precision, options=retrieval.CitationOptions
    ),
    "citation_recall": JudgeKind(
        build=retrieval.citation_recall, options=retrieval.CitationOptions
    ),
    "refusal": JudgeKind(build=behaviour.refusal, options=behaviour.RefusalOptions),
    "latency": JudgeKind(
        build=behaviour.latency, options=behaviour.MeasureOptions, is_measure=True
    ),
    "first_token": JudgeKind(
        build=behaviour.first_token, options=behaviour.MeasureOptions, is_measure=True
    ),
    "tokens": JudgeKind(build=behaviour.tokens, options=behaviour.MeasureOptions, is_measure=True),
    "steps": JudgeKind(build=behaviour.steps, options=behaviour.MeasureOptions, is_measure=True),
    "tool_calls": JudgeKind(
        build=behaviour.tool_calls, options=behaviour.MeasureOptions, is_measure=True
    ),
}
MEASURES = frozenset(name for name, kind in JUDGES.items() if kind.is_measure)
