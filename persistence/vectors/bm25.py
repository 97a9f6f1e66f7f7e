"""How much each word of a question weighs: more, the fewer of the points in sight have it.

Counted among the points that the filter lets through, never in the whole collection: else one
tenant's scores would tell of another's documents.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from persistence.vectors.filters import Filter, Match
from persistence.vectors.point_store import PointStore
from persistence.vectors.port import QueryWord

BUCKETS = 64
"""Each point is in one of these by its id, so that some of them are a fair sample."""
COUNTED_POINTS = 1000
"""The size of the sample; up to twice as many are all counted."""
COMMON_WORD_RARITY = 0.2
LEAST_RARITY = 2.0
"""A question of nothing but common words is found nowhere in earnest."""
IMAGINED_POINTS = 100
"""Points without any of the words, imagined beside those that there are: in a collection of one
chunk too, a word that it has is a find."""


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """A question, weighed."""

    weights: Mapping[int, float]
    """For each term that some point may have."""
    total: float
    """What all words of the question weigh together."""


async def weigh_words(store: PointStore, words: Sequence[QueryWord], where: Filter) -> Weighing:
    """Weigh the words of a question by how rare they are among the points of the filter."""
    counted = [word for word in words if not word.is_common]
    terms = [term for word in counted for term in word.terms]
    points = await store.count(where) if terms else 0
    is_sample = points > 2 * COUNTED_POINTS
    if is_sample:
        buckets = max(1, BUCKETS * COUNTED_POINTS // points)
        where = where.and_also(Match(field="bucket", values=tuple(range(buckets))))
        points = await store.count(where)
    holders = await store.count_holders(terms, where, points) if points else [0] * len(terms)
    holders_of = dict(zip(terms, holders, strict=True))
    weights: dict[int, float] = {}
    total = 0.0
    for word in words:
        rarity = COMMON_WORD_RARITY
        if not word.is_common:
            rarity = _rarity(sum(holders_of[term] for term in word.terms), points)
        total += rarity
        for term in word.terms:
            if word.is_common or is_sample or holders_of[term]:
                weights[term] = rarity
    return Weighing(weights=weights, total=max(total, LEAST_RARITY))


def _rarity(holders: int, points: int) -> float:
    holders = min(holders, points)
    return math.log1p((points + IMAGINED_POINTS - holders + 0.5) / (holders + 0.5))
