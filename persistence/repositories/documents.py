"""The documents that users gave."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.types import BigInteger

from persistence.access import ScopedStatement
from persistence.errors import AccessDenied, DocumentExists, NotFound
from persistence.models import documents
from persistence.records import Document, DocumentStatus, Page
from persistence.repositories.base import Repository
from persistence.statements import Statement
from persistence.transaction import Row

_ID = documents.c.id == bindparam("document")
_IDS = documents.c.id == bindparam("ids", type_=ARRAY(BigInteger)).any_()

_GET = ScopedStatement(lambda guard: select(documents).where(_ID, guard.readable(documents)))
_VISIBLE = ScopedStatement(lambda guard: select(documents).where(_IDS, guard.readable(documents)))
_LIST = ScopedStatement(
    lambda guard: (
        select(documents)
        .where(guard.readable(documents))
        .order_by(documents.c.created_at.desc(), documents.c.id.desc())
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )
)
_COUNT = ScopedStatement(
    lambda guard: select(func.count()).select_from(documents).where(guard.readable(documents))
)
_PENDING = ScopedStatement(
    lambda guard: (
        select(documents)
        .where(
            documents.c.status == "pending",
            documents.c.created_at <= bindparam("before"),
            guard.owned(documents.c.owner_id),
        )
        .order_by(documents.c.id)
    )
)
_INSERT = Statement(
    insert(documents)
    .on_conflict_do_nothing(index_elements=["owner_id", "content_hash"])
    .returning(documents),
    columns=(
        "owner_id",
        "group_id",
        "is_private",
        "body",
        "tag_hashes",
        "content_hash",
        "mime",
        "size_bytes",
        "blob",
    ),
)
_BY_HASH = Statement(
    select(documents).where(
        documents.c.owner_id == bindparam("scope_user_id", type_=BigInteger),
        documents.c.content_hash == bindparam("hash"),
    )
)
_SET_STATUS = ScopedStatement(
    lambda guard: (
        update(documents)
        .where(_ID, guard.owned(documents.c.owner_id))
        .values(
            status=bindparam("new_status"),
            chunks=bindparam("new_chunks"),
            error_code=bindparam("new_error_code"),
            updated_at=func.now(),
        )
    )
)
_DELETE = ScopedStatement(
    lambda guard: delete(documents).where(_ID, guard.owned(documents.c.owner_id))
)


class DocumentRepository(Repository):
    """One may read one's own documents and those of one's groups, and change one's own."""

    async def create(
        self,
        *,
        title: str,
        filename: str,
        mime: str,
        size_bytes: int,
        content_hash: str,
        blob: str,
        tags: Sequence[str] = (),
        is_private: bool = True,
        group_id: int | None = None,
    ) -> Document:
        """Enter a document whose original is in the blob store, as pending.

        Raises:
            DocumentExists: The user has one with that content.
            AccessDenied: The scope is the system, or not in that group.
        """
        owner_id = self._scope.user_id
        if self._scope.sees_all:
            raise AccessDenied("the system has no documents of its own")
        if group_id is not None and group_id not in self._scope.group_ids:
            raise AccessDenied("only a member shares with a group")
        body = {"title": title, "filename": filename, "tags": list(tags)}
        row = await self._first(
            _INSERT,
            {
                "owner_id": owner_id,
                "group_id": group_id,
                "is_private": is_private,
                "body": self._key_ring.encrypt_json(body, context=_context(owner_id)),
                "tag_hashes": [self._key_ring.keyed_hash(f"documents.tags/{tag}") for tag in tags],
                "content_hash": self._hash(content_hash),
                "mime": mime,
                "size_bytes": size_bytes,
                "blob": blob,
            },
        )
        if row is None:
            raise DocumentExists("a document with the same content exists")
        return self._read(row)

    async def by_hash(self, content_hash: str) -> Document | None:
        """Return the user's own document with that content."""
        row = await self._first(_BY_HASH, {"hash": self._hash(content_hash)})
        return self._read(row) if row is not None else None

    async def get(self, document_id: int) -> Document:
        """Return a document that the scope may read.

        Raises:
            NotFound: There is none.
        """
        row = await self._first(_GET.under(self._scope), {"document": document_id})
        if row is None:
            raise NotFound(f"no document {document_id!r}")
        return self._read(row)

    async def list(self, *, limit: int = 50, offset: int = 0) -> Page[Document]:
        """Return the documents that the scope may read, newest first."""
        return await self._page(
            _LIST.under(self._scope),
            _COUNT.under(self._scope),
            {},
            limit=limit,
            offset=offset,
            read=self._read,
        )

    async def pending(self, before: datetime) -> Sequence[Document]:
        """Return the documents that were entered before then and are not searchable yet."""
        rows = await self._all(_PENDING.under(self._scope), {"before": before})
        return [self._read(row) for row in rows]

    async def visible(self, ids: Collection[int]) -> dict[int, Document]:
        """Return those of the documents that the scope may read, by id."""
        rows = await self._all(_VISIBLE.under(self._scope), {"ids": ids}) if ids else ()
        return {row["id"]: self._read(row) for row in rows}

    async def mark_indexed(self, document_id: int, chunks: int) -> None:
        """Note that a document can be found, in so many chunks.

        Raises:
            NotFound: The scope owns no such document.
        """
        await self._set_status(document_id, "indexed", chunks=chunks, error_code=None)

    async def mark_failed(self, document_id: int, code: str) -> None:
        """Note why a document could not be indexed.

        Raises:
            NotFound: The scope owns no such document.
        """
        await self._set_status(document_id, "failed", chunks=0, error_code=code)

    async def delete(self, document_id: int) -> None:
        """Delete the row; its vectors and its original must be gone by then.

        Raises:
            NotFound: The scope owns no such document.
        """
        if not await self._change(_DELETE.under(self._scope), {"document": document_id}):
            raise NotFound(f"no document {document_id!r}")

    async def _set_status(
        self, document_id: int, status: DocumentStatus, *, chunks: int, error_code: str | None
    ) -> None:
        parameters = {
            "document": document_id,
            "new_status": status,
            "new_chunks": chunks,
            "new_error_code": error_code,
        }
        if not await self._change(_SET_STATUS.under(self._scope), parameters):
            raise NotFound(f"no document {document_id!r}")

    def _hash(self, content_hash: str) -> str:
        return self._key_ring.keyed_hash(f"documents.content_hash/{content_hash}")

    def _read(self, row: Row) -> Document:
        body = self._key_ring.decrypt_json(row["body"], context=_context(row["owner_id"]))
        return Document(
            id=row["id"],
            owner_id=row["owner_id"],
            title=body["title"],
            filename=body["filename"],
            mime=row["mime"],
            size_bytes=row["size_bytes"],
            status=row["status"],
            error_code=row["error_code"],
            chunks=row["chunks"],
            blob=row["blob"],
            tags=tuple(body["tags"]),
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            is_private=row["is_private"],
            group_id=row["group_id"],
        )


def _context(owner_id: int) -> str:
    return f"documents.body/{owner_id}"
