"""What the index needs of an engine: points with a vector and a payload."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from persistence.vectors.filters import Filter

Payload = Mapping[str, Any]

VECTOR_NAME = "dense"
INTEGER_FIELDS = ("document_id", "owner_id", "group_id")
KEYWORD_FIELDS = ("kind", "generation", "passage_id")
UPSERT_BATCH_POINTS = 256


@dataclass(frozen=True, kw_only=True)
class Record:
    """One point of the engine."""

    id: UUID
    payload: Payload
    vector: Sequence[float] | None = None
    """None for bookkeeping, which no search by nearness finds; never filled when reading."""


@dataclass(frozen=True, kw_only=True)
class ScoredRecord:
    """One point of the engine that a search found."""

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
