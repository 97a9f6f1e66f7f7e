"""A judge of what was understood of a recording: word_error_rate."""

import re
import unicodedata
from collections.abc import Sequence

from evals.scorers.behaviour import MeasureOptions
from evals.scorers.verdict import Expectation, Judge, Verdict
from evals.target.answer import Answer

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_SPOKEN = {"mr": "mister", "mrs": "missus", "dr": "doctor"}
"""Words that are said otherwise than they are written."""


def word_error_rate(options: MeasureOptions) -> Judge:
    """Words of `expect.transcript` that are wrong, missing or too many, as a share of its words."""

    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        said = expected.more.get("transcript")
        if said is None:
            return None
        wanted, heard = words_of(said), words_of(answer.transcript)
        return Verdict(
            value=edits(wanted, heard) / max(len(wanted), 1),
            explanation=f"heard {answer.transcript!r}",
        )

    return judge


def words_of(text: str) -> list[str]:
    """The words, without case, punctuation and hyphens; numbers are as they are written."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    return [_SPOKEN.get(each, each) for each in _WORD.findall(plain)]


def edits(wanted: Sequence[str], heard: Sequence[str]) -> int:
    """How many words have to be changed, added or left out to make the one of the other."""
    row = list(range(len(heard) + 1))
    for place, word in enumerate(wanted, start=1):
        diagonal, row[0] = row[0], place
        for column, other in enumerate(heard, start=1):
            changed = diagonal + (word != other)
            diagonal = row[column]
            row[column] = min(changed, diagonal + 1, row[column - 1] + 1)
    return row[-1]
