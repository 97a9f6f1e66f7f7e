"""A judge of whether an answer says what the passages say that were found.

The figure is the share of the answer's claims that passages bear out, as RAGAS has it
("faithfulness", Es et al. 2024); a claim is a sentence, and several passages that it cites count as
one, as in ALCE (Gao et al. 2023).
"""

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import override

from evals.scorers.behaviour import REFUSALS
from evals.scorers.claims import OVERLAP, Claim, claims_in, missing_in
from evals.scorers.grading import Inquiry, ask_grader
from evals.scorers.model_graded import UNREADABLE, GradedOptions
from evals.scorers.verdict import Expectation, Judge, Verdict, unscored, verdict
from evals.target.answer import Answer, FoundSource
from evals.target.grader import Grader

CLAIMS_MAX = 30
"""Of a longer answer, the first ones are judged."""
PASSAGES_MAX_CHARS = 24_000
"""What a grader is given to read; what the answer cites comes first."""
_CRITERIA = (
    "SUPPORTED: the passages say what the claim says, in whatever words. UNSUPPORTED: they do not "
    "say it, or say something else; that it may be true does not matter."
)
_REFUSAL = re.compile("|".join(REFUSALS), re.IGNORECASE | re.DOTALL)


class GroundednessOptions(GradedOptions):
    """Who judges, and how strictly."""

    by: Literal["words", "model"] = "words"
    """`words`: numbers, names, quotations and a share of the other words; `model`: the grader."""
    overlap: Annotated[float, Field(ge=0, le=1)] = OVERLAP
    """By words: the share of a claim's words that a passage has to have."""

    @property
    @override
    def needs_grader(self) -> bool:
        """Only a model needs one."""
        return self.by == "model"


def groundedness(options: GroundednessOptions, grader: Grader | None) -> Judge:
    """The share of what the answer claims that the passages bear out which were found."""

    async def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        if not answer.sources and not expected.more.get("relevant"):
            return None
        claims = [each for each in claims_in(answer.content) if not _REFUSAL.search(each.text)]
        if not claims:
            return unscored("the answer claims nothing", reason="no_claims")
        if not answer.sources:
            return verdict(False, f"nothing was found, and {len(claims)} claims are made")
        claims = claims[:CLAIMS_MAX]
        if grader is None or options.by == "words":
            faults = [_fault(each, answer.sources, options.overlap) for each in claims]
        else:
            faults = [await _judged(grader, each, answer.sources) for each in claims]
        return _verdict([each for each in faults if each is not None])

    return judge


def passage_of(source: FoundSource) -> str:
    """As much of it as is known."""
    return "\n".join((source.title, source.text or source.snippet))


def _fault(claim: Claim, sources: Sequence[FoundSource], overlap: float) -> str | None:
    """What stands against a claim; empty when a passage bears it out."""
    passages = [passage_of(each) for each in sources]
    cited = [passage_of(each) for each in sources if each.label in claim.labels]
    if len(cited) > 1:
        passages.append("\n".join(cited))
    missing = min((missing_in(claim, each, overlap=overlap) for each in passages), key=len)
    return f"{claim.text!r} (no passage has {', '.join(missing)})" if missing else ""


async def _judged(grader: Grader, claim: Claim, sources: Sequence[FoundSource]) -> str | None:
    """The same by a model; None when its verdict cannot be read."""
    ordered = sorted(sources, key=lambda each: each.label not in claim.labels)
    passages = "\n\n".join(passage_of(each) for each in ordered)[:PASSAGES_MAX_CHARS]
    inquiry = Inquiry(
        criteria=_CRITERIA,
        material={"PASSAGES": passages, "CLAIM": claim.text},
        grades=("SUPPORTED", "UNSUPPORTED"),
    )
    grade = await ask_grader(grader, inquiry)
    if grade is None:
        return None
    return "" if grade.word == "SUPPORTED" else f"{claim.text!r} ({grade.reasons})"


def _verdict(faults: Sequence[str]) -> Verdict:
    """Claims of which nothing can be said are left out."""
    if not faults:
        return unscored("the grader gave no verdict that could be read", reason=UNREADABLE)
    told = [each for each in faults if each]
    value = 1 - len(told) / len(faults)
    return Verdict(value=value, explanation="unsupported: " + "; ".join(told) if told else "")
