"""What documents are read from, and how another content takes the place of theirs."""

from dataclasses import replace

from sqlalchemy import bindparam, func, literal_column, null, select, update

from persistence.access import ScopedStatement
from persistence.errors import Conflict, DocumentExists, NotFound
from persistence.models import documents
from persistence.records import Document
from persistence.repositories.base import Repository
from persistence.repositories.document_rows import (
    DocumentBody,
    hash_content,
    read_document,
    seal_body,
)
from persistence.repositories.ingest_rows import source_hash

_ID = documents.c.id == bindparam("document")
_BY_SOURCE = ScopedStatement(
    lambda guard: select(documents).where(
        guard.mine(documents.c.owner_id), documents.c.source_hash == bindparam("hash")
    )
)
_LOCK = ScopedStatement(
    lambda guard: select(documents).where(_ID, guard.owned(documents.c.owner_id)).with_for_update()
)
_MOVE = ScopedStatement(
    lambda guard: (
        update(documents)
        .where(_ID, guard.owned(documents.c.owner_id))
        .values(body=bindparam("new_body"), source_hash=bindparam("new_source"))
    )
)
_REPLACE = ScopedStatement(
    lambda guard: (
        update(documents)
        .where(_ID, guard.owned(documents.c.owner_id))
        .values(
            body=bindparam("new_body"),
            content_hash=bindparam("new_hash"),
            mime=bindparam("new_mime"),
            size_bytes=bindparam("new_size"),
            blob=bindparam("new_blob"),
            chunks=bindparam("new_chunks"),
            status=literal_column("'indexed'"),
            error_code=null(),
            updated_at=func.now(),
        )
        .returning(documents)
    )
)


class DocumentContentRepository(Repository):
    """One reads and replaces the content of one's own."""

    async def by_source(self, source: str) -> Document | None:
        """Return the user's own document that was read from there."""
        row = await self._first(
            _BY_SOURCE.under(self._scope),
            {"hash": source_hash(self._key_ring, self._scope.user_id, source)},
        )
        return read_document(row, self._key_ring) if row is not None else None

    async def lock(self, document_id: int) -> Document:
        """Return a document as it stays until the unit of work ends.

        Raises:
            NotFound: The scope owns no such document.
        """
        row = await self._first(_LOCK.under(self._scope), {"document": document_id})
        if row is None:
            raise NotFound(f"no document {document_id!r}")
        return read_document(row, self._key_ring)

    async def note_source(self, document: Document, source: str) -> None:
        """Note where a document, which is locked, was read from last.

        What comes from there later takes its place. A file that was given another name is known by
        that one from now on: what has its old name is another file.

        Raises:
            Conflict: Another document of the owner was read from there.
        """
        if document.source == source:
            return
        body = replace(DocumentBody.of(document), source=source)
        values = {
            "document": document.id,
            "new_body": seal_body(body, document.owner_id, self._key_ring),
            "new_source": source_hash(self._key_ring, document.owner_id, source),
        }
        await self._change(_MOVE.under(self._scope), values)

    async def replace(
        self,
        document: Document,
        *,
        title: str,
        filename: str,
        mime: str,
        size_bytes: int,
        content_hash: str,
        blob: str,
        chunks: int,
    ) -> Document:
        """Give a document another content; its id, its tags and who may read it stay.

        A title that somebody gave it stays, too.

        Raises:
            NotFound: The scope owns no such document.
            DocumentExists: The owner has another one with that content.
        """
        body = replace(DocumentBody.of(document), filename=filename)
        if not document.has_own_title:
            body = replace(body, title=title)
        values = {
            "document": document.id,
            "new_body": seal_body(body, document.owner_id, self._key_ring),
            "new_hash": hash_content(self._key_ring, content_hash),
            "new_mime": mime,
            "new_size": size_bytes,
            "new_blob": blob,
            "new_chunks": chunks,
        }
        try:
            row = await self._first(_REPLACE.under(self._scope), values)
        except Conflict as exc:
            raise DocumentExists("another document has the same content") from exc
        if row is None:
            raise NotFound(f"no document {document.id!r}")
        return read_document(row, self._key_ring)
