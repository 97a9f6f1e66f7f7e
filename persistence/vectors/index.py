"""Opening the vector index: the Qdrant server that is configured, or the engine in this process."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from persistence.settings import VectorSettings
from persistence.vectors.generations import GenerationIndex
from persistence.vectors.point_store import PointStore
from persistence.vectors.port import VectorIndex

EDGE_FOLDER = "qdrant"
ORPHAN_AFTER_SECONDS = 24 * 60 * 60
"""On a server, where another process may be in the middle of writing a large document."""


@asynccontextmanager
async def open_index(
    settings: VectorSettings, *, data_dir: Path, dimension: int, model: str
) -> AsyncIterator[VectorIndex]:
    """Open the index for vectors of one embedding model.

    Raises:
        IndexInUse: another process has the embedded index open.
        IndexUnavailable: the server does not answer.
        EmbeddingModelMismatch: the index was filled by another model.
    """
    async with _open_store(settings, data_dir=data_dir, dimension=dimension) as store:
        index = GenerationIndex(
            store,
            dimension=dimension,
            orphan_after_seconds=ORPHAN_AFTER_SECONDS if settings.qdrant_url else 0,
        )
        await index.require_stamp(model)
        yield index


@asynccontextmanager
async def attach_index(
    settings: VectorSettings, *, data_dir: Path
) -> AsyncIterator[VectorIndex | None]:
    """Open the index as it is, not to search but to look after what it holds; None without one.

    Raises:
        IndexInUse: another process has the embedded index open.
        IndexUnavailable: the server does not answer.
    """
    if settings.qdrant_url is None:
        from persistence.vectors.edge import has_shard

        if not has_shard(data_dir / EDGE_FOLDER):
            yield None
            return
    async with _open_store(settings, data_dir=data_dir, dimension=None) as store:
        yield GenerationIndex(store, dimension=0)


def _open_store(
    settings: VectorSettings, *, data_dir: Path, dimension: int | None
) -> AbstractAsyncContextManager[PointStore]:
    # Each engine costs memory and start-up time, so only the one in use is imported.
    if settings.qdrant_url is None:
        from persistence.vectors.edge import open_edge_store

        return open_edge_store(data_dir / EDGE_FOLDER, dimension=dimension or 1)
    from persistence.vectors.server import open_server_store

    key = settings.qdrant_api_key
    return open_server_store(
        settings.qdrant_url,
        api_key=key.get_secret_value() if key else None,
        dimension=dimension,
    )
