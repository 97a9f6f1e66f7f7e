"""Documents: taken in, listed, searched and removed."""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

import structlog

from loaders.document import LoadedDocument
from loaders.errors import LoaderError, LoaderLimit
from loaders.pipeline import Pipeline
from persistence.access import AccessScope
from persistence.blobs import BlobStore
from persistence.database import Database
from persistence.errors import DocumentExists, NotFound, PersistenceError
from persistence.passages import Chunk, Passage
from persistence.records import Document, Page
from persistence.retrieval import Retriever
from server.audit.service import audit_entry
from server.errors import DocumentNotFound, IngestConflict, TooLarge
from server.observability import describe
from server.security.principal import Origin, Principal

PARALLEL_UPLOADS = 4
"""Uploads that are worked on at once; each is held in memory as a whole."""
ABANDONED_AFTER = timedelta(hours=1)
"""How old a document is that no living process can still be taking in."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One file as it was sent."""

    filename: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class IngestedFile:
    """A file that is now searchable."""

    document: Document
    path: str
    size_bytes: int
    unchanged: bool
    """Whether the same bytes were there already."""


@dataclass(frozen=True, kw_only=True)
class FailedFile:
    """A file that was refused; nothing of it is kept."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class IngestReport:
    """What came of an upload, file by file."""

    files: tuple[IngestedFile, ...]
    errors: tuple[FailedFile, ...]


class DocumentService:
    """Documents of one principal at a time."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: BlobStore,
        pipeline: Pipeline,
        retriever: Retriever,
        max_file_bytes: int,
        max_passages: int,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._pipeline = pipeline
        self._retriever = retriever
        self._max_file_bytes = max_file_bytes
        self._max_passages = max_passages
        self._uploads = asyncio.Semaphore(PARALLEL_UPLOADS)
        self._ingesting: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    async def warm_up(self) -> None:
        """Gets the reading process ready, so that the first upload does not wait for it."""
        try:
            await self._pipeline.warm_up()
        except LoaderError as exc:
            log.warning("reader_not_ready", **describe(exc))

    async def discard_abandoned(self) -> None:
        """Removes what uploads left half done whose process died.

        Nobody else can be uploading on an embedded database, so there everything pending is.
        """
        age = timedelta() if self._database.embedded else ABANDONED_AFTER
        scope = AccessScope.system("abandoned uploads")
        try:
            async with self._database.unit_of_work(scope) as uow:
                abandoned = await uow.documents.pending(datetime.now(UTC) - age)
            for document in abandoned:
                await self._discard(scope, document)
        except PersistenceError as exc:  # a later start tries again; serving is worth more
            log.warning("abandoned_documents_kept", **describe(exc))
        else:
            if abandoned:
                log.warning("abandoned_documents_discarded", count=len(abandoned))

    def upload_slot(self) -> AbstractAsyncContextManager[None]:
        """Held from before an upload is read until it is done: each is in memory as a whole."""
        return self._uploads

    async def ingest(
        self, principal: Principal, origin: Origin, uploads: Sequence[Upload], tags: Sequence[str]
    ) -> IngestReport:
        """Makes files searchable for the principal; one bad file never fails its neighbours."""
        files: list[IngestedFile] = []
        errors: list[FailedFile] = []
        for upload in uploads:
            try:
                files.append(await self._ingest_file(principal, origin, upload, tags))
            except LoaderError as exc:
                errors.append(FailedFile(path=upload.filename, code=exc.code, message=str(exc)))
            except (TooLarge, IngestConflict) as exc:
                errors.append(FailedFile(path=upload.filename, code=exc.code, message=str(exc)))
        if errors:
            await self._audit_failures(principal, origin, errors)
        return IngestReport(files=tuple(files), errors=tuple(errors))

    async def list_documents(
        self, principal: Principal, *, limit: int, offset: int
    ) -> Page[Document]:
        """The documents that the principal may see, the newest first."""
        async with self._database.unit_of_work(principal.scope) as uow:
            return await uow.documents.list(limit=limit, offset=offset)

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
        """Removes a document: its passages, its row, its original.

        The row outlives the passages, so that a deletion which broke off can be asked for again.

        Raises:
            DocumentNotFound: It does not exist for this principal.
        """
        document = await self.read(principal, document_id)
        await self._retriever.delete(document.id)
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                await uow.documents.delete(document.id)
            except NotFound as exc:  # another request was faster
                raise DocumentNotFound from exc
            await uow.audit.record(
                audit_entry(
                    "document.delete", principal, origin, resource=("document", str(document.id))
                )
            )
            await uow.commit()
        await self._blobs.delete(document.blob)

    async def search(
        self,
        principal: Principal,
        query: str,
        *,
        limit: int,
        document_ids: Sequence[int] | None = None,
    ) -> list[Passage]:
        """The passages nearest to a query, the best first; none when nothing is near."""
        return await self._retriever.search(
            query, scope=principal.scope, limit=limit, document_ids=document_ids
        )

    async def open_source(self, principal: Principal, source_id: str) -> Passage:
        """A cited passage; access is judged now, not when it was cited.

        Raises:
            ResourceNotFound: It does not exist for this principal.
        """
        return await self._retriever.open_source(source_id, principal.scope)

    async def _ingest_file(
        self, principal: Principal, origin: Origin, upload: Upload, tags: Sequence[str]
    ) -> IngestedFile:
        if len(upload.data) > self._max_file_bytes:
            raise TooLarge(f"The file is larger than {self._max_file_bytes} bytes.")
        content_hash = hashlib.sha256(upload.data).hexdigest()
        key = (principal.user.id, content_hash)
        # The same file sent twice at once is taken once: the second waits, and finds the first.
        async with self._ingesting.setdefault(key, asyncio.Lock()):
            return await self._ingest_once(principal, origin, upload, content_hash, tags)

    async def _ingest_once(
        self,
        principal: Principal,
        origin: Origin,
        upload: Upload,
        content_hash: str,
        tags: Sequence[str],
    ) -> IngestedFile:
        async with self._database.unit_of_work(principal.scope) as uow:
            known = await uow.documents.by_hash(content_hash)
        if known is not None and known.status == "indexed":
            return _ingested(known, upload, unchanged=True)
        loaded = await self._pipeline.load(upload.data, upload.filename)
        chunks = await asyncio.to_thread(self._pipeline.split, loaded)
        if len(chunks) > self._max_passages:
            raise LoaderLimit(f"the file has more than {self._max_passages} passages")
        if known is not None:
            await self._discard(principal.scope, known)
        document = await self._register(principal, origin, upload, loaded, content_hash, tags)
        try:
            return await self._index(principal, document, chunks, upload)
        except BaseException as exc:
            # Whatever broke it, cancellation too: what is not searchable is not kept.
            log.warning("ingest_undone", document_id=document.id, **describe(exc))
            await self._discard(principal.scope, document)
            if isinstance(exc, NotFound):  # it was deleted before it was searchable
                raise IngestConflict from exc
            raise

    async def _register(
        self,
        principal: Principal,
        origin: Origin,
        upload: Upload,
        loaded: LoadedDocument,
        content_hash: str,
        tags: Sequence[str],
    ) -> Document:
        blob = await self._blobs.put(upload.data)
        try:
            async with self._database.unit_of_work(principal.scope) as uow:
                document = await uow.documents.create(
                    title=loaded.title or upload.filename,
                    filename=upload.filename,
                    mime=loaded.mime,
                    size_bytes=len(upload.data),
                    content_hash=content_hash,
                    blob=blob,
                    tags=tuple(tags),
                )
                await uow.audit.record(
                    audit_entry(
                        "document.ingest",
                        principal,
                        origin,
                        resource=("document", str(document.id)),
                        details={"mime": loaded.mime, "size_bytes": len(upload.data)},
                    )
                )
                await uow.commit()
        except BaseException as exc:
            await self._blobs.delete(blob)
            if isinstance(exc, DocumentExists):
                raise IngestConflict from exc
            raise
        return document

    async def _index(
        self, principal: Principal, document: Document, chunks: Sequence[Chunk], upload: Upload
    ) -> IngestedFile:
        await self._retriever.replace(document.id, document.owner_id, chunks)
        async with self._database.unit_of_work(principal.scope) as uow:
            await uow.documents.mark_indexed(document.id, len(chunks))
            indexed = await uow.documents.get(document.id)
            await uow.commit()
        return _ingested(indexed, upload, unchanged=False)

    async def _discard(self, scope: AccessScope, document: Document) -> None:
        await self._retriever.delete(document.id)
        with suppress(NotFound):  # somebody deleted the row meanwhile
            async with self._database.unit_of_work(scope) as uow:
                await uow.documents.delete(document.id)
                await uow.commit()
        await self._blobs.delete(document.blob)

    async def _audit_failures(
        self, principal: Principal, origin: Origin, errors: Sequence[FailedFile]
    ) -> None:
        async with self._database.unit_of_work(principal.scope) as uow:
            for error in errors:
                await uow.audit.record(
                    audit_entry(
                        "document.ingest",
                        principal,
                        origin,
                        resource=("document", None),
                        success=False,
                        details={"code": error.code},
                    )
                )
            await uow.commit()


def _ingested(document: Document, upload: Upload, *, unchanged: bool) -> IngestedFile:
    return IngestedFile(
        document=document,
        path=upload.filename,
        size_bytes=len(upload.data),
        unchanged=unchanged,
    )
