"""Qdrant's own engine in this process: shards in one folder, for one process at a time."""

import asyncio
import fcntl
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import qdrant_edge
import structlog
from typing_extensions import override

from persistence.vectors.errors import IndexInUse, IndexUnavailable
from persistence.vectors.filters import Filter, Match
from persistence.vectors.point_store import (
    COLLECTION,
    INTEGER_FIELDS,
    KEYWORD_FIELDS,
    TERMS_NAME,
    VECTOR_NAME,
    CollectionHost,
    Payload,
    PointStore,
    Record,
    ScoredRecord,
)

OPEN_TIMEOUT_SECONDS = 60.0
OPERATION_TIMEOUT_SECONDS = 30.0
CLOSE_TIMEOUT_SECONDS = 30.0
LEAVE_TIMEOUT_SECONDS = 60.0
"""How long a collection that is to be removed waits for those who still search in it."""

_LOCK_FILE = "in-use.lock"
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
        return await self._query(qdrant_edge.Query.Nearest(list(vector), VECTOR_NAME), where, limit)

    @override
    async def search_terms(
        self, weights: Mapping[int, float], where: Filter, limit: int
    ) -> list[ScoredRecord]:
        return await self._query(_nearest_by_terms(weights), where, limit)

    @override
    async def count_holders(self, terms: Sequence[int], where: Filter, at_most: int) -> list[int]:
        conditions = _filter(where)
        requests = [
            qdrant_edge.QueryRequest(
                limit=at_most, query=_nearest_by_terms({term: 1.0}), filter=conditions
            )
            for term in terms
        ]
        batch = qdrant_edge.QueryBatchRequest(requests)
        return await self._run(lambda: [len(hits) for hits in self._shard.query_batch(batch)])

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

    async def close(self) -> None:
        """Let the shard go; whoever asks it afterwards is refused."""
        try:
            await _run_in(self._thread, self._shard.close, timeout_seconds=CLOSE_TIMEOUT_SECONDS)
        finally:
            self._thread.shutdown(wait=False)

    async def _query(
        self, query: qdrant_edge.Query, where: Filter, limit: int
    ) -> list[ScoredRecord]:
        request = qdrant_edge.QueryRequest(
            limit=limit, query=query, filter=_filter(where), with_payload=True
        )
        hits = await self._run(lambda: self._shard.query(request))
        return [
            ScoredRecord(id=_uuid(hit.id), payload=hit.payload or {}, score=hit.score)
            for hit in hits
        ]

    async def _update(self, operation: qdrant_edge.UpdateOperation) -> None:
        await self._run(lambda: self._shard.update(operation))

    async def _run(self, work: Callable[[], T]) -> T:
        return await _run_in(self._thread, work, timeout_seconds=OPERATION_TIMEOUT_SECONDS)


@dataclass(kw_only=True)
class _Shard:
    """A shard for all who have it open in this process, for it cannot be opened twice."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    users: int = 0
    store: EdgePointStore | None = None


class EdgeHost(CollectionHost):
    """The shards in a folder that is held by this process."""

    is_shared = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards: dict[str, _Shard] = {}

    @override
    async def exists(self, name: str) -> bool:
        return (self._folder / name / _SHARD_FILE).exists()

    @override
    @asynccontextmanager
    async def open(self, name: str, *, dimension: int | None) -> AsyncIterator[PointStore]:
        held = self._shards.setdefault(name, _Shard())
        async with held.turn:
            if held.store is None:
                held.store = await _load(self._folder / name, dimension)
                held.closed.clear()
            held.users += 1
        try:
            yield held.store
        finally:
            await asyncio.shield(_leave(held))

    @override
    async def drop(self, name: str) -> None:
        held = self._shards.get(name)
        if held is not None and held.store is not None:
            try:
                async with asyncio.timeout(LEAVE_TIMEOUT_SECONDS):
                    await held.closed.wait()
            except TimeoutError as exc:
                raise IndexUnavailable(f"the collection {name!r} is in use all the time") from exc
        try:
            await asyncio.to_thread(_remove, self._folder / name)
        except OSError as exc:
            raise IndexUnavailable(f"the collection {name!r} cannot be removed") from exc


@asynccontextmanager
async def open_edge_host(folder: Path) -> AsyncIterator[EdgeHost]:
    """Hold the folder for this process.

    Raises:
        IndexInUse: another process, or another part of this one, holds it.
    """
    with _exclusive_use(folder):
        yield EdgeHost(folder)


@asynccontextmanager
async def open_edge_store(folder: Path, *, dimension: int) -> AsyncIterator[PointStore]:
    """Open the first collection in the folder, or make it.

    Raises:
        IndexInUse: another process, or another part of this one, has the folder open.
        IndexUnavailable: the folder holds something that is no shard.
    """
    async with (
        open_edge_host(folder) as host,
        host.open(COLLECTION, dimension=dimension) as store,
    ):
        yield store


async def _load(path: Path, dimension: int | None) -> EdgePointStore:
    """Open a shard, or make one; every write is in its log before it returns."""
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qdrant-edge")
    try:
        shard = await _run_in(
            thread, lambda: _open_shard(path, dimension), timeout_seconds=OPEN_TIMEOUT_SECONDS
        )
    except BaseException:
        thread.shutdown(wait=False)
        raise
    log.info("vector_index_opened", engine="qdrant-edge", collection=path.name)
    return EdgePointStore(shard, thread)


async def _leave(held: _Shard) -> None:
    async with held.turn:
        held.users -= 1
        if held.users or held.store is None:
            return
        store, held.store = held.store, None
        try:
            await store.close()
        finally:
            held.closed.set()


def _remove(path: Path) -> None:
    (path / _SHARD_FILE).unlink(missing_ok=True)  # half a shard must not be taken for one
    if path.exists():
        shutil.rmtree(path)


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
        except IndexUnavailable:
            raise
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


def _open_shard(path: Path, dimension: int | None) -> qdrant_edge.EdgeShard:
    if (path / _SHARD_FILE).exists():
        return qdrant_edge.EdgeShard.load(str(path))
    if dimension is None:
        raise IndexUnavailable(f"there is no collection {path.name!r}")
    path.mkdir(parents=True, exist_ok=True)
    params = qdrant_edge.EdgeVectorParams(size=dimension, distance=qdrant_edge.Distance.Cosine)
    shard = qdrant_edge.EdgeShard.create(
        str(path),
        qdrant_edge.EdgeConfig(
            vectors={VECTOR_NAME: params},
            sparse_vectors={TERMS_NAME: qdrant_edge.EdgeSparseVectorParams()},
        ),
    )
    for fields, schema in (
        (INTEGER_FIELDS, qdrant_edge.PayloadSchemaType.Integer),
        (KEYWORD_FIELDS, qdrant_edge.PayloadSchemaType.Keyword),
    ):
        for name in fields:
            shard.update(qdrant_edge.UpdateOperation.create_field_index(name, schema))
    return shard


def _point(record: Record) -> qdrant_edge.Point:
    vector: dict[str, Any] = {}
    if record.vector is not None:
        vector = {VECTOR_NAME: list(record.vector)}
    if record.terms:
        vector[TERMS_NAME] = _sparse(record.terms)
    return qdrant_edge.Point(record.id, vector, dict(record.payload))


def _nearest_by_terms(weights: Mapping[int, float]) -> qdrant_edge.Query:
    return qdrant_edge.Query.Nearest(_sparse(weights), TERMS_NAME)


def _sparse(terms: Mapping[int, float]) -> qdrant_edge.SparseVector:
    return qdrant_edge.SparseVector(list(terms), list(terms.values()))


def _uuid(point_id: int | UUID | str) -> UUID:
    return point_id if isinstance(point_id, UUID) else UUID(str(point_id))


def _filter(where: Filter) -> qdrant_edge.Filter:
    must: list[Any] = [_condition(match) for match in where.must]
    if where.ids:
        must.append(qdrant_edge.HasIdCondition(set(where.ids)))
    return qdrant_edge.Filter(
        must=must,
        should=[_condition(match) for match in where.any_of] or None,
        must_not=[_condition(match) for match in where.never],
    )


def _condition(match: Match) -> qdrant_edge.FieldCondition:
    values: list[Any] = [*match.values]
    return qdrant_edge.FieldCondition(match.field, match=qdrant_edge.MatchAny(values))
