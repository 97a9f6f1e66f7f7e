"""A Qdrant server, reached through its asynchronous client."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID

import httpx
import structlog
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse
from typing_extensions import override

from persistence.vectors.errors import IndexUnavailable
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

REQUEST_TIMEOUT_SECONDS = 20

_CONFLICT = 409

log = structlog.get_logger(__name__)


class ServerPointStore(PointStore):
    """One collection on a server; a write returns when the server has applied it."""

    def __init__(self, client: AsyncQdrantClient, *, collection: str = COLLECTION) -> None:
        self._client = client
        self._collection = collection

    async def require_collection(self, dimension: int) -> None:
        """Make the collection and its payload indexes unless they are there."""
        params = models.VectorParams(size=dimension, distance=models.Distance.COSINE)
        with _translating_errors():
            if not await self._client.collection_exists(self._collection):
                await self._create_collection({VECTOR_NAME: params})
            for fields, schema in (
                (INTEGER_FIELDS, models.PayloadSchemaType.INTEGER),
                (KEYWORD_FIELDS, models.PayloadSchemaType.KEYWORD),
            ):
                for field in fields:
                    await self._client.create_payload_index(
                        self._collection, field, field_schema=schema, wait=True
                    )

    @override
    async def upsert(self, records: Sequence[Record]) -> None:
        with _translating_errors():
            await self._client.upsert(
                self._collection, points=[_point(record) for record in records], wait=True
            )

    @override
    async def search(
        self, vector: Sequence[float], where: Filter, limit: int
    ) -> list[ScoredRecord]:
        return await self._query(list(vector), VECTOR_NAME, where, limit)

    @override
    async def search_terms(
        self, weights: Mapping[int, float], where: Filter, limit: int
    ) -> list[ScoredRecord]:
        return await self._query(_sparse(weights), TERMS_NAME, where, limit)

    @override
    async def count_holders(self, terms: Sequence[int], where: Filter, at_most: int) -> list[int]:
        conditions = _filter(where)
        requests = [
            models.QueryRequest(
                query=_sparse({term: 1.0}), using=TERMS_NAME, filter=conditions, limit=at_most
            )
            for term in terms
        ]
        with _translating_errors():
            answers = await self._client.query_batch_points(self._collection, requests)
        return [len(answer.points) for answer in answers]

    @override
    async def retrieve(self, ids: Sequence[UUID]) -> list[Payload]:
        with _translating_errors():
            records = await self._client.retrieve(
                self._collection, ids=[str(each) for each in ids], with_payload=True
            )
        return [record.payload or {} for record in records]

    @override
    async def find(self, where: Filter, limit: int) -> list[Payload]:
        with _translating_errors():
            records, _ = await self._client.scroll(
                self._collection, scroll_filter=_filter(where), limit=limit, with_payload=True
            )
        return [record.payload or {} for record in records]

    @override
    async def set_payload(self, where: Filter, values: Payload) -> None:
        with _translating_errors():
            await self._client.set_payload(
                self._collection,
                payload=dict(values),
                points=models.FilterSelector(filter=_filter(where)),
                wait=True,
            )

    @override
    async def delete(self, where: Filter) -> None:
        with _translating_errors():
            await self._client.delete(
                self._collection,
                points_selector=models.FilterSelector(filter=_filter(where)),
                wait=True,
            )

    @override
    async def count(self, where: Filter) -> int:
        with _translating_errors():
            answer = await self._client.count(
                self._collection, count_filter=_filter(where), exact=True
            )
        return answer.count

    @override
    async def ping(self) -> None:
        with _translating_errors():
            await self._client.collection_exists(self._collection)

    async def _query(
        self, query: list[float] | models.SparseVector, using: str, where: Filter, limit: int
    ) -> list[ScoredRecord]:
        with _translating_errors():
            answer = await self._client.query_points(
                self._collection,
                query=query,
                using=using,
                query_filter=_filter(where),
                limit=limit,
                with_payload=True,
            )
        return [
            ScoredRecord(id=UUID(str(hit.id)), payload=hit.payload or {}, score=hit.score)
            for hit in answer.points
        ]

    async def _create_collection(self, vectors: dict[str, models.VectorParams]) -> None:
        try:
            await self._client.create_collection(
                self._collection,
                vectors_config=vectors,
                sparse_vectors_config={TERMS_NAME: models.SparseVectorParams()},
            )
        except UnexpectedResponse as exc:
            if exc.status_code != _CONFLICT:  # another replica was quicker
                raise


class ServerHost(CollectionHost):
    """The collections on a server."""

    is_shared = True

    def __init__(self, client: AsyncQdrantClient) -> None:
        self._client = client

    @override
    async def exists(self, name: str) -> bool:
        with _translating_errors():
            return await self._client.collection_exists(name)

    @override
    @asynccontextmanager
    async def open(self, name: str, *, dimension: int | None) -> AsyncIterator[PointStore]:
        store = ServerPointStore(self._client, collection=name)
        if dimension is not None:
            await store.require_collection(dimension)
        log.info("vector_index_opened", engine="qdrant", collection=name)
        yield store

    @override
    async def drop(self, name: str) -> None:
        with _translating_errors():
            await self._client.delete_collection(name)


@asynccontextmanager
async def open_server_host(url: str, *, api_key: str | None) -> AsyncIterator[ServerHost]:
    """Connect to the server; whether it answers shows at the first question."""
    client = AsyncQdrantClient(
        url=url, api_key=api_key, timeout=REQUEST_TIMEOUT_SECONDS, check_compatibility=False
    )
    try:
        yield ServerHost(client)
    finally:
        await client.close()


@contextmanager
def _translating_errors() -> Iterator[None]:
    try:
        yield
    except UnexpectedResponse as exc:
        raise IndexUnavailable(f"Qdrant refused with status {exc.status_code}") from exc
    except (ApiException, QdrantException, httpx.HTTPError, ValueError) as exc:
        raise IndexUnavailable(f"Qdrant does not answer ({type(exc).__name__})") from exc


def _point(record: Record) -> models.PointStruct:
    vector: dict[str, Any] = {}
    if record.vector is not None:
        vector = {VECTOR_NAME: list(record.vector)}
    if record.terms:
        vector[TERMS_NAME] = _sparse(record.terms)
    return models.PointStruct(id=str(record.id), vector=vector, payload=dict(record.payload))


def _sparse(terms: Mapping[int, float]) -> models.SparseVector:
    return models.SparseVector(indices=list(terms), values=list(terms.values()))


def _filter(where: Filter) -> models.Filter:
    must: list[models.Condition] = [_condition(match) for match in where.must]
    if where.ids:
        must.append(models.HasIdCondition(has_id=[str(each) for each in where.ids]))
    return models.Filter(
        must=must,
        should=[_condition(match) for match in where.any_of] or None,
        must_not=[_condition(match) for match in where.never],
    )


def _condition(match: Match) -> models.FieldCondition:
    return models.FieldCondition(key=match.field, match=models.MatchAny(any=list(match.values)))
