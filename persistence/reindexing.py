"""Makes the vector index anew beside the one in force, and puts it in its place.

Documents are copied from the old collection into a new one, again and again those that changed
meanwhile. At last writers are kept out for as long as it takes to copy what is left, and the new
one is in force. A document comes with its generation, so that whoever goes on after an
interruption sees which ones are copied already.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from persistence.collection_registry import SYSTEM, find_in_force, remove_retired
from persistence.database import Database
from persistence.errors import DatabaseUnavailable
from persistence.index_collections import OpenEmbedder
from persistence.index_turns import take_turn
from persistence.notifications import Channel
from persistence.point_making import PointMaker
from persistence.unit_of_work import UnitOfWork
from persistence.vectors.collection import VectorCollection
from persistence.vectors.embeddings import Embedder
from persistence.vectors.errors import IndexUnavailable
from persistence.vectors.generations import GenerationIndex
from persistence.vectors.index import open_collection
from persistence.vectors.point_store import COLLECTION, CollectionHost
from persistence.vectors.stamp import Stamp
from persistence.vectors.stored import Sign

ENOUGH_LEFT = 4
"""With so few documents to copy it is worth to keep writers out."""
MOST_PASSES = 10
"""After so many it is done however many are left."""
SWITCH_ATTEMPTS = 20
REPLICA_GRACE_SECONDS = 30.0
"""How long other processes may take until they search in the new collection."""

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class Reindexed:
    """How far it is."""

    collection: str = ""
    model: str = ""
    documents: int = 0
    """Those that the index has."""
    left: int = 0
    """Those of them that are to be copied, as far as is known."""
    copied: int = 0
    chunks: int = 0
    """Those that were embedded."""


Tell = Callable[[Reindexed], None]
AfterEach = Callable[[], Awaitable[None]]


async def _do_nothing() -> None:
    pass


class Reindexer:
    """Works in the process that has the engine open, or in any if it is a server."""

    def __init__(
        self,
        database: Database,
        host: CollectionHost,
        open_embedder: OpenEmbedder,
        *,
        grace_seconds: float = REPLICA_GRACE_SECONDS,
    ) -> None:
        self._database = database
        self._host = host
        self._open_embedder = open_embedder
        self._grace_seconds = grace_seconds if host.is_shared else 0.0
        self._points = PointMaker(database.key_ring)

    async def run(self, model: str, tell: Tell) -> Reindexed:
        """Make the index anew with a model.

        Raises:
            EmbeddingError: The model does not answer, or not as before; the old index is in force.
            IndexInUse: Somebody else is at it.
            PersistenceError: It broke off; the old index is in force, and the next time goes on.
        """
        done = Reindexed()
        async with self._open_embedder(model) as embedder, take_turn(self._database.dsn):
            await remove_retired(self._database, self._host)
            await self._build(embedder, done, tell)
            log.info("vector_index_made_anew", collection=done.collection, model=done.model)
            await asyncio.sleep(self._grace_seconds)
            await remove_retired(self._database, self._host)
        return done

    async def _build(self, embedder: Embedder, done: Reindexed, tell: Tell) -> None:
        old = await find_in_force(self._database, self._host)
        if old is None:
            raise IndexUnavailable("there is no vector index yet: a server makes one")
        new = await self._require_new(Stamp(model=embedder.model, dimension=embedder.dimension))
        done.collection, done.model = new.name, new.stamp.model
        async with (
            open_collection(self._host, old.name, old.stamp) as source,
            open_collection(self._host, new.name, new.stamp) as target,
        ):
            copier = _Copier(
                source=source,
                target=target,
                embedder=embedder,
                points=self._points,
                done=done,
                tell=lambda: tell(done),
            )
            for _ in range(MOST_PASSES):
                if await copier.copy_what_differs() <= ENOUGH_LEFT:
                    break
            await self._switch(copier, old, new)

    async def _require_new(self, stamp: Stamp) -> VectorCollection:
        """The collection to be filled: the one that was begun, if it is for the same model."""
        async with self._database.unit_of_work(SYSTEM) as uow:
            begun = await uow.vector_collections.building()
            if begun is not None and begun.stamp == stamp:
                return begun
            if begun is not None:
                await uow.vector_collections.move(begun.name, before="building", after="retired")
            last = max(each.number for each in await uow.vector_collections.list())
            new = VectorCollection(name=f"{COLLECTION}-{last + 1}", stamp=stamp, state="building")
            await self._host.drop(new.name)  # what lies there is known to nobody
            await uow.vector_collections.add(new)
            await uow.commit()
        return new

    async def _switch(
        self, copier: "_Copier", old: VectorCollection, new: VectorCollection
    ) -> None:
        for attempt in range(SWITCH_ATTEMPTS):
            try:
                async with self._database.unit_of_work(SYSTEM) as uow:
                    await uow.vector_collections.keep_writers_out()
                    await self._switch_within(uow, copier, old, new)
                return
            except DatabaseUnavailable:
                if attempt + 1 == SWITCH_ATTEMPTS:
                    raise
                await copier.copy_what_differs()

    async def _switch_within(
        self, uow: UnitOfWork, copier: "_Copier", old: VectorCollection, new: VectorCollection
    ) -> None:
        async def stay_alive() -> None:
            await uow.vector_collections.keep_writers_out()  # which it does; idle ones are ended

        await copier.copy_what_differs(stay_alive)
        collections = uow.vector_collections
        is_mine = await collections.move(old.name, before="in_force", after="retired")
        if not (is_mine and await collections.move(new.name, before="building", after="in_force")):
            raise IndexUnavailable("another command changed the index meanwhile: reindex again")
        await uow.notify(Channel.INDEX_SWITCHED, "")
        await uow.commit()


@dataclass(frozen=True, kw_only=True)
class _Copier:
    source: GenerationIndex
    target: GenerationIndex
    embedder: Embedder
    points: PointMaker
    done: Reindexed
    tell: Callable[[], None]

    async def copy_what_differs(self, after_each: AfterEach = _do_nothing) -> int:
        """Bring the target to what the source is now; return how many documents differed."""
        here, there = await self.source.outline(), await self.target.outline()
        differing = sorted(
            each for each in here.keys() | there if here.get(each) != there.get(each)
        )
        self.done.documents, self.done.left = len(here), len(differing)
        self.tell()
        for document_id in differing:
            await self._copy(document_id, here.get(document_id), there.get(document_id))
            self.done.left -= 1
            self.tell()
            await after_each()
        return len(differing)

    async def _copy(self, document_id: int, here: Sign | None, there: Sign | None) -> None:
        if here and there and replace(there, group_id=here.group_id) == here:
            await self.target.share(document_id, here.group_id)
            return
        document = await self.source.read(document_id)
        if document is None:
            await self.target.delete(document_id)
            return
        points = await self.points.remake(self.embedder, document.points)
        await self.target.take_over(document_id, points, document)
        if not await self.source.count(document_id):
            # Deleted while it was embedded. Another pass would see it too, but may never come.
            await self.target.delete(document_id)
            return
        self.done.copied += 1
        self.done.chunks += len(points)
