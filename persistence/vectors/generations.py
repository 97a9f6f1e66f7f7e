"""The vector index over any point store, with replacement that readers see all at once.

The engines write several points one after another, so each writing of a document gets a
generation of its own, and one *head* point per document names the generation in force. Moving
the head is a single write: before it the old points count, after it the new ones.
"""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5
from weakref import WeakValueDictionary

from typing_extensions import override

from persistence.access import AccessScope
from persistence.vectors.bm25 import Weighing, weigh_words
from persistence.vectors.errors import InvalidVector
from persistence.vectors.filters import (
    Filter,
    Match,
    is_chunk,
    of_document,
    shared_with,
    visible_chunks,
)
from persistence.vectors.point_store import (
    UPSERT_BATCH_POINTS,
    Payload,
    PointStore,
    Record,
    ScoredRecord,
)
from persistence.vectors.port import (
    Point,
    QueryWord,
    ScoredPoint,
    StoredPoint,
    VectorIndex,
)
from persistence.vectors.records import DIGITS, chunk_record, scored_point, sign, stored_point
from persistence.vectors.stored import Outline, Sign, StoredDocument

_BOOKKEEPING = uuid5(NAMESPACE_URL, "youworker:index")
_SHORTEST_VECTOR, _LONGEST_VECTOR = 1e-12, 1e18
_SEARCH_ATTEMPTS = 8
_ORPHANS_AT_A_TIME = 256
_OUTLINED_AT_A_TIME = 500
_NO_GENERATION = ""
_NO_DOCUMENT = 0
_GENERATIONS_PER_PASSAGE = 16


class GenerationIndex(VectorIndex):
    """`VectorIndex` on top of a `PointStore`.

    Writers of one document wait for each other in one process; of several processes the last one
    to finish wins, whole.

    Args:
        store: where the points are.
        dimension: the length of every vector.
        has_words: whether its points have terms; without, they are found by nearness only.
        orphan_after_seconds: how old the unfinished work of a writer is when it is taken to have
            been killed, and is cleared away. 0 where no other process can be writing.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        store: PointStore,
        *,
        dimension: int,
        has_words: bool = True,
        orphan_after_seconds: float = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._dimension = dimension
        self._has_words = has_words
        self._orphan_after_seconds = orphan_after_seconds
        self._clock = clock
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    @override
    async def replace(
        self,
        document_id: int,
        points: Sequence[Point],
        *,
        owner_id: int,
        group_id: int | None = None,
    ) -> None:
        if len({point.position for point in points}) < len(points):
            raise InvalidVector(f"two points of document {document_id} share a position")
        for point in points:
            self._require_fitting(point.vector)
        async with self._lock(document_id):
            if not points:
                await self._delete(document_id)
                return
            generation = f"{_stamp_of(self._clock())}-{uuid4().hex}"
            shared: dict[str, object] = {
                "owner_id": owner_id,
                "group_id": group_id,
                "generation": generation,
            }
            await self._write(document_id, points, shared)

    @override
    async def share(self, document_id: int, group_id: int | None) -> None:
        everything = Filter(must=(is_chunk(), of_document(document_id)))
        async with self._lock(document_id):  # a writer may be half way with the group of before
            await self._store.set_payload(everything, {"group_id": group_id})

    @override
    async def unshare(self, group_id: int, *, owner_id: int | None = None) -> None:
        await self._store.set_payload(shared_with(group_id, by=owner_id), {"group_id": None})

    @override
    async def search(
        self,
        vector: Sequence[float],
        *,
        scope: AccessScope,
        limit: int,
        document_ids: Collection[int] | None = None,
        words: Sequence[QueryWord] = (),
    ) -> list[ScoredPoint]:
        self._require_fitting(vector)
        if document_ids is not None and not document_ids:
            return []
        hidden: set[str] = set()
        seen: set[int] = set()
        words = words if self._has_words else ()
        weighing = await weigh_words(self._store, words, visible_chunks(scope))
        where = visible_chunks(scope, document_ids=document_ids)
        fresh: dict[UUID, ScoredRecord] = {}
        for _ in range(_SEARCH_ATTEMPTS):
            where = visible_chunks(
                scope, document_ids=document_ids, hidden_generations=sorted(hidden)
            )
            hits = await self._candidates(vector, weighing, where, limit)
            seen.update(hit.payload["document_id"] for hit in hits.values())
            heads = await self._heads(seen)
            fresh = {key: hit for key, hit in hits.items() if _is_in_force(hit.payload, heads)}
            if len(fresh) == len(hits):
                break
            hidden.update(hit.payload["generation"] for hit in hits.values())
            hidden -= set(heads.values())
        overlaps = await self._overlaps(weighing, where, list(fresh))
        return [scored_point(hit, overlaps.get(key, 0.0)) for key, hit in fresh.items()]

    @override
    async def get(self, point_id: UUID) -> StoredPoint | None:
        here = Filter(must=(is_chunk(), Match(field="passage_id", values=(str(point_id),))))
        for _ in range(_SEARCH_ATTEMPTS):
            found = await self._store.find(here, _GENERATIONS_PER_PASSAGE)
            # Asked for nothing too: how long it takes tells nobody that there is something.
            heads = await self._heads({each["document_id"] for each in found} or {_NO_DOCUMENT})
            for payload in found:
                if _is_in_force(payload, heads):
                    return stored_point(payload)
            if not found:
                return None
        return None

    @override
    async def chunks(self, document_id: int) -> Sequence[StoredPoint]:
        document = await self.read(document_id)
        return document.points if document is not None else ()

    @override
    async def delete(self, document_id: int) -> None:
        async with self._lock(document_id):
            await self._delete(document_id)

    @override
    async def count(self, document_id: int) -> int:
        heads = await self._heads({document_id})
        if document_id not in heads:
            return 0
        return await self._store.count(_of_generation(document_id, heads[document_id]))

    @override
    async def recrypt(self, document_id: int, translate: Callable[[str], str]) -> int:
        everything = Filter(must=(is_chunk(), of_document(document_id)))
        changed = 0
        found = await self._store.find(everything, await self._store.count(everything) + 1)
        # The first chunk last: it tells that all of them have changed.
        for payload in sorted(found, key=lambda each: -each["position"]):
            fresh = translate(payload["ciphertext"])
            if fresh != payload["ciphertext"]:
                # Within its generation a passage never changes.
                passage = Match(field="passage_id", values=(payload["passage_id"],))
                where = _of_generation(document_id, payload["generation"])
                where = Filter(must=(*where.must, passage))
                await self._store.set_payload(where, {"ciphertext": fresh})
                changed += 1
        return changed

    @override
    async def ping(self) -> None:
        await self._store.ping()

    async def outline(self) -> Outline:
        """What the collection holds, as far as it takes to see what changed.

        A writing changes the generation; all else changes every chunk, so that the first tells.
        """
        head = Filter(must=(Match(field="kind", values=("head",)),))
        heads = {
            each["document_id"]: each["in_force"]
            for each in await self._store.find(head, await self._store.count(head) + 1)
        }
        signs = {document: Sign(generation=generation) for document, generation in heads.items()}
        documents = list(heads)
        for start in range(0, len(documents), _OUTLINED_AT_A_TIME):
            some = tuple(documents[start : start + _OUTLINED_AT_A_TIME])
            firsts = Filter(
                must=(
                    is_chunk(),
                    Match(field="document_id", values=some),
                    Match(field="position", values=(0,)),
                )
            )
            for first in await self._store.find(firsts, len(some) * _GENERATIONS_PER_PASSAGE):
                if _is_in_force(first, heads):
                    signs[first["document_id"]] = sign(first)
        return signs

    async def read(self, document_id: int) -> StoredDocument | None:
        """All chunks that are in force of a document; None if it has none."""
        for _ in range(_SEARCH_ATTEMPTS):
            generation = (await self._heads({document_id})).get(document_id)
            if generation is None:
                return None
            where = _of_generation(document_id, generation)
            found = await self._store.find(where, await self._store.count(where) + 1)
            # A writer removes the old chunks when the new ones are in force.
            if found and (await self._heads({document_id})).get(document_id) == generation:
                return StoredDocument(
                    generation=generation,
                    owner_id=found[0]["owner_id"],
                    group_id=found[0].get("group_id"),
                    points=sorted(map(stored_point, found), key=lambda point: point.position),
                )
        return None

    async def take_over(
        self, document_id: int, points: Sequence[Point], document: StoredDocument
    ) -> None:
        """Put in a document of another collection, with the generation that it has there.

        Raises:
            InvalidVector: a vector does not fit this index.
        """
        for point in points:
            self._require_fitting(point.vector)
        shared: dict[str, object] = {
            "owner_id": document.owner_id,
            "group_id": document.group_id,
            "generation": document.generation,
        }
        async with self._lock(document_id):
            if document_id not in await self._heads({document_id}):
                # An outline names it from now on: whatever is left half way can be found.
                await self._set_head(document_id, _NO_GENERATION)
            await self._write(document_id, points, shared)

    async def _candidates(
        self, vector: Sequence[float], weighing: Weighing, where: Filter, limit: int
    ) -> dict[UUID, ScoredRecord]:
        """The nearest points and those of the weightiest words, each with its nearness."""
        near = {hit.id: hit for hit in await self._store.search(vector, where, limit)}
        if not weighing.weights:
            return near
        worded = await self._store.search_terms(weighing.weights, where, limit)
        others = [hit.id for hit in worded if hit.id not in near]
        if others:
            these = replace(where, ids=tuple(others))
            measured = await self._store.search(vector, these, len(others))
            nearness = {hit.id: hit for hit in measured}
            near.update((each, nearness[each]) for each in others if each in nearness)
        return near

    async def _overlaps(
        self, weighing: Weighing, where: Filter, found: Sequence[UUID]
    ) -> dict[UUID, float]:
        """What the points have of the words, each measured by itself.

        The engine adds up the words of many points in an order that hangs on all of them, and
        that shows in a sum's last digits.
        """
        if not (weighing.weights and found):
            return {}
        these = replace(where, ids=tuple(found))
        hits = await self._store.search_terms(weighing.weights, these, len(found))
        return {hit.id: round(hit.score / weighing.total, DIGITS) for hit in hits}

    async def _write(
        self, document_id: int, points: Sequence[Point], shared: dict[str, object]
    ) -> None:
        generation = str(shared["generation"])
        if not self._has_words:
            points = [replace(point, terms={}) for point in points]
        records = [chunk_record(document_id, point, shared) for point in points]
        for start in range(0, len(records), UPSERT_BATCH_POINTS):
            await self._store.upsert(records[start : start + UPSERT_BATCH_POINTS])
        previous = (await self._heads({document_id})).get(document_id)
        await self._set_head(document_id, generation)
        outdated = await self._orphans(document_id, {generation, previous})
        if previous not in {None, generation}:
            outdated.add(str(previous))
        await self._forget(document_id, outdated)
        in_force = (await self._heads({document_id})).get(document_id)
        if in_force != generation:  # a writer in another process came later: its points stand
            await self._forget(document_id, {generation})

    async def _set_head(self, document_id: int, generation: str) -> None:
        head = {"kind": "head", "document_id": document_id, "in_force": generation}
        await self._store.upsert([Record(id=_head_id(document_id), payload=head)])

    async def _orphans(self, document_id: int, known: Collection[str | None]) -> set[str]:
        """Generations that a killed writer left behind, as against those being written now."""
        others = Filter(
            must=(is_chunk(), of_document(document_id)),
            never=(Match(field="generation", values=tuple(each for each in known if each)),),
        )
        found = await self._store.find(others, _ORPHANS_AT_A_TIME)
        newest = _stamp_of(self._clock() - self._orphan_after_seconds)
        return {each["generation"] for each in found if each["generation"][: len(newest)] <= newest}

    async def _forget(self, document_id: int, generations: Collection[str]) -> None:
        if generations:
            match = Match(field="generation", values=tuple(generations))
            await self._store.delete(Filter(must=(is_chunk(), of_document(document_id), match)))

    async def _delete(self, document_id: int) -> None:
        head = Match(field="kind", values=("head",))
        await self._store.delete(Filter(must=(head, of_document(document_id))))
        await self._store.delete(Filter(must=(of_document(document_id),)))

    async def _heads(self, document_ids: Collection[int]) -> dict[int, str]:
        if not document_ids:
            return {}
        heads = await self._store.retrieve([_head_id(each) for each in sorted(document_ids)])
        return {head["document_id"]: head["in_force"] for head in heads}

    def _lock(self, document_id: int) -> asyncio.Lock:
        return self._locks.setdefault(document_id, asyncio.Lock())

    def _require_fitting(self, vector: Sequence[float]) -> None:
        if len(vector) != self._dimension:
            raise InvalidVector(
                f"a vector of {len(vector)} components in an index of {self._dimension}"
            )
        length = math.sqrt(sum(component * component for component in vector))
        if not _SHORTEST_VECTOR < length < _LONGEST_VECTOR:
            raise InvalidVector("a vector has no direction, or a component that is not a number")


def _stamp_of(seconds: float) -> str:
    """A moment so written that the order of the texts is the order of time."""
    return f"{int(seconds * 1000):015d}"


def _head_id(document_id: int) -> UUID:
    return uuid5(_BOOKKEEPING, f"head:{document_id}")


def _of_generation(document_id: int, generation: str) -> Filter:
    of_generation = Match(field="generation", values=(generation,))
    return Filter(must=(is_chunk(), of_document(document_id), of_generation))


def _is_in_force(payload: Payload, heads: dict[int, str]) -> bool:
    generation: str = payload["generation"]
    return heads.get(payload["document_id"]) == generation
