"""Judges as scorers of Inspect's."""

from inspect_ai.model import ChatMessageUser
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from evals.scorers.catalogue import JUDGES
from evals.scorers.verdict import Expectation, Judge, ask_judge
from evals.target.answer import Answer
from evals.target.solver import CACHED, EXPECT, LIMIT, answer_in

NO_ANSWER = Answer(content="")
TIMES = frozenset({"latency", "first_token"})
"""Measures of which an answer from the cache says nothing."""


def as_scorer(name: str, judge: Judge) -> Scorer:
    """A judge as Inspect calls it."""
    is_measure = JUDGES[name].is_measure

    @scorer(metrics=[mean(), stderr()], name=name)
    def scoring() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score | None:
            answer = answer_in(state)
            expected = Expectation(
                target=[each for each in target if each],
                more=state.metadata.get(EXPECT) or {},
                question=_question(state),
            )
            judged = await ask_judge(judge, answer or NO_ANSWER, expected)
            if judged is None:
                return None
            if answer is None:
                return _without_answer(is_measure)
            if name in TIMES and state.store.get(CACHED):
                return Score.unscored(reason="not_measured", explanation="from the cache")
            if not is_measure and (met := state.store.get(LIMIT)):
                return Score(value=0.0, answer=answer.content, explanation=f"limit met: {met}")
            if not judged.is_scored:
                return Score.unscored(reason=judged.reason, explanation=judged.explanation)
            return Score(
                value=judged.value,
                answer=None if is_measure else answer.content,
                explanation=judged.explanation,
            )

        return score

    return scoring()


def _question(state: TaskState) -> list[str]:
    """The messages of the sample, as it was written."""
    if isinstance(state.input, str):
        return [state.input]
    return [each.text for each in state.input if isinstance(each, ChatMessageUser)]


def _without_answer(is_measure: bool) -> Score:
    """What did not come within the limits is wrong; how much it would have cost is unknown."""
    if is_measure:
        return Score.unscored(reason="no_response", explanation="no answer within the limits")
    return Score(value=0.0, reason="no_response", explanation="no answer within the limits")
