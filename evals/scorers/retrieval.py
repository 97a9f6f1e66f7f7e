"""Judges of what was found and what was cited: recall, nDCG, MRR, citations.

`expect.relevant` names what is relevant: file names, or `name#page`, each with a grade if need be.
A file that was found in several passages counts where it came first. Of a conversation,
what its last search found is ranked.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveInt

from evals.scorers.verdict import Expectation, Judge, Verdict
from evals.target.answer import Answer, FoundSource


class RankOptions(BaseModel):
    """How far down is looked, and for what."""

    model_config = ConfigDict(extra="forbid")

    k: PositiveInt = 5
    grade: NonNegativeFloat = 0
    """What has a lower grade does not count."""


class CitationOptions(BaseModel):
    """What counts as relevant."""

    model_config = ConfigDict(extra="forbid")

    grade: NonNegativeFloat = 0
    """What has a lower grade does not count."""


def recall(options: RankOptions) -> Judge:
    """The share of what is relevant that is among the first k."""

    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        relevant = relevant_in(expected, least=options.grade)
        if not relevant:
            return None
        found = set(ranking(answer.ranked, relevant)[: options.k]) & relevant.keys()
        return Verdict(value=len(found) / len(relevant), explanation=_missing(relevant, found))

    return judge


def ndcg(options: RankOptions) -> Judge:
    """How near the order of the first k is to the best one, by grades."""

    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        relevant = relevant_in(expected, least=options.grade)
        if not relevant:
            return None
        ranked = ranking(answer.ranked, relevant)[: options.k]
        best = sorted(relevant.values(), reverse=True)[: options.k]
        gain = _gain(relevant.get(name, 0.0) for name in ranked)
        return Verdict(value=gain / _gain(best), explanation=f"found {ranked}")

    return judge


def mrr(options: RankOptions) -> Judge:
    """One over the place of the first that is relevant; 0 when none is among the first k."""

    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        relevant = relevant_in(expected, least=options.grade)
        if not relevant:
            return None
        ranked = ranking(answer.ranked, relevant)[: options.k]
        place = next((n for n, name in enumerate(ranked, start=1) if name in relevant), None)
        return Verdict(value=1 / place if place else 0.0, explanation=f"found {ranked}")

    return judge


def citation_precision(options: CitationOptions) -> Judge:
    """The share of what the answer cites that is relevant; what does not exist is not."""

    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        relevant = relevant_in(expected, least=options.grade)
        if not relevant:
            return None
        cited = [each for each in answer.sources if each.cited]
        count = len(cited) + len(answer.unknown_citations)
        if count == 0:
            return Verdict(value=0.0, explanation="nothing is cited")
        right = [each for each in cited if _name(each, relevant) in relevant]
        told = [*(_name(each, relevant) for each in cited), *answer.unknown_citations]
        return Verdict(value=len(right) / count, explanation=f"cited {told}")

    return judge


def citation_recall(options: CitationOptions) -> Judge:
    """The share of what is relevant that the answer cites."""

    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        relevant = relevant_in(expected, least=options.grade)
        if not relevant:
            return None
        cited = {_name(each, relevant) for each in answer.sources if each.cited}
        found = cited & relevant.keys()
        return Verdict(value=len(found) / len(relevant), explanation=_missing(relevant, found))

    return judge


def relevant_in(expected: Expectation, *, least: float = 0) -> dict[str, float]:
    """What a sample calls relevant, with grades; a name alone has grade 1."""
    given: Any = expected.more.get("relevant") or {}
    if isinstance(given, Mapping):
        grades = {str(name): float(grade) for name, grade in given.items()}
        return {name: grade for name, grade in grades.items() if grade > 0 and grade >= least}
    return dict.fromkeys(given, 1.0)


def ranking(sources: Sequence[FoundSource], relevant: Mapping[str, float]) -> list[str]:
    """The names of what was found, each where it came first."""
    return list(dict.fromkeys(_name(each, relevant) for each in sources))


def _name(source: FoundSource, relevant: Mapping[str, float]) -> str:
    """With its page where the sample asks for pages of this file."""
    paged = f"{source.filename}#{source.page}"
    if any(name.startswith(f"{source.filename}#") for name in relevant):
        return paged
    return source.filename


def _gain(grades: Iterable[float]) -> float:
    return sum(grade / math.log2(place + 1) for place, grade in enumerate(grades, start=1))


def _missing(relevant: Mapping[str, float], found: set[str]) -> str:
    missing = sorted(relevant.keys() - found)
    return f"missing {missing}" if missing else ""
