"""Judges of an answer's text: exact, includes, regex."""

import re
import unicodedata

from pydantic import BaseModel, ConfigDict

from evals.scorers.verdict import Expectation, Judge, Verdict, verdict
from evals.target.answer import Answer

_NUMBER_GAPS = re.compile(r"(?<=\d)[,\u00a0\u202f](?=\d{3}\b)")


class ExactOptions(BaseModel):
    """How texts are compared."""

    model_config = ConfigDict(extra="forbid")

    ignore_case: bool = True


class IncludesOptions(BaseModel):
    """How texts are looked for."""

    model_config = ConfigDict(extra="forbid")

    ignore_case: bool = True
    all: bool = False
    """Whether all targets have to be there, or one."""


class RegexOptions(BaseModel):
    """How patterns are looked for."""

    model_config = ConfigDict(extra="forbid")

    ignore_case: bool = True
    whole: bool = False
    """Whether the pattern has to fit the whole answer."""


def exact(options: ExactOptions) -> Judge:
    """The answer is one of the targets, but for spaces around and between words."""

    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        if not expected.target:
            return None
        said = plain(answer.content, ignore_case=options.ignore_case)
        wanted = [plain(each, ignore_case=options.ignore_case) for each in expected.target]
        return verdict(said in wanted, f"one of {list(expected.target)}")

    return judge


def includes(options: IncludesOptions) -> Judge:
    """The answer holds one of the targets, or all of them."""

    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        if not expected.target:
            return None
        said = plain(answer.content, ignore_case=options.ignore_case)
        found = [
            each for each in expected.target if plain(each, ignore_case=options.ignore_case) in said
        ]
        right = len(found) == len(expected.target) if options.all else bool(found)
        missing = [each for each in expected.target if each not in found]
        return verdict(right, f"found {found}" if right else f"missing {missing}")

    return judge


def regex(options: RegexOptions) -> Judge:
    """The answer fits `expect.pattern`."""

    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        pattern = expected.more.get("pattern")
        if pattern is None:
            return None
        fits = re.compile(pattern, re.IGNORECASE if options.ignore_case else 0)
        found = (fits.fullmatch if options.whole else fits.search)(answer.content.strip())
        return verdict(found is not None, f"found {found[0]!r}" if found else f"no {pattern!r}")

    return judge


def plain(text: str, *, ignore_case: bool) -> str:
    """A text in one form: composed characters, single spaces, numbers without gaps."""
    joined = " ".join(unicodedata.normalize("NFKC", _NUMBER_GAPS.sub("", text)).split())
    return joined.casefold() if ignore_case else joined
