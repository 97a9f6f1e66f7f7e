"""What the index needs of an engine: points with a vector and a payload."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from persistence.vectors.filters import Filter

Payload = Mapping[str, Any]

COLLECTION = "passages"
"""The first collection; those that came in its place have a number too."""
VECTOR_NAME = "dense"
TERMS_NAME = "words"
INTEGER_FIELDS = ("document_id", "owner_id", "group_id", "bucket")
KEYWORD_FIELDS = ("kind", "generation", "passage_id")
UPSERT_BATCH_POINTS = 256


@dataclass(frozen=True, kw_only=True)
class Record:
    """One point of the engine."""

    id: UUID
    payload: Payload
    vector: Sequence[float] | None = None
    """None for bookkeeping, which no search by nearness finds; never filled when reading."""
    terms: Mapping[int, float] = field(default_factory=dict)
    """A second, sparse vector; never filled when reading either."""


@dataclass(frozen=True, kw_only=True)
class ScoredRecord:
    """One point of the engine that a search found."""

    id: UUID
    payload: Payload
    score: float


class PointStore(Protocol):
    """One collection in an engine.

    A write that returned is durable. Writing one point is atomic; writing several is not.
    """

    async def upsert(self, records: Sequence[Record]) -> None:
        """Write the points, over those of the same ids."""
        ...

    async def search(
        self, vector: Sequence[float], where: Filter, limit: int
    ) -> list[ScoredRecord]:
        """The nearest points that fulfil the conditions, nearest first."""
        ...

    async def search_terms(
        self, weights: Mapping[int, float], where: Filter, limit: int
    ) -> list[ScoredRecord]:
        """The points with the largest products of weights, of those that share a term."""
        ...

    async def count_holders(self, terms: Sequence[int], where: Filter, at_most: int) -> list[int]:
        """How many of the points that fulfil the conditions have each term."""
        ...

    async def retrieve(self, ids: Sequence[UUID]) -> list[Payload]:
        """The payloads of those ids that exist, in any order."""
        ...

    async def find(self, where: Filter, limit: int) -> list[Payload]:
        """Payloads of points that fulfil the conditions, in any order."""
        ...

    async def set_payload(self, where: Filter, values: Payload) -> None:
        """Put the values into the payloads of all points that fulfil the conditions."""
        ...

    async def delete(self, where: Filter) -> None:
        """Remove all points that fulfil the conditions."""
        ...

    async def count(self, where: Filter) -> int:
        """How many points fulfil the conditions."""
        ...

    async def ping(self) -> None:
        """Return when the engine answers."""
        ...


class CollectionHost(Protocol):
    """The collections of an engine, by their names."""

    @property
    def is_shared(self) -> bool:
        """Whether other processes may have them open too."""
        ...

    async def exists(self, name: str) -> bool:
        """Whether there is a collection of this name."""
        ...

    def open(self, name: str, *, dimension: int | None) -> AbstractAsyncContextManager[PointStore]:
        """Open a collection as often as need be; one that is not there is made.

        Args:
            name: Which one.
            dimension: The length of its vectors; None for one that is there.

        Raises:
            IndexUnavailable: The engine does not answer or refuses.
        """
        ...

    async def drop(self, name: str) -> None:
        """Remove a collection if it is there, when nobody in this process has it open any more.

        Raises:
            IndexUnavailable: The engine does not answer, or somebody does not let it go.
        """
        ...
