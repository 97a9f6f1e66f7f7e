"""A Qdrant server, reached through its asynchronous client."""

from collections.abc import AsyncIterator, Iterator, Sequence
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
    INTEGER_FIELDS,
    KEYWORD_FIELDS,
    VECTOR_NAME,
    Payload,
    PointStore,
    Record,
    ScoredRecord,
)

REQUEST_TIMEOUT_SECONDS = 20
COLLECTION = "passages"

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
        with _translating_errors():
            answer = await self._client.query_points(
                self._collection,
                query=list(vector),
                using=VECTOR_NAME,
                query_filter=_filter(where),
                limit=limit,
                with_payload=True,
            )
        return [ScoredRecord(payload=hit.payload or {}, score=hit.score) for hit in answer.points]

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

    async def _create_collection(self, vectors: dict[str, models.VectorParams]) -> None:
        try:
            await self._client.create_collection(self._collection, vectors_config=vectors)
        except UnexpectedResponse as exc:
            if exc.status_code != _CONFLICT:  # another replica was quicker
                raise


@asynccontextmanager
async def open_server_store(
    url: str, *, api_key: str | None, dimension: int | None
) -> AsyncIterator[ServerPointStore]:
    """Connect to the server and make sure of the collection, if its dimension is said.

    Raises:
        IndexUnavailable: the server does not answer, or refuses.
    """
    client = AsyncQdrantClient(
        url=url, api_key=api_key, timeout=REQUEST_TIMEOUT_SECONDS, check_compatibility=False
    )
    try:
        store = ServerPointStore(client)
        if dimension is not None:
            await store.require_collection(dimension)
        log.info("vector_index_opened", engine="qdrant")
        yield store
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
    return models.PointStruct(id=str(record.id), vector=vector, payload=dict(record.payload))


def _filter(where: Filter) -> models.Filter:
    return models.Filter(
        must=[_condition(match) for match in where.must],
        should=[_condition(match) for match in where.any_of] or None,
        must_not=[_condition(match) for match in where.never],
    )


def _condition(match: Match) -> models.FieldCondition:
    return models.FieldCondition(key=match.field, match=models.MatchAny(any=list(match.values)))
