"""A judge that asks a model by a rubric."""

from collections import Counter
from statistics import median_low
from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveInt, field_validator

from evals.scorers.grading import Grade, Inquiry, ask_grader
from evals.scorers.verdict import Expectation, Judge, Verdict, unscored, verdict
from evals.target.answer import Answer
from evals.target.grader import Grader

Scale = Literal["pass/fail", "1-5"]
GRADES: dict[Scale, dict[str, float]] = {
    "pass/fail": {"FAIL": 0.0, "PASS": 1.0},
    "1-5": {str(grade): (grade - 1) / 4 for grade in range(1, 6)},
}
"""What each grade is worth, from the worst."""
SAME_AS_TARGET = (
    "The answer is right when it says what one of the right answers says, in whatever words and "
    "with whatever else, and contradicts none of it. It is wrong when it leaves out what was asked "
    "for, says that it does not know, or says something else."
)
_MEANING: dict[Scale, str] = {
    "pass/fail": "PASS: the answer meets all criteria. FAIL: it does not.",
    "1-5": "5: the answer meets the criteria fully. 3: in part. 1: not at all.",
}
UNREADABLE = "unreadable"
"""Why an answer is unscored whose grader gave no verdict."""


class GradedOptions(BaseModel):
    """Options of a judge that may ask a grader."""

    model_config = ConfigDict(extra="forbid")

    @property
    def needs_grader(self) -> bool:
        """Whether it does."""
        return True


class RubricOptions(GradedOptions):
    """By what is judged, and how."""

    rubric: str | None = None
    """The criteria, in words; without them, the answer is held to the targets."""
    scale: Scale = "pass/fail"
    """Grades from 1 to 5 are worth 0 to 1; an answer has passed with a 5."""
    samples: PositiveInt = 1
    """How often the grader is asked; the grade in the middle counts."""
    labelled: str | None = None
    """A file of answers that people have labelled, to see how far the grader agrees with them."""

    @field_validator("samples")
    @classmethod
    def _is_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("give an odd number, so that there is a majority")
        return value

    def value_of(self, label: object) -> float | None:
        """What a label is worth; None when the scale does not have it."""
        if isinstance(label, bool):
            label = "PASS" if label else "FAIL"
        return GRADES[self.scale].get(str(label).upper())


def model_graded(options: RubricOptions, grader: Grader) -> Judge:
    """A model finds that the answer meets a rubric, or says what a target says."""

    async def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        if options.rubric is None and not expected.target:
            return None
        if not answer.content.strip():
            return verdict(False, "nothing was answered")
        inquiry = rubric_inquiry(options, answer, expected)
        asked = [
            await ask_grader(grader, inquiry, number=number) for number in range(options.samples)
        ]
        return _verdict(options.scale, asked)

    return judge


def rubric_inquiry(options: RubricOptions, answer: Answer, expected: Expectation) -> Inquiry:
    """What the grader is asked about an answer."""
    material = {"QUESTION": "\n\n".join(expected.question)}
    if expected.target:
        material["RIGHT ANSWERS"] = "\n".join(f"- {each}" for each in expected.target)
    material["ANSWER"] = answer.content
    return Inquiry(
        criteria=f"{options.rubric or SAME_AS_TARGET}\n{_MEANING[options.scale]}",
        material=material,
        grades=tuple(GRADES[options.scale]),
    )


def _verdict(scale: Scale, asked: list[Grade | None]) -> Verdict:
    """The grade in the middle; of passes and fails, that of the majority."""
    read = [each for each in asked if each is not None]
    if len(read) * 2 <= len(asked):
        return unscored("the grader gave no verdict that could be read", reason=UNREADABLE)
    worth = GRADES[scale]
    middle = median_low([worth[each.word] for each in read])
    word = next(name for name, value in worth.items() if value == middle)
    reasons = next(each.reasons for each in read if each.word == word)
    counts = Counter(each.word for each in read)
    told = ", ".join(f"{counts[name]} {name}" for name in worth if counts[name])
    votes = f" ({told})" if len(asked) > 1 else ""
    return Verdict(value=middle, explanation=f"{word}{votes}: {reasons}".rstrip(": "))
