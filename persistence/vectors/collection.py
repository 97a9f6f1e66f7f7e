"""The collections of the index, as the database knows them."""

from dataclasses import dataclass
from typing import Literal

from persistence.vectors.point_store import COLLECTION
from persistence.vectors.stamp import Stamp

CollectionState = Literal["in_force", "building", "retired"]


@dataclass(frozen=True, kw_only=True)
class VectorCollection:
    """One collection."""

    name: str
    stamp: Stamp
    state: CollectionState

    @property
    def number(self) -> int:
        """Its place among all that there were: one in force has a higher one than that before."""
        number = self.name.removeprefix(COLLECTION).removeprefix("-")
        return int(number) if number else 1
