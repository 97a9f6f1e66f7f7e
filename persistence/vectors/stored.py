"""Documents as a collection of the index holds them, to be compared and copied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from persistence.vectors.port import StoredPoint


@dataclass(frozen=True, kw_only=True)
class Sign:
    """What is another one after every change of a document."""

    generation: str
    group_id: int | None = None
    digest: bytes = b""
    """Of the first chunk's ciphertext."""


Outline = Mapping[int, Sign]
"""The signs of all documents, by id."""


@dataclass(frozen=True, kw_only=True)
class StoredDocument:
    """What is in force of a document."""

    generation: str
    owner_id: int
    group_id: int | None
    points: Sequence[StoredPoint]
