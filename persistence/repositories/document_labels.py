"""What people call documents and find them by: titles and tags."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger

from persistence.access import ScopedStatement
from persistence.errors import NotFound
from persistence.models import documents
from persistence.records import Document
from persistence.repositories.base import Repository
from persistence.repositories.document_rows import (
    DocumentBody,
    hash_tags,
    read_document,
    seal_body,
    wanted_tags,
)
from persistence.repositories.documents import HAS_TAGS

_ID = documents.c.id == bindparam("document")
_IDS = bindparam("ids", type_=ARRAY(BigInteger))
_AMONG = _IDS.is_(None) | (documents.c.id == _IDS.any_())
_TAGGED = ScopedStatement(
    lambda guard: (
        select(documents.c.id)
        .where(HAS_TAGS, _AMONG, guard.readable(documents))
        .order_by(documents.c.id.desc())
        .limit(bindparam("limit"))
    )
)
_LOCK = ScopedStatement(
    lambda guard: select(documents).where(_ID, guard.owned(documents.c.owner_id)).with_for_update()
)
_RELABEL = ScopedStatement(
    lambda guard: (
        update(documents)
        .where(_ID, guard.owned(documents.c.owner_id))
        .values(
            body=bindparam("new_body"),
            tag_hashes=bindparam("new_tags"),
            updated_at=func.now(),
        )
        .returning(documents)
    )
)


class DocumentLabelRepository(Repository):
    """One finds by the labels of what one may read, and changes those of one's own."""

    async def tagged(
        self, tags: Collection[str], *, among: Collection[int] | None = None, limit: int
    ) -> list[int]:
        """Return the ids of documents that have all the tags, the newest first.

        Args:
            tags: What they have to have.
            among: Only these are looked at.
            limit: How many at most.
        """
        values = {
            **wanted_tags(self._key_ring, tags),
            "ids": None if among is None else list(among),
            "limit": limit,
        }
        return [row["id"] for row in await self._all(_TAGGED.under(self._scope), values)]

    async def relabel(
        self, document_id: int, *, title: str | None = None, tags: Sequence[str] | None = None
    ) -> Document:
        """Give a document another title or other tags; what is None stays as it is.

        Raises:
            NotFound: The scope owns no such document.
        """
        # Both stand in one encrypted body: two who change one each must not undo each other.
        row = await self._first(_LOCK.under(self._scope), {"document": document_id})
        if row is None:
            raise NotFound(f"no document {document_id!r}")
        before = read_document(row, self._key_ring)
        body = DocumentBody.of(before)
        if title is not None:
            body = replace(body, title=title, has_own_title=True)
        if tags is not None:
            body = replace(body, tags=tuple(tags))
        values = {
            "document": document_id,
            "new_body": seal_body(body, before.owner_id, self._key_ring),
            "new_tags": hash_tags(self._key_ring, body.tags),
        }
        row = await self._first(_RELABEL.under(self._scope), values)
        if row is None:
            raise NotFound(f"no document {document_id!r}")
        return read_document(row, self._key_ring)
