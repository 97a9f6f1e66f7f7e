"""The collection of the vector index that is in force, with the model that fills it.

Another one can take its place at any time (`persistence/reindexing.py`): whoever has begun to
search goes on in the old one, and whoever writes is told by the database which one it is.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import structlog
from typing_extensions import override

from persistence.collection_registry import (
    SYSTEM,
    count_lost,
    describe_difference,
    enter_first,
    find_in_force,
    remove_retired,
)
from persistence.database import Database
from persistence.errors import DatabaseUnavailable, PersistenceError
from persistence.notifications import Channel, Notifications
from persistence.unit_of_work import UnitOfWork
from persistence.vectors.collection import VectorCollection
from persistence.vectors.embeddings import Embedder
from persistence.vectors.errors import EmbeddingModelMismatch
from persistence.vectors.index import open_collection
from persistence.vectors.point_store import CollectionHost
from persistence.vectors.port import VectorIndex
from persistence.vectors.stamp import Stamp

OpenEmbedder = Callable[[str], AbstractAsyncContextManager[Embedder]]
"""Opens the embedding model of a name."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A collection and its model."""

    index: VectorIndex
    embedder: Embedder


class Collections(Protocol):
    """Hands out the collection in force."""

    def reading(self) -> AbstractAsyncContextManager[Collection]:
        """The collection, to be searched."""
        ...

    def writing(self, within: UnitOfWork | None) -> AbstractAsyncContextManager[Collection]:
        """The collection, to be written to.

        Args:
            within: Whose end is the end of the writing; none that another collection could take
                the place of this one before.

        Raises:
            PersistenceError: It cannot be told, or not be opened.
        """
        ...

    async def delete(self, document_id: int, within: UnitOfWork | None) -> None:
        """Remove a document from the collection, and from one that is being filled.

        Raises:
            PersistenceError: One of them does not answer.
        """
        ...

    async def refresh(self) -> None:
        """Take the collection that is in force now.

        Raises:
            PersistenceError: It cannot be told, or not be opened.
        """
        ...


class OneCollection(Collections):
    """A collection whose place no other one takes."""

    def __init__(self, index: VectorIndex, embedder: Embedder) -> None:
        self._collection = Collection(index=index, embedder=embedder)

    @override
    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Collection]:
        yield self._collection

    @override
    @asynccontextmanager
    async def writing(self, within: UnitOfWork | None) -> AsyncIterator[Collection]:
        yield self._collection

    @override
    async def delete(self, document_id: int, within: UnitOfWork | None) -> None:
        await self._collection.index.delete(document_id)

    @override
    async def refresh(self) -> None:
        pass


@dataclass(kw_only=True)
class _Opened:
    """A collection that is open, until it is left and its last reader has gone."""

    known: VectorCollection
    collection: Collection
    stack: AsyncExitStack
    readers: int = 0
    is_left: bool = False

    async def close_if_unused(self) -> None:
        if self.is_left and not self.readers:
            await self.stack.aclose()


class LiveCollections(Collections):
    """Follows what the database says."""

    def __init__(
        self, database: Database, host: CollectionHost, open_embedder: OpenEmbedder
    ) -> None:
        self._host = host
        self._open_embedder = open_embedder
        self._database = database
        self._turn = asyncio.Lock()
        self._opened: _Opened | None = None

    @property
    def known(self) -> VectorCollection:
        """What the database says of the collection in force."""
        return self._now.known

    @override
    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Collection]:
        opened = self._now
        opened.readers += 1
        try:
            yield opened.collection
        finally:
            opened.readers -= 1
            await opened.close_if_unused()

    @override
    @asynccontextmanager
    async def writing(self, within: UnitOfWork | None) -> AsyncIterator[Collection]:
        async with self._unit(within) as unit:
            await self._take(await unit.vector_collections.hold_in_force())
            async with self.reading() as collection:
                yield collection

    @override
    async def delete(self, document_id: int, within: UnitOfWork | None) -> None:
        async with self._unit(within) as unit:
            async with self.writing(unit) as collection:
                await collection.index.delete(document_id)
            # Reindexing would take it out of there too, but may have been given up.
            begun = await unit.vector_collections.building()
            if begun is not None and await self._host.exists(begun.name):
                async with open_collection(self._host, begun.name, begun.stamp) as index:
                    await index.delete(document_id)

    @override
    async def refresh(self) -> None:
        async with self._database.unit_of_work(SYSTEM) as unit:
            known = await unit.vector_collections.in_force()
        await self._take(known)

    def _unit(self, within: UnitOfWork | None) -> AbstractAsyncContextManager[UnitOfWork]:
        return self._database.unit_of_work(SYSTEM) if within is None else nullcontext(within)

    async def close(self) -> None:
        """Leave the collection."""
        if self._opened is not None:
            self._opened.is_left = True
            await self._opened.close_if_unused()

    async def _take(self, known: VectorCollection | None) -> None:
        if known is None:
            raise DatabaseUnavailable("the database does not know of a vector index any more")
        async with self._turn:
            before = self._opened
            if before is not None and before.known.number >= known.number:
                return  # what was read before a switch may come here after it
            self._opened = await self._open(known)
        if before is not None:
            log.info("vector_index_switched", collection=known.name, model=known.stamp.model)
            before.is_left = True
            await before.close_if_unused()

    async def _open(self, known: VectorCollection) -> _Opened:
        async with AsyncExitStack() as stack:
            embedder = await stack.enter_async_context(self._open_embedder(known.stamp.model))
            if embedder.dimension != known.stamp.dimension:
                raise EmbeddingModelMismatch(
                    f"{embedder.model!r} answers with vectors of {embedder.dimension} components,"
                    f" and the index was filled with vectors of {known.stamp.dimension}:"
                    " run `youworker reindex`"
                )
            if lost := await count_lost(self._database, self._host, known):
                # The one that is made in its place finds nothing, and would not say why.
                log.error("vector_index_lost", collection=known.name, documents=lost)
            index = await stack.enter_async_context(
                open_collection(self._host, known.name, known.stamp)
            )
            collection = Collection(index=index, embedder=embedder)
            return _Opened(known=known, collection=collection, stack=stack.pop_all())

    @property
    def _now(self) -> _Opened:
        assert self._opened is not None  # noqa: S101 - set by open_collections
        return self._opened


@asynccontextmanager
async def open_collections(
    database: Database,
    host: CollectionHost,
    open_embedder: OpenEmbedder,
    *,
    model: str,
    notifications: Notifications | None = None,
) -> AsyncIterator[LiveCollections]:
    """Open the collection in force; the first one is made for `model`.

    Args:
        database: Which knows it.
        host: Where it is.
        open_embedder: Opens its model.
        model: What is configured.
        notifications: To hear at once when another one is in force.

    Raises:
        PersistenceError: It cannot be opened, or its model does not answer.
    """
    if await find_in_force(database, host) is None:
        async with open_embedder(model) as embedder:
            stamp = Stamp(model=embedder.model, dimension=embedder.dimension)
        await enter_first(database, stamp)
    # Whoever still searches in one of them takes the one in force instead.
    await remove_retired(database, host)
    live = LiveCollections(database, host, open_embedder)
    await live.refresh()
    following = None
    if notifications is not None:
        following = asyncio.create_task(_follow(live, notifications), name="vector-index")
    try:
        warning = describe_difference(live.known.stamp, model)
        if warning:
            log.warning("vector_index_needs_reindexing", what=warning)
        yield live
    finally:
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        await live.close()


async def _follow(live: LiveCollections, notifications: Notifications) -> None:
    heard = asyncio.Event()
    notifications.subscribe(Channel.INDEX_SWITCHED, lambda _: heard.set())
    notifications.on_gap(heard.set)
    while True:
        await heard.wait()
        heard.clear()
        try:
            await live.refresh()
        except PersistenceError as exc:  # whoever writes next tries again
            log.warning("vector_index_not_switched", error=type(exc).__name__)
