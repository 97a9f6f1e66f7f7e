"""Finding passages: the index finds, Postgres judges who may see them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Protocol
from uuid import UUID

from persistence.access import AccessScope
from persistence.encryption import KeyRing
from persistence.errors import DecryptionError, NotFound
from persistence.passages import Chunk, Passage
from persistence.vectors.embeddings import Embedder
from persistence.vectors.port import Point, ScoredPoint, StoredPoint, VectorIndex

__all__ = ["Chunk", "Passage", "Retriever"]

SCORE_FLOOR = 0.25
"""Below this cosine similarity a passage is no answer.

With all-MiniLM-L6-v2, 18 questions about 12 short passages of office life and 18 about other
things: 16 of the right passages lie above it, and 15 of the other questions find nothing (at 0.2:
16 and 13; at 0.3: 14 and 17).
"""

_NO_DOCUMENT = 0
_CANDIDATES_PER_RESULT = 4
_CANDIDATES_AT_MOST = 512


class TitledDocument(Protocol):
    """What a passage shows of its document."""

    @property
    def title(self) -> str:
        """The name that people know it by."""
        ...


class DocumentJudge(Protocol):
    """Tells which documents exist and may be seen."""

    async def visible(self, ids: Collection[int]) -> Mapping[int, TitledDocument]:
        """Those of the documents that the scope may see, by id."""
        ...


class GroupJudge(Protocol):
    """Tells which groups the scope's user is in."""

    async def ids(self) -> frozenset[int]:
        """The ids of the groups."""
        ...


class DocumentUnit(Protocol):
    """A unit of work, as far as searching needs one."""

    @property
    def documents(self) -> DocumentJudge:
        """The documents under the unit's scope."""
        ...

    @property
    def groups(self) -> GroupJudge:
        """The groups under the unit's scope."""
        ...


class DocumentDatabase(Protocol):
    """The database, as far as searching needs one."""

    def unit_of_work(self, scope: AccessScope) -> AbstractAsyncContextManager[DocumentUnit]:
        """A unit that reads under the scope."""
        ...


class Retriever:
    """Puts chunks into the index and finds them again under a scope.

    `score_floor` separates found from not found, so that a question about something else gets an
    empty answer and not the least unlike passages.
    """

    def __init__(
        self,
        database: DocumentDatabase,
        index: VectorIndex,
        embedder: Embedder,
        key_ring: KeyRing,
        *,
        score_floor: float = SCORE_FLOOR,
    ) -> None:
        self._database = database
        self._index = index
        self._embedder = embedder
        self._key_ring = key_ring
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
        vectors = await self._embedder.embed([_embedded_text(chunk) for chunk in chunks])
        points = [
            Point(
                position=chunk.position,
                vector=vector,
                ciphertext=self._seal(document_id, chunk),
            )
            for chunk, vector in zip(chunks, vectors, strict=True)
        ]
        await self._index.replace(document_id, points, owner_id=owner_id, group_id=group_id)

    async def delete(self, document_id: int) -> None:
        """Take the document out of the index."""
        await self._index.delete(document_id)

    async def recrypt(self, document_id: int, translate: Callable[[str], str]) -> int:
        """As `VectorIndex.recrypt`."""
        return await self._index.recrypt(document_id, translate)

    async def share(self, document_id: int, group_id: int | None) -> None:
        """Let searches of a group look at the document, or of none; nothing is embedded anew.

        Whether the group may see what they find is for the database to say.

        Raises:
            VectorIndexError: the index did not take it.
        """
        await self._index.share(document_id, group_id)

    async def unshare(self, group_id: int, *, owner_id: int | None = None) -> None:
        """Let searches of a group no longer look at anything, or at anything of one owner's.

        Raises:
            VectorIndexError: the index did not take it.
        """
        await self._index.unshare(group_id, owner_id=owner_id)

    async def search(
        self,
        query: str,
        *,
        scope: AccessScope,
        limit: int = 6,
        document_ids: Collection[int] | None = None,
    ) -> list[Passage]:
        """The passages nearest in meaning that the scope may see, best first; often none.

        Raises:
            EmbeddingError: the query could not be embedded.
            VectorIndexError: the index did not answer.
        """
        if limit < 1 or not query.strip():
            return []
        [vector] = await self._embedder.embed([query])
        scope = await self._with_groups(scope)
        candidates = limit * _CANDIDATES_PER_RESULT
        while True:
            hits = await self._index.search(
                vector, scope=scope, limit=candidates, document_ids=document_ids
            )
            near = [hit for hit in hits if hit.score >= self._score_floor]
            documents = await self._visible({hit.document_id for hit in near}, scope)
            found = [hit for hit in near if hit.document_id in documents]
            exhausted = len(near) < candidates or candidates >= _CANDIDATES_AT_MOST
            if len(found) >= limit or exhausted:
                return [self._open(hit, documents[hit.document_id]) for hit in found[:limit]]
            candidates = min(candidates * _CANDIDATES_PER_RESULT, _CANDIDATES_AT_MOST)

    async def open_source(self, passage_id: str, scope: AccessScope) -> Passage:
        """The passage behind a citation, judged again under the scope.

        Raises:
            NotFound: there is no such passage, or not for this scope.
        """
        try:
            point = await self._index.get(UUID(passage_id))
        except ValueError as exc:
            raise NotFound("no such source") from exc
        # Asked for nothing too: how long it takes tells nobody that there is something.
        documents = await self._visible({point.document_id if point else _NO_DOCUMENT}, scope)
        if point is None or point.document_id not in documents:
            raise NotFound("no such source")
        return self._open(point, documents[point.document_id])

    async def ping(self) -> None:
        """Return when the index answers."""
        await self._index.ping()

    async def _with_groups(self, scope: AccessScope) -> AccessScope:
        """The scope with the groups of this moment, whatever it said before."""
        async with self._database.unit_of_work(scope) as unit:
            return replace(scope, group_ids=await unit.groups.ids())

    async def _visible(
        self, document_ids: Collection[int], scope: AccessScope
    ) -> Mapping[int, TitledDocument]:
        if not document_ids:
            return {}
        async with self._database.unit_of_work(scope) as unit:
            return await unit.documents.visible(document_ids)

    def _seal(self, document_id: int, chunk: Chunk) -> str:
        content = {
            "text": chunk.text,
            "page": chunk.page,
            "heading": chunk.heading,
            "start_seconds": chunk.start_seconds,
        }
        context = _place(document_id, chunk.position)
        return self._key_ring.encrypt_json(content, context=context).decode("ascii")

    def _open(self, point: StoredPoint, document: TitledDocument) -> Passage:
        content = self._unseal(point)
        return Passage(
            id=str(point.id),
            document_id=point.document_id,
            title=document.title,
            page=content["page"],
            heading=content["heading"],
            start_seconds=content["start_seconds"],
            text=content["text"],
            score=point.score if isinstance(point, ScoredPoint) else 1.0,
            url=f"/v1/sources/{point.id}",
        )

    def _unseal(self, point: StoredPoint) -> dict[str, Any]:
        context = _place(point.document_id, point.position)
        content = self._key_ring.decrypt_json(point.ciphertext.encode(), context=context)
        if not isinstance(content, dict):
            raise DecryptionError(f"{context!r} holds no chunk")
        return content


def _embedded_text(chunk: Chunk) -> str:
    return f"{chunk.heading}\n{chunk.text}" if chunk.heading else chunk.text


def _place(document_id: int, position: int) -> str:
    return f"vectors.chunk/{document_id}/{position}"
