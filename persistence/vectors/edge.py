"""Qdrant's own engine in this process: one shard in one folder, for one process at a time."""

import asyncio
import fcntl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import qdrant_edge
import structlog
from typing_extensions import override

from persistence.vectors.errors import IndexInUse, IndexUnavailable
from persistence.vectors.filters import Filter, Match
from persistence.vectors.point_store import (
    INTEGER_FIELDS,
    KEYWORD_FIELDS,
    VECTOR_NAME,
    Payload,
    PointStore,
    Record,
    ScoredRecord,
)

OPEN_TIMEOUT_SECONDS = 60.0
OPERATION_TIMEOUT_SECONDS = 30.0
CLOSE_TIMEOUT_SECONDS = 30.0

_LOCK_FILE = "in-use.lock"
_SHARD_FOLDER = "passages"
_SHARD_FILE = "edge_config.json"

log = structlog.get_logger(__name__)

T = TypeVar("T")


class EdgePointStore(PointStore):
    """A shard behind one thread of its own, which also puts its operations in order."""

    def __init__(self, shard: qdrant_edge.EdgeShard, thread: ThreadPoolExecutor) -> None:
        self._shard = shard
        self._thread = thread

    @override
    async def upsert(self, records: Sequence[Record]) -> None:
        points = [_point(record) for record in records]
        await self._update(qdrant_edge.UpdateOperation.upsert_points(points))

    @override
    async def search(
        self, vector: Sequence[float], where: Filter, limit: int
    ) -> list[ScoredRecord]:
        request = qdrant_edge.QueryRequest(
            limit=limit,
            query=qdrant_edge.Query.Nearest(list(vector), VECTOR_NAME),
            filter=_filter(where),
            with_payload=True,
        )
        hits = await self._run(lambda: self._shard.query(request))
        return [ScoredRecord(payload=hit.payload or {}, score=hit.score) for hit in hits]

    @override
    async def retrieve(self, ids: Sequence[UUID]) -> list[Payload]:
        point_ids: list[qdrant_edge.PointId] = list(ids)
        records = await self._run(
            lambda: self._shard.retrieve(point_ids, with_payload=True, with_vector=False)
        )
        return [record.payload or {} for record in records]

    @override
    async def find(self, where: Filter, limit: int) -> list[Payload]:
        request = qdrant_edge.ScrollRequest(
            limit=limit, filter=_filter(where), with_payload=True, with_vector=False
        )
        records, _ = await self._run(lambda: self._shard.scroll(request))
        return [record.payload or {} for record in records]

    @override
    async def set_payload(self, where: Filter, values: Payload) -> None:
        await self._update(
            qdrant_edge.UpdateOperation.set_payload_by_filter(_filter(where), dict(values))
        )

    @override
    async def delete(self, where: Filter) -> None:
        await self._update(qdrant_edge.UpdateOperation.delete_points_by_filter(_filter(where)))

    @override
    async def count(self, where: Filter) -> int:
        request = qdrant_edge.CountRequest(exact=True, filter=_filter(where))
        return await self._run(lambda: self._shard.count(request))

    @override
    async def ping(self) -> None:
        await self._run(self._shard.info)

    async def _update(self, operation: qdrant_edge.UpdateOperation) -> None:
        await self._run(lambda: self._shard.update(operation))

    async def _run(self, work: Callable[[], T]) -> T:
        return await _run_in(self._thread, work, timeout_seconds=OPERATION_TIMEOUT_SECONDS)


@asynccontextmanager
async def open_edge_store(folder: Path, *, dimension: int) -> AsyncIterator[EdgePointStore]:
    """Open the shard in the folder, or make one; every write is in its log before it returns.

    Raises:
        IndexInUse: another process, or another part of this one, has the folder open.
        IndexUnavailable: the folder holds something that is no shard.
    """
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qdrant-edge")
    try:
        with _exclusive_use(folder):
            shard = await _run_in(
                thread,
                lambda: _open_shard(folder / _SHARD_FOLDER, dimension),
                timeout_seconds=OPEN_TIMEOUT_SECONDS,
            )
            log.info("vector_index_opened", engine="qdrant-edge")
            try:
                yield EdgePointStore(shard, thread)
            finally:
                await asyncio.shield(
                    _run_in(thread, shard.close, timeout_seconds=CLOSE_TIMEOUT_SECONDS)
                )
    finally:
        thread.shutdown(wait=False)


async def _run_in(
    thread: ThreadPoolExecutor, work: Callable[[], T], *, timeout_seconds: float
) -> T:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_seconds):
            return await loop.run_in_executor(thread, _translating_errors(work))
    except TimeoutError as exc:
        raise IndexUnavailable("the vector engine did not answer in time") from exc
    except RuntimeError as exc:  # of the executor, whose thread has ended
        raise IndexUnavailable("the vector index was closed") from exc


def _translating_errors(work: Callable[[], T]) -> Callable[[], T]:
    def run() -> T:
        try:
            return work()
        except Exception as exc:
            raise IndexUnavailable(f"the vector engine failed: {exc}") from exc

    return run


@contextmanager
def _exclusive_use(folder: Path) -> Iterator[None]:
    """Hold a lock that the operating system lets go when this process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / _LOCK_FILE).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise IndexInUse(
                f"the vector index in {str(folder)!r} is in use by another process: stop that one,"
                " set another DATA_DIR, or use a Qdrant server (LLM__QDRANT_URL)"
            ) from exc
        yield


def has_shard(folder: Path) -> bool:
    """Tell whether an index was ever made in the folder."""
    return (folder / _SHARD_FOLDER / _SHARD_FILE).exists()


def _open_shard(path: Path, dimension: int) -> qdrant_edge.EdgeShard:
    if (path / _SHARD_FILE).exists():
        return qdrant_edge.EdgeShard.load(str(path))
    path.mkdir(parents=True, exist_ok=True)
    params = qdrant_edge.EdgeVectorParams(size=dimension, distance=qdrant_edge.Distance.Cosine)
    shard = qdrant_edge.EdgeShard.create(
        str(path), qdrant_edge.EdgeConfig(vectors={VECTOR_NAME: params})
    )
    for fields, schema in (
        (INTEGER_FIELDS, qdrant_edge.PayloadSchemaType.Integer),
        (KEYWORD_FIELDS, qdrant_edge.PayloadSchemaType.Keyword),
    ):
        for field in fields:
            shard.update(qdrant_edge.UpdateOperation.create_field_index(field, schema))
    return shard


def _point(record: Record) -> qdrant_edge.Point:
    vector: qdrant_edge.Vector = {}
    if record.vector is not None:
        vector = {VECTOR_NAME: list(record.vector)}
    return qdrant_edge.Point(record.id, vector, dict(record.payload))


def _filter(where: Filter) -> qdrant_edge.Filter:
    return qdrant_edge.Filter(
        must=[_condition(match) for match in where.must],
        should=[_condition(match) for match in where.any_of] or None,
        must_not=[_condition(match) for match in where.never],
    )


def _condition(match: Match) -> qdrant_edge.FieldCondition:
    values: list[Any] = [*match.values]
    return qdrant_edge.FieldCondition(match.field, match=qdrant_edge.MatchAny(values))
