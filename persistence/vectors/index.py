"""Opening the vector index: the Qdrant server that is configured, or the engine in this process."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from persistence.settings import VectorSettings
from persistence.vectors.generations import GenerationIndex
from persistence.vectors.point_store import COLLECTION, CollectionHost
from persistence.vectors.port import VectorIndex
from persistence.vectors.stamp import Stamp, require_stamp

EDGE_FOLDER = "qdrant"
ORPHAN_AFTER_SECONDS = 24 * 60 * 60
"""On a server, where another process may be in the middle of writing a large document."""


def open_host(
    settings: VectorSettings, *, data_dir: Path
) -> AbstractAsyncContextManager[CollectionHost]:
    """Open the engine that the collections are in.

    Raises:
        IndexInUse: another process has the embedded index open.
    """
    # Each engine costs memory and start-up time, so only the one in use is imported.
    if settings.qdrant_url is None:
        from persistence.vectors.edge import open_edge_host

        return open_edge_host(data_dir / EDGE_FOLDER)
    from persistence.vectors.server import open_server_host

    key = settings.qdrant_api_key
    return open_server_host(settings.qdrant_url, api_key=key.get_secret_value() if key else None)


@asynccontextmanager
async def open_collection(
    host: CollectionHost, name: str, stamp: Stamp
) -> AsyncIterator[GenerationIndex]:
    """Open a collection for the vectors of one model, or make it.

    Raises:
        IndexUnavailable: the engine does not answer.
        EmbeddingModelMismatch: it was filled by another model.
        OutdatedIndex: it was made by a version that is not known.
    """
    async with host.open(name, dimension=stamp.dimension) as store:
        found = await require_stamp(store, stamp)
        yield GenerationIndex(
            store,
            dimension=stamp.dimension,
            has_words=found.has_words,
            orphan_after_seconds=ORPHAN_AFTER_SECONDS if host.is_shared else 0,
        )


@asynccontextmanager
async def open_index(
    settings: VectorSettings, *, data_dir: Path, dimension: int, model: str
) -> AsyncIterator[VectorIndex]:
    """Open an index of one collection by itself, without a database that says which.

    Raises:
        IndexInUse: another process has the embedded index open.
        IndexUnavailable: the server does not answer.
        EmbeddingModelMismatch: the index was filled by another model.
    """
    async with (
        open_host(settings, data_dir=data_dir) as host,
        open_collection(host, COLLECTION, Stamp(model=model, dimension=dimension)) as index,
    ):
        yield index
