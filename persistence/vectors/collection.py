"""The collections of the index, as the database knows them."""

from dataclasses import dataclass
from typing import Literal

from persistence.vectors.stamp import Stamp

CollectionState = Literal["in_force", "building", "retired"]


@dataclass(frozen=True, kw_only=True)
class VectorCollection:
    """One collection."""

    name: str
    stamp: Stamp
    state: CollectionState
