"""Documents: listed, searched and removed."""

from collections.abc import Sequence
from dataclasses import dataclass

from persistence.blobs import BlobStore
from persistence.database import Database
from persistence.errors import NotFound
from persistence.passages import Passage
from persistence.records import Document, DocumentStatus, Page
from persistence.retrieval import Retriever
from server.audit.entry import audit_entry
from server.documents.sharing import find_own
from server.documents.sources import OpenedSource
from server.erasure.documents import DocumentEraser
from server.errors import DocumentNotFound
from server.security.principal import Origin, Principal

TAGGED_MAX = 10_000
"""How many of the documents with a tag are searched at once, the newest."""


@dataclass(frozen=True, kw_only=True)
class DocumentFilter:
    """Which documents are wanted; whatever is not said makes no difference."""

    group_id: int | None = None
    tags: Sequence[str] = ()
    """All of them."""
    mime: str | None = None
    status: DocumentStatus | None = None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a search found."""

    passages: Sequence[Passage]
    is_complete: bool
    """Whether all documents were searched that it was about."""


class DocumentService:
    """Documents of one principal at a time."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: BlobStore,
        retriever: Retriever,
        eraser: DocumentEraser,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._retriever = retriever
        self._eraser = eraser

    async def list_documents(
        self, principal: Principal, wanted: DocumentFilter, *, limit: int, offset: int
    ) -> Page[Document]:
        """The documents that the principal may see and that are wanted, the newest first."""
        async with self._database.unit_of_work(principal.scope) as uow:
            return await uow.documents.list(
                group_id=wanted.group_id,
                tags=wanted.tags,
                mime=wanted.mime,
                status=wanted.status,
                limit=limit,
                offset=offset,
            )

    async def read(self, principal: Principal, document_id: int) -> Document:
        """One document.

        Raises:
            DocumentNotFound: It does not exist for this principal.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                return await uow.documents.get(document_id)
            except NotFound as exc:
                raise DocumentNotFound from exc

    async def delete(self, principal: Principal, origin: Origin, document_id: int) -> None:
        """Removes a document: its passages, its original, its row.

        Raises:
            DocumentNotFound: It does not exist for this principal.
            NotAuthorized: It is shared with the principal, who does not own it.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            document = await find_own(uow, document_id)
        entry = audit_entry(
            "document.delete",
            principal,
            origin,
            resource=("document", str(document.id)),
            group_id=document.group_id,
        )
        try:
            await self._eraser.erase(principal.scope, document, entry=entry)
        except NotFound as exc:  # another request was faster
            raise DocumentNotFound from exc

    async def search(
        self,
        principal: Principal,
        query: str,
        *,
        limit: int,
        document_ids: Sequence[int] | None = None,
        tags: Sequence[str] = (),
    ) -> Findings:
        """The passages nearest to a query, the best first; none when nothing is near.

        Args:
            principal: Who asks.
            query: What for.
            limit: How many passages at most.
            document_ids: Only in these.
            tags: Only in documents that have all of these.
        """
        is_complete = True
        if tags:
            async with self._database.unit_of_work(principal.scope) as uow:
                document_ids = await uow.document_labels.tagged(
                    tags, among=document_ids, limit=TAGGED_MAX + 1
                )
            is_complete = len(document_ids) <= TAGGED_MAX
            document_ids = document_ids[:TAGGED_MAX]
        if document_ids is not None and not document_ids:
            return Findings(passages=(), is_complete=True)
        passages = await self._retriever.search(
            query, scope=principal.scope, limit=limit, document_ids=document_ids
        )
        return Findings(passages=tuple(passages), is_complete=is_complete)

    async def open_source(self, principal: Principal, source_id: str) -> OpenedSource:
        """A cited passage; access is judged now, not when it was cited.

        Raises:
            ResourceNotFound: It does not exist for this principal.
        """
        passage = await self._retriever.open_source(source_id, principal.scope)
        async with self._database.unit_of_work(principal.scope) as uow:
            document = await uow.documents.get(passage.document_id)
        return OpenedSource(passage=passage, chunks=document.chunks)
