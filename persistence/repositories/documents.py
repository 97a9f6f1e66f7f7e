"""The documents that users gave."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.types import BigInteger, Text

from persistence.access import ScopedStatement
from persistence.errors import AccessDenied, Conflict, DocumentExists, NotAMember, NotFound
from persistence.models import documents, ingest_files
from persistence.records import Document, DocumentStatus, Page, Share
from persistence.repositories.base import Repository
from persistence.repositories.document_rows import (
    DocumentBody,
    hash_content,
    hash_tags,
    read_document,
    seal_body,
    wanted_tags,
)
from persistence.repositories.ingest_rows import source_hash
from persistence.statements import Statement
from persistence.transaction import Row

SHARES_AT_ONCE = 500
"""How many one statement reads."""

_ID = documents.c.id == bindparam("document")
_IDS = documents.c.id == bindparam("ids", type_=ARRAY(BigInteger)).any_()

_GET = ScopedStatement(lambda guard: select(documents).where(_ID, guard.readable(documents)))
# What is about to be searchable may be in the index already, and yet come to nothing.
_VISIBLE = ScopedStatement(
    lambda guard: select(documents).where(
        _IDS, documents.c.status != literal_column("'pending'"), guard.readable(documents)
    )
)
_OF_GROUP = (documents.c.group_id == bindparam("group", type_=BigInteger)) | bindparam(
    "group", type_=BigInteger
).is_(None)
_TAGS = bindparam("tags", type_=ARRAY(Text))
_WRITTEN_TAGS = bindparam("written_tags", type_=ARRAY(Text))
HAS_TAGS = or_(
    documents.c.tag_hashes.bool_op("@>")(_TAGS),
    documents.c.tag_hashes.bool_op("@>")(_WRITTEN_TAGS),
)
"""All of them."""
# Without tags it must not be the tags' index that is asked: it would give all of it.
_MAY_HAVE_TAGS = (func.cardinality(_TAGS) == literal_column("0")) | HAS_TAGS
_OF_MIME = (documents.c.mime == bindparam("mime", type_=Text)) | bindparam("mime", type_=Text).is_(
    None
)
_IN_STATUS = (documents.c.status == bindparam("status", type_=Text)) | bindparam(
    "status", type_=Text
).is_(None)
_LISTED = and_(_OF_GROUP, _MAY_HAVE_TAGS, _OF_MIME, _IN_STATUS)
_LIST = ScopedStatement(
    lambda guard: (
        select(documents)
        .where(_LISTED, guard.readable(documents))
        .order_by(documents.c.created_at.desc(), documents.c.id.desc())
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )
)
_COUNT = ScopedStatement(
    lambda guard: (
        select(func.count()).select_from(documents).where(_LISTED, guard.readable(documents))
    )
)
_OWN_AFTER = ScopedStatement(
    lambda guard: (
        select(documents)
        .where(guard.mine(documents.c.owner_id), documents.c.id > bindparam("after"))
        .order_by(documents.c.id)
        .limit(bindparam("limit"))
    )
)
_OF_OWNER = (documents.c.owner_id == bindparam("owner", type_=BigInteger)) | bindparam(
    "owner", type_=BigInteger
).is_(None)
_SHARED_AFTER = ScopedStatement(
    lambda guard: (
        select(documents.c.id, documents.c.group_id)
        .where(
            documents.c.group_id.is_not(None),
            _OF_GROUP,
            _OF_OWNER,
            guard.readable(documents),
            documents.c.id > bindparam("after"),
        )
        .order_by(documents.c.id)
        .limit(bindparam("limit"))
    )
)
# Of a file that is still worked on, that work decides.
_BEING_INGESTED = exists().where(
    ingest_files.c.document_id == documents.c.id, ingest_files.c.finished_at.is_(None)
)
_PENDING = ScopedStatement(
    lambda guard: (
        select(documents)
        .where(
            documents.c.status == "pending",
            documents.c.created_at <= bindparam("before"),
            ~_BEING_INGESTED,
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
        "body",
        "tag_hashes",
        "content_hash",
        "source_hash",
        "mime",
        "size_bytes",
        "blob",
    ),
)
_BY_HASH = ScopedStatement(
    lambda guard: select(documents).where(
        guard.mine(documents.c.owner_id), documents.c.content_hash == bindparam("hash")
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
_OWNED = ScopedStatement(
    lambda guard: select(documents).where(_ID, guard.owned(documents.c.owner_id))
)
_SHARE = ScopedStatement(
    lambda guard: (
        update(documents)
        .where(_ID, guard.owned(documents.c.owner_id))
        .values(group_id=bindparam("new_group"), updated_at=func.now())
        .returning(documents)
    )
)
_DELETE = ScopedStatement(
    lambda guard: (
        delete(documents).where(_ID, guard.owned(documents.c.owner_id)).returning(documents.c.blob)
    )
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
        group_id: int | None = None,
        source: str | None = None,
    ) -> Document:
        """Enter a document whose original is in the blob store, as pending.

        `source` is the path or address that it was read from, if any.

        Raises:
            DocumentExists: The user has one with that content.
            NotAMember: The user is not in that group.
            AccessDenied: The scope is the system.
        """
        owner_id = self._scope.user_id
        if self._scope.sees_all:
            raise AccessDenied("the system has no documents of its own")
        body = DocumentBody(title=title, filename=filename, tags=tuple(tags), source=source)
        row = await self._first_in_group(
            _INSERT,
            {
                "owner_id": owner_id,
                "group_id": group_id,
                "body": seal_body(body, owner_id, self._key_ring),
                "tag_hashes": hash_tags(self._key_ring, tags),
                "content_hash": self._hash(content_hash),
                "source_hash": source_hash(self._key_ring, owner_id, source) if source else None,
                "mime": mime,
                "size_bytes": size_bytes,
                "blob": blob,
            },
            group_id,
        )
        if row is None:
            raise DocumentExists("a document with the same content exists")
        return self._read(row)

    async def by_hash(self, content_hash: str) -> Document | None:
        """Return the user's own document with that content."""
        row = await self._first(_BY_HASH.under(self._scope), {"hash": self._hash(content_hash)})
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

    async def owned(self, document_id: int) -> Document:
        """Return a document that the scope may change.

        Raises:
            NotFound: There is none that the scope may read.
            AccessDenied: The scope may read it, but somebody else owns it.
        """
        row = await self._first(_OWNED.under(self._scope), {"document": document_id})
        if row is None:
            await self.get(document_id)
            raise AccessDenied("only its owner changes a document")
        return self._read(row)

    async def list(
        self,
        *,
        group_id: int | None = None,
        tags: Collection[str] = (),
        mime: str | None = None,
        status: DocumentStatus | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Page[Document]:
        """Return the documents that the scope may read, newest first.

        Args:
            group_id: Only those that are shared with this group.
            tags: Only those that have all of these.
            mime: Only those of this type.
            status: Only those that are so far.
            limit: How many at most.
            offset: How many to leave out first.
        """
        values = {
            "group": group_id,
            **wanted_tags(self._key_ring, tags),
            "mime": mime,
            "status": status,
        }
        return await self._page(
            _LIST.under(self._scope),
            _COUNT.under(self._scope),
            values,
            limit=limit,
            offset=offset,
            read=self._read,
        )

    async def own_after(self, document_id: int, *, limit: int) -> Sequence[Document]:
        """Return documents that the user owns and gave after that one, oldest first."""
        parameters = {"after": document_id, "limit": limit}
        rows = await self._all(_OWN_AFTER.under(self._scope), parameters)
        return [self._read(row) for row in rows]

    async def shares(
        self, *, group_id: int | None = None, owner_id: int | None = None
    ) -> Sequence[Share]:
        """Return what is shared, as far as the scope may read it.

        Args:
            group_id: Only with this group.
            owner_id: Only by this user.
        """
        found: list[Share] = []
        values = {"group": group_id, "owner": owner_id, "after": 0, "limit": SHARES_AT_ONCE}
        while True:
            rows = await self._all(_SHARED_AFTER.under(self._scope), values)
            found += [Share(document_id=row["id"], group_id=row["group_id"]) for row in rows]
            if len(rows) < SHARES_AT_ONCE:
                return found
            values["after"] = rows[-1]["id"]

    async def pending(self, before: datetime) -> Sequence[Document]:
        """Return the documents that were entered before then and are not searchable yet."""
        rows = await self._all(_PENDING.under(self._scope), {"before": before})
        return [self._read(row) for row in rows]

    async def visible(self, ids: Collection[int]) -> dict[int, Document]:
        """Return those of the documents that the scope may read and find, by id."""
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

    async def share(self, document_id: int, group_id: int | None) -> Document:
        """Let a group read a document, or with None nobody but its owner.

        Raises:
            NotFound: The scope owns no such document.
            NotAMember: Its owner is not in that group.
        """
        parameters = {"document": document_id, "new_group": group_id}
        row = await self._first_in_group(_SHARE.under(self._scope), parameters, group_id)
        if row is None:
            raise NotFound(f"no document {document_id!r}")
        return self._read(row)

    async def delete(self, document_id: int) -> str:
        """Delete the row; return the name of its original, which nobody knows any more then.

        Raises:
            NotFound: The scope owns no such document.
        """
        row = await self._first(_DELETE.under(self._scope), {"document": document_id})
        if row is None:
            raise NotFound(f"no document {document_id!r}")
        return str(row["blob"])

    async def _first_in_group(
        self, statement: Statement, values: Mapping[str, Any], group_id: int | None
    ) -> Row | None:
        """Run a statement whose row refers to its owner's membership of a group, if any."""
        try:
            return await self._first(statement, values)
        except Conflict as exc:
            if group_id is None:
                raise
            raise NotAMember("the owner is not in that group") from exc

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
        return hash_content(self._key_ring, content_hash)

    def _read(self, row: Row) -> Document:
        return read_document(row, self._key_ring)
