"""What a collection of the index holds, as the collection itself says it."""

from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from persistence.vectors.errors import EmbeddingModelMismatch, OutdatedIndex
from persistence.vectors.point_store import PointStore, Record

LAYOUT = 2
"""What a point holds; goes up when a search needs more of it."""
LAYOUT_WITHOUT_WORDS = 1
"""Points had neither terms nor a bucket: they are found by nearness only."""
_STAMP_ID = uuid5(uuid5(NAMESPACE_URL, "youworker:index"), "stamp")


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """Whose vectors a collection holds, and what else."""

    model: str
    dimension: int
    layout: int = LAYOUT

    @property
    def has_words(self) -> bool:
        """Whether its points can be found by their words too."""
        return self.layout != LAYOUT_WITHOUT_WORDS


async def read_stamp(store: PointStore) -> Stamp | None:
    """The stamp of a collection; None on one that was never used."""
    for found in await store.retrieve([_STAMP_ID]):
        return Stamp(
            model=found["model"],
            dimension=found["dimension"],
            layout=found.get("layout", LAYOUT_WITHOUT_WORDS),
        )
    return None


async def require_stamp(store: PointStore, wanted: Stamp) -> Stamp:
    """Stamp an empty collection, or check what it is stamped with.

    Raises:
        EmbeddingModelMismatch: It holds vectors of another model.
        OutdatedIndex: It was made by a version of the product that this one does not know.
    """
    stamp = await read_stamp(store)
    if stamp is None:
        payload = {
            "kind": "stamp",
            "model": wanted.model,
            "dimension": wanted.dimension,
            "layout": wanted.layout,
        }
        await store.upsert([Record(id=_STAMP_ID, payload=payload)])
        stamp = await read_stamp(store) or wanted
    if (stamp.model, stamp.dimension) != (wanted.model, wanted.dimension):
        raise EmbeddingModelMismatch(
            f"the index was filled by {stamp.model!r} ({stamp.dimension} dimensions)"
            f" and cannot be searched with {wanted.model!r} ({wanted.dimension} dimensions)"
        )
    if stamp.layout not in {LAYOUT, LAYOUT_WITHOUT_WORDS}:
        raise OutdatedIndex(
            "the index was made by another version, which kept less or more of each chunk"
            " than this one searches: run that version"
        )
    return stamp
