"""The originals of documents, handed out as they were given."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from persistence.blobs import BlobStore
from persistence.database import Database
from persistence.errors import NotFound
from persistence.records import Document
from server.documents.byte_range import ByteRange, read_range
from server.errors import DocumentNotFound
from server.security.principal import Principal
from server.security.revocation import Revocation
from server.security.streams import end_with


@dataclass(frozen=True, kw_only=True)
class OpenedContent:
    """An original on its way out; whoever has it reads it or closes it."""

    document: Document
    etag: str
    """Another one when the document gets another content."""
    part: ByteRange | None
    """What comes; None if it is all of it."""
    pieces: AsyncGenerator[bytes, None]

    @property
    def length(self) -> int:
        """How many bytes come."""
        return self.document.size_bytes if self.part is None else self.part.length


class DocumentContents:
    """Opens the originals that a principal may read."""

    def __init__(self, *, database: Database, blobs: BlobStore, revocation: Revocation) -> None:
        self._database = database
        self._blobs = blobs
        self._revocation = revocation

    async def open(
        self,
        principal: Principal,
        document_id: int,
        *,
        wanted: str | None = None,
        only_if: str | None = None,
    ) -> OpenedContent:
        """Opens an original; its reading breaks off when the user is locked out.

        Args:
            principal: Who reads.
            document_id: Whose original.
            wanted: The part that is asked for, as a `Range` header; None for all of it.
            only_if: The etag with which the part makes sense, as an `If-Range` header.

        Raises:
            DocumentNotFound: It does not exist for this principal.
            RangeNotSatisfiable: It ends before that part.
        """
        watch = self._revocation.watch(
            principal.user.id, login_id=principal.login_id, api_key_id=principal.api_key_id
        )
        await self._revocation.confirm(watch)
        try:
            async with self._database.unit_of_work(principal.scope) as uow:
                document = await uow.documents.get(document_id)
            etag = _etag(document)
            is_same = only_if in {None, etag}
            part = read_range(wanted, document.size_bytes) if is_same else None
            pieces = await self._read(document, part)
        except NotFound as exc:
            raise DocumentNotFound from exc
        return OpenedContent(
            document=document, etag=etag, part=part, pieces=end_with(watch, pieces)
        )

    async def _read(
        self, document: Document, part: ByteRange | None
    ) -> AsyncGenerator[bytes, None]:
        """Begins to read, so that what is damaged or gone is an error and no broken answer."""
        start, left = (part.start, part.length) if part else (0, document.size_bytes)
        pieces = self._blobs.stream(document.blob, start=start)
        first = await anext(pieces, b"")

        async def read() -> AsyncGenerator[bytes, None]:
            piece, missing = first, left
            async with aclosing(pieces):
                while missing > 0 and piece:
                    yield piece[:missing]
                    missing -= len(piece)
                    piece = await anext(pieces, b"") if missing > 0 else b""

        return read()


def _etag(document: Document) -> str:
    # The blob's name is the store's own business.
    return f'"{hashlib.sha256(document.blob.encode()).hexdigest()[:32]}"'
