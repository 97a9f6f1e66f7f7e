"""The port to the vector index: what the product asks of it, whichever engine answers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import NAMESPACE_URL, UUID, uuid5

from persistence.access import AccessScope

_NAMESPACE = uuid5(NAMESPACE_URL, "youworker:passage")


@dataclass(frozen=True, kw_only=True)
class Point:
    """One chunk of a document, ready to be indexed."""

    position: int
    """The chunk's place in its document, unique there."""
    vector: Sequence[float]
    ciphertext: str
    """The chunk's text and whereabouts, already encrypted: the index never sees plaintext."""
    model: str = ""
    """Whose the vector is."""
    terms: Mapping[int, float] = field(default_factory=dict)
    """The words of the chunk as numbers below 2^32, with their weights: how often each is in it,
    saturated, against the chunk's length."""


@dataclass(frozen=True, kw_only=True)
class QueryWord:
    """One word of a question, in every form that a text may have it in."""

    terms: tuple[int, ...]
    is_common: bool = False
    """It only holds the question together: it counts little, and nobody counts who has it."""


@dataclass(frozen=True, kw_only=True)
class StoredPoint:
    """One chunk as the index holds it."""

    id: UUID
    """`passage_id` of its document and position."""
    document_id: int
    position: int
    ciphertext: str


@dataclass(frozen=True, kw_only=True)
class ScoredPoint(StoredPoint):
    """One chunk that a search found."""

    score: float
    """Cosine similarity to the query, 1.0 at most."""
    overlap: float = 0.0
    """How much of the question's words it has: BM25 over what a chunk of usual length would have
    that holds each of them once. Rare words count most; rare among the points that the scope may
    see, so that nobody learns from it what others have."""


class VectorIndex(Protocol):
    """Points of documents, searched by nearness under an access scope.

    Every method raises `IndexUnavailable` when the engine does not answer in time.
    """

    async def replace(
        self,
        document_id: int,
        points: Sequence[Point],
        *,
        owner_id: int,
        group_id: int | None = None,
    ) -> None:
        """Put these points in the place of all that the document had.

        A reader sees the old points or the new ones, never some of each, and a process that is
        killed half way leaves the old ones in force.

        Raises:
            InvalidVector: a vector does not fit this index; nothing was changed.
        """
        ...

    async def share(self, document_id: int, group_id: int | None) -> None:
        """Let the group find the document's points, and no other group; with None, no group."""
        ...

    async def unshare(self, group_id: int, *, owner_id: int | None = None) -> None:
        """Let the group find nothing any more, or nothing of that owner's."""
        ...

    async def search(
        self,
        vector: Sequence[float],
        *,
        scope: AccessScope,
        limit: int,
        document_ids: Collection[int] | None = None,
        words: Sequence[QueryWord] = (),
    ) -> list[ScoredPoint]:
        """The nearest points that the scope may see, then those that share most words.

        Each half has at most `limit` points, the best first; a point of both is in the first.
        With `document_ids`, only those documents are searched; an empty collection finds nothing.

        Raises:
            InvalidVector: the vector does not fit this index.
        """
        ...

    async def get(self, point_id: UUID) -> StoredPoint | None:
        """The point of this id, whoever owns it: the caller judges access."""
        ...

    async def chunks(self, document_id: int) -> Sequence[StoredPoint]:
        """All points of the document by position, whoever owns it: the caller judges access."""
        ...

    async def delete(self, document_id: int) -> None:
        """Remove all points of a document; does nothing when it has none."""
        ...

    async def count(self, document_id: int) -> int:
        """How many points of the document a search could find."""
        ...

    async def recrypt(self, document_id: int, translate: Callable[[str], str]) -> int:
        """Put what `translate` makes of a ciphertext in its place, for all points of a document.

        Points that a writer puts in their place meanwhile stay as they are written.

        Returns:
            How many ciphertexts became others.
        """
        ...

    async def ping(self) -> None:
        """Return when the engine answers."""
        ...


def passage_id(document_id: int, position: int) -> UUID:
    """The lasting id of one place in a document, the same after the document is indexed again."""
    return uuid5(_NAMESPACE, f"{document_id}:{position}")
