"""A point store in memory at its most awkward: everybody else may run between any two points."""

import asyncio
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from persistence.vectors.filters import Filter, Match
from persistence.vectors.point_store import Payload, PointStore, Record, ScoredRecord


class InterleavingStore(PointStore):
    """Writes and deletes one point at a time and gives way in between, as a server may do."""

    def __init__(self, seed: int = 0) -> None:
        self.records: dict[UUID, Record] = {}
        self._random = random.Random(seed)

    async def upsert(self, records: Sequence[Record]) -> None:
        for record in records:
            await self._give_way()
            self.records[record.id] = record
        await self._give_way()

    async def search(
        self, vector: Sequence[float], where: Filter, limit: int
    ) -> list[ScoredRecord]:
        await self._give_way()
        hits = [
            ScoredRecord(id=record.id, payload=record.payload, score=_cosine(vector, record.vector))
            for record in self._matching(where)
            if record.vector is not None
        ]
        await self._give_way()
        return sorted(hits, key=lambda hit: -hit.score)[:limit]

    async def search_terms(
        self, weights: Mapping[int, float], where: Filter, limit: int
    ) -> list[ScoredRecord]:
        await self._give_way()
        hits = [
            ScoredRecord(id=record.id, payload=record.payload, score=_product(weights, record))
            for record in self._matching(where)
            if record.terms.keys() & weights.keys()
        ]
        await self._give_way()
        return sorted(hits, key=lambda hit: -hit.score)[:limit]

    async def count_holders(self, terms: Sequence[int], where: Filter, at_most: int) -> list[int]:
        await self._give_way()
        matching = list(self._matching(where))
        return [min(at_most, sum(term in each.terms for each in matching)) for term in terms]

    async def retrieve(self, ids: Sequence[UUID]) -> list[Payload]:
        await self._give_way()
        found = [self.records[each].payload for each in ids if each in self.records]
        await self._give_way()
        return found

    async def find(self, where: Filter, limit: int) -> list[Payload]:
        await self._give_way()
        found = [record.payload for record in self._matching(where)][:limit]
        await self._give_way()
        return found

    async def set_payload(self, where: Filter, values: Payload) -> None:
        for record in list(self._matching(where)):
            await self._give_way()
            if record.id in self.records:
                changed = {**self.records[record.id].payload, **values}
                self.records[record.id] = replace(self.records[record.id], payload=changed)

    async def delete(self, where: Filter) -> None:
        for record in list(self._matching(where)):
            await self._give_way()
            self.records.pop(record.id, None)

    async def count(self, where: Filter) -> int:
        await self._give_way()
        return len(list(self._matching(where)))

    async def ping(self) -> None:
        await self._give_way()

    def _matching(self, where: Filter) -> Iterator[Record]:
        for record in self.records.values():
            if (
                all(_holds(match, record) for match in where.must)
                and (not where.any_of or any(_holds(match, record) for match in where.any_of))
                and not any(_holds(match, record) for match in where.never)
                and (not where.ids or record.id in where.ids)
            ):
                yield record

    async def _give_way(self) -> None:
        for _ in range(self._random.randrange(4)):
            await asyncio.sleep(0)


def _holds(match: Match, record: Record) -> bool:
    return record.payload.get(match.field) in match.values


def _product(weights: Mapping[int, float], record: Record) -> float:
    return sum(weight * record.terms.get(term, 0.0) for term, weight in weights.items())


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot / (math.hypot(*one) * math.hypot(*other))
