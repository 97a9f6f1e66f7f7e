"""Finding passages: the index finds, Postgres judges who may see them."""

import asyncio
from collections import abc
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeVar
from uuid import UUID

import structlog

from persistence.access import AccessScope
from persistence.document_access import DocumentDatabase, TitledDocument
from persistence.document_outlines import OUTLINED_CHUNKS_MAX, DocumentOutline, outline
from persistence.encryption import KeyRing
from persistence.errors import InvalidValue, NotFound
from persistence.index_collections import Collection, Collections
from persistence.lexical.terms import TermMaker
from persistence.passages import Chunk, Passage
from persistence.point_making import PointMaker, searched_text
from persistence.ranking.errors import RerankError
from persistence.ranking.joining import Span, join_neighbours
from persistence.ranking.near_duplicates import Fingerprint, fingerprint, says_nothing_new
from persistence.ranking.reranker import Reranker
from persistence.ranking.scores import COMPANION_FLOOR, SCORE_FLOOR, score_of
from persistence.records import Document, Page
from persistence.sealed_chunks import open_chunk
from persistence.unit_of_work import UnitOfWork
from persistence.vectors.errors import VectorError
from persistence.vectors.port import Point, ScoredPoint, StoredPoint, passage_id
from persistence.visible_text import show

__all__ = ["Chunk", "Passage", "Retriever"]

_NO_DOCUMENT = 0
DIGEST_CHARS = 12
_CANDIDATES_PER_RESULT = 4
_CANDIDATES_AT_MOST = 512
_POOL_PER_RESULT = 3
"""Passages that are opened, and reranked, for each that comes back: neighbours become one."""

log = structlog.get_logger(__name__)

T = TypeVar("T")
_Ranked = tuple[float, ScoredPoint]


class Retriever:
    """Puts chunks into the index and finds them again under a scope.

    `score_floor` separates found from not found, so that a question about something else gets an
    empty answer and not the least unlike passages: the best passage has to reach it.
    """

    def __init__(
        self,
        database: DocumentDatabase,
        collections: Collections,
        key_ring: KeyRing,
        *,
        reranker: Reranker | None = None,
        score_floor: float = SCORE_FLOOR,
    ) -> None:
        self._database = database
        self._collections = collections
        self._key_ring = key_ring
        self._terms = TermMaker(key_ring)
        self._points = PointMaker(key_ring)
        self._reranker = reranker
        self._score_floor = score_floor

    async def replace(
        self,
        document_id: int,
        owner_id: int,
        chunks: Sequence[Chunk],
        *,
        group_id: int | None = None,
    ) -> None:
        """Index the chunks in the place of whatever the document had there.

        Raises:
            EmbeddingError: the chunks could not be embedded; nothing was changed.
            VectorIndexError: the index did not take them; the old ones stay in force.
        """
        points = await self.prepare(document_id, chunks)
        await self.put(document_id, points, owner_id=owner_id, group_id=group_id)

    async def prepare(self, document_id: int, chunks: Sequence[Chunk]) -> list[Point]:
        """Embed and encrypt chunks of a document, which takes its time; the index is left alone.

        Raises:
            EmbeddingError: the chunks could not be embedded.
        """
        async with self._collections.reading() as collection:
            return await self._points.make(collection.embedder, document_id, chunks)

    async def put(
        self,
        document_id: int,
        points: Sequence[Point],
        *,
        owner_id: int,
        group_id: int | None = None,
        within: UnitOfWork | None = None,
    ) -> None:
        """Put what was prepared in the place of whatever the document had in the index.

        Args:
            document_id: Whose it is.
            points: What `prepare` made; embedded once more if the model is another one by now.
            owner_id: Who finds it.
            group_id: Who finds it too.
            within: The unit of work that this is a part of.

        Raises:
            VectorIndexError: the index did not take it; what was there stays in force.
            EmbeddingError: the model is another one, and does not answer.
        """
        async with self._collections.writing(within) as collection:
            if any(point.model != collection.embedder.model for point in points):
                stored = [_as_stored(document_id, point) for point in points]
                points = await self._points.remake(collection.embedder, stored)
            await collection.index.replace(
                document_id, points, owner_id=owner_id, group_id=group_id
            )

    async def delete(self, document_id: int, *, within: UnitOfWork | None = None) -> None:
        """Take the document out of the index, as a part of a unit of work if there is one."""
        await self._collections.delete(document_id, within)

    async def recrypt(self, document_id: int, translate: Callable[[str], str]) -> int:
        """As `VectorIndex.recrypt`."""
        async with self._collections.writing(None) as collection:
            return await collection.index.recrypt(document_id, translate)

    async def share(
        self, document_id: int, group_id: int | None, *, within: UnitOfWork | None = None
    ) -> None:
        """Let searches of a group look at the document, or of none; nothing is embedded anew.

        Whether the group may see what they find is for the database to say.

        Raises:
            VectorIndexError: the index did not take it.
        """
        async with self._collections.writing(within) as collection:
            await collection.index.share(document_id, group_id)

    async def unshare(self, group_id: int, *, owner_id: int | None = None) -> None:
        """Let searches of a group no longer look at anything, or at anything of one owner's.

        Raises:
            VectorIndexError: the index did not take it.
        """
        async with self._collections.writing(None) as collection:
            await collection.index.unshare(group_id, owner_id=owner_id)

    async def search(
        self,
        query: str,
        *,
        scope: AccessScope,
        limit: int = 6,
        document_ids: abc.Collection[int] | None = None,
    ) -> list[Passage]:
        """The passages that answer best of those that the scope may see, best first; often none.

        Passages that say the same come once, and neighbours in a document as one.

        Raises:
            EmbeddingError: the query could not be embedded.
            VectorIndexError: the index did not answer.
        """
        query = show(query)
        if limit < 1 or not query.strip():
            return []
        scope = await self._with_groups(scope)
        return await self._in_force(
            lambda collection: self._search(
                collection, query, scope=scope, limit=limit, document_ids=document_ids
            )
        )

    async def _search(
        self,
        collection: Collection,
        query: str,
        *,
        scope: AccessScope,
        limit: int,
        document_ids: abc.Collection[int] | None,
    ) -> list[Passage]:
        [vector] = await collection.embedder.embed([query])
        words = self._terms.of_query(query)
        candidates = limit * _CANDIDATES_PER_RESULT
        while True:
            hits = await collection.index.search(
                vector, words=words, scope=scope, limit=candidates, document_ids=document_ids
            )
            ranked = _rank(hits, self._score_floor)
            documents = await self._visible({hit.document_id for _, hit in ranked}, scope)
            spans = self._different(ranked, documents)
            pool = self._answering(list(islice(spans, limit * _POOL_PER_RESULT)))
            joined = _join(pool, limit)
            exhausted = len(ranked) < candidates or candidates >= _CANDIDATES_AT_MOST
            if len(joined) >= limit or exhausted:
                break
            candidates = min(candidates * _CANDIDATES_PER_RESULT, _CANDIDATES_AT_MOST)
        if self._reranker is not None:
            joined = _join(await self._rerank(self._reranker, query, pool), limit)
        return [span.passage for span in joined]

    async def open_source(self, passage_id: str, scope: AccessScope) -> Passage:
        """The passage behind a citation, judged again under the scope.

        Raises:
            NotFound: there is no such passage, or not for this scope.
        """
        try:
            wanted = UUID(passage_id)
        except ValueError as exc:
            raise NotFound("no such source") from exc
        point = await self._in_force(lambda collection: collection.index.get(wanted))
        # Asked for nothing too: how long it takes tells nobody that there is something.
        documents = await self._visible({point.document_id if point else _NO_DOCUMENT}, scope)
        if point is None or point.document_id not in documents:
            raise NotFound("no such source")
        return self._open(point, documents[point.document_id], score=1.0)

    async def list_documents(
        self, *, scope: AccessScope, limit: int, offset: int
    ) -> Page[Document]:
        """The documents that the scope may see, the newest first."""
        async with self._database.unit_of_work(scope) as unit:
            return await unit.documents.list(limit=limit, offset=offset)

    async def outline(self, document_id: int, *, scope: AccessScope) -> DocumentOutline:
        """The headings of a document.

        Raises:
            NotFound: there is no such document that can be searched, or not for this scope.
            InvalidValue: it is too long.
        """
        documents = await self._visible({document_id}, scope)
        if document_id not in documents:
            raise NotFound("no such document")
        count = await self._in_force(lambda collection: collection.index.count(document_id))
        if count > OUTLINED_CHUNKS_MAX:
            raise InvalidValue("the document is too long for an outline")
        points = await self._in_force(lambda collection: collection.index.chunks(document_id))
        # Thousands may have to be decrypted.
        return await asyncio.to_thread(
            lambda: outline(
                document_id,
                documents[document_id].title,
                (open_chunk(self._key_ring, point) for point in points),
            )
        )

    async def ping(self) -> None:
        """Return when the index answers."""
        async with self._collections.reading() as collection:
            await collection.index.ping()

    async def _in_force(self, read: Callable[[Collection], Awaitable[T]]) -> T:
        """What is read from the collection in force, if another one is by now, from that."""
        async with self._collections.reading() as used:
            try:
                return await read(used)
            except VectorError:  # it may have been removed while this process heard nothing
                await self._collections.refresh()
                async with self._collections.reading() as now:
                    if now is used:
                        raise
                    return await read(now)

    async def _with_groups(self, scope: AccessScope) -> AccessScope:
        """The scope with the groups of this moment, whatever it said before."""
        async with self._database.unit_of_work(scope) as unit:
            return replace(scope, group_ids=await unit.groups.ids())

    async def _visible(
        self, document_ids: abc.Collection[int], scope: AccessScope
    ) -> Mapping[int, TitledDocument]:
        if not document_ids:
            return {}
        async with self._database.unit_of_work(scope) as unit:
            return await unit.documents.visible(document_ids)

    def _answering(self, spans: list[Span]) -> list[Span]:
        """All of them if the best one answers; what the caller may not see speaks for nothing."""
        return spans if spans and spans[0].passage.score >= self._score_floor else []

    def _different(
        self, ranked: Sequence[_Ranked], documents: Mapping[int, TitledDocument]
    ) -> Iterator[Span]:
        """The hits as passages, without those that say what a better one says."""
        seen: list[Fingerprint] = []
        for score, hit in ranked:
            if hit.document_id not in documents:
                continue
            passage = self._open(hit, documents[hit.document_id], score=score)
            mark = fingerprint(passage.text)
            if not any(says_nothing_new(mark, each) for each in seen):
                seen.append(mark)
                yield Span(passage=passage, first=hit.position, last=hit.position)

    async def _rerank(
        self, reranker: Reranker, query: str, spans: Sequence[Span]
    ) -> Sequence[Span]:
        texts = [searched_text(span.passage) for span in spans]
        try:
            scores = await reranker.rerank(query, texts)
        except RerankError as exc:
            log.warning("rerank_failed", reason=str(exc))
            return spans
        scored = [
            replace(span, passage=replace(span.passage, score=score))
            for span, score in zip(spans, scores, strict=True)
        ]
        return sorted(scored, key=lambda span: -span.passage.score)

    def _open(self, point: StoredPoint, document: TitledDocument, *, score: float) -> Passage:
        chunk = open_chunk(self._key_ring, point)
        return Passage(
            id=str(point.id),
            document_id=point.document_id,
            title=document.title,
            filename=document.filename,
            page=chunk.page,
            heading=chunk.heading,
            start_seconds=chunk.start_seconds,
            text=chunk.text,
            score=score,
            url=f"/v1/sources/{point.id}",
            citation_key=self._key_ring.keyed_hash(f"citation\0{point.id}"),
            position=point.position,
            digest=self._key_ring.keyed_hash(f"passage\0{chunk.text}")[:DIGEST_CHARS],
        )


def _rank(hits: Sequence[ScoredPoint], floor: float) -> list[_Ranked]:
    """If one answers, it and those beside it, the best first; of equals always the same one."""
    scored = [(score_of(hit), hit) for hit in hits]
    if all(score < floor for score, _ in scored):
        return []
    found = [(score, hit) for score, hit in scored if score >= min(floor, COMPANION_FLOOR)]
    return sorted(found, key=lambda each: (-each[0], each[1].document_id, each[1].position))


def _join(spans: Iterable[Span], limit: int) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        if len(joined) >= limit:
            break
        joined = join_neighbours([*joined, span])
    return joined


def _as_stored(document_id: int, point: Point) -> StoredPoint:
    return StoredPoint(
        id=passage_id(document_id, point.position),
        document_id=document_id,
        position=point.position,
        ciphertext=point.ciphertext,
    )
