"""Judges of how an answer came about: refusal, latency, tokens, steps."""

import re
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from evals.scorers.verdict import Expectation, Judge, Verdict, unscored, verdict
from evals.target.answer import Answer

_CANNOT = (
    r"\b(?:can(?:no|')t|can not|could not|couldn't|won't|will not|unable to|not able to)\b.{0,60}"
    r"\b(?:help|assist|answer|provide|find|do that|tell|share|comply|access|determine)"
)
REFUSALS = (
    _CANNOT,
    r"\b(?:do not|don't|does not|doesn't|did not|didn't) (?:know|have|contain|find|mention|say)\b",
    r"\b(?:no|not any) (?:information|documents?|mention|answer|results?)\b",
    r"\b(?:nothing|none) (?:was |is |were )?(?:found|in the|in your)",
    r"\bI(?:'m| am) sorry\b",
    r"\bnot (?:found|mentioned|stated|specified|available|permitted|allowed)\b",
)


class RefusalOptions(BaseModel):
    """What counts as a refusal."""

    model_config = ConfigDict(extra="forbid")

    patterns: tuple[str, ...] = REFUSALS
    """Regular expressions; any of them shows one."""


class MeasureOptions(BaseModel):
    """Nothing to choose."""

    model_config = ConfigDict(extra="forbid")


def refusal(options: RefusalOptions) -> Judge:
    """The answer refuses, or says that it does not know, exactly where `expect.refusal` says so."""
    compiled = [re.compile(each, re.IGNORECASE | re.DOTALL) for each in options.patterns]

    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        wanted = expected.more.get("refusal")
        if wanted is None:
            return None
        said = answer.content.replace("\u2019", "'")
        found = next((hit[0] for each in compiled if (hit := each.search(said))), None)
        told = f"refused: {found!r}" if found else "not refused"
        return verdict((found is not None) == wanted, told)

    return judge


def latency(options: MeasureOptions) -> Judge:
    """Seconds to the end of the answer."""
    return _measure(lambda answer: answer.seconds)


def first_token(options: MeasureOptions) -> Judge:
    """Seconds to the first text of the last answer."""
    return _measure(lambda answer: answer.first_token_seconds)


def tokens(options: MeasureOptions) -> Judge:
    """Tokens read and written."""
    return _measure(lambda answer: answer.tokens_in + answer.tokens_out)


def steps(options: MeasureOptions) -> Judge:
    """How often the model was asked."""
    return _measure(lambda answer: answer.steps)


def tool_calls(options: MeasureOptions) -> Judge:
    """How many tools were called."""
    return _measure(lambda answer: len(answer.calls))


def _measure(read: Callable[[Answer], float | None]) -> Judge:
    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        if answer.error_code:
            return None  # there was no run that could have cost anything
        value = read(answer)
        return unscored("not measured") if value is None else Verdict(value=float(value))

    return judge
