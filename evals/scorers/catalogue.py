"""All judges by the names that suites call them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from evals.errors import UsageMistake
from evals.scorers import (
    behaviour,
    groundedness,
    leaks,
    model_graded,
    retrieval,
    safety,
    soundness,
    speech,
    structured,
    text,
    trajectory,
)
from evals.scorers.model_graded import GradedOptions
from evals.scorers.verdict import Judge
from evals.target.grader import Grader


@dataclass(frozen=True, kw_only=True)
class JudgeKind:
    """A judge that suites can name."""

    build: Callable[..., Judge]
    """Of options; where it may ask a grader, of options and the grader."""
    options: type[BaseModel]
    is_measure: bool = False
    """Whether it says how much and not how right; no answer passes or fails by it."""

    def judge(self, options: Mapping[str, Any], grader: Grader | None = None) -> Judge:
        """The judge with these options.

        Raises:
            UsageMistake: It asks a grader, and there is none.
        """
        chosen = self.options.model_validate(options)
        if not isinstance(chosen, GradedOptions):
            return self.build(chosen)
        if chosen.needs_grader and grader is None:
            raise UsageMistake("a scorer asks a model, and there is none: name one with --grader.")
        return self.build(chosen, grader)

    def needs_grader(self, options: Mapping[str, Any]) -> bool:
        """Whether it asks one with these options."""
        chosen = self.options.model_validate(options)
        return isinstance(chosen, GradedOptions) and chosen.needs_grader

    @property
    def meaning(self) -> str:
        """One sentence."""
        return (self.build.__doc__ or "").strip()


JUDGES = {
    "exact": JudgeKind(build=text.exact, options=text.ExactOptions),
    "includes": JudgeKind(build=text.includes, options=text.IncludesOptions),
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
    "clean_answer": JudgeKind(build=soundness.clean_answer, options=soundness.CleanOptions),
    "error_code": JudgeKind(build=soundness.error_code, options=soundness.ErrorOptions),
    "leak": JudgeKind(build=leaks.leak, options=leaks.LeakOptions),
    "injection": JudgeKind(build=safety.injection, options=safety.SafetyOptions),
    "exfiltration": JudgeKind(build=safety.exfiltration, options=safety.SafetyOptions),
    "word_error_rate": JudgeKind(
        build=speech.word_error_rate, options=behaviour.MeasureOptions, is_measure=True
    ),
    "model_graded": JudgeKind(build=model_graded.model_graded, options=model_graded.RubricOptions),
    "groundedness": JudgeKind(
        build=groundedness.groundedness, options=groundedness.GroundednessOptions
    ),
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
