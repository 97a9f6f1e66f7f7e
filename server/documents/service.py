"""Documents: taken in, listed, searched and removed."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
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
from persistence.errors import DocumentExists, NotAMember, NotFound, PersistenceError
from persistence.passages import Chunk, Passage
from persistence.records import Document, Page
from persistence.retrieval import Retriever
from server.audit.entry import audit_entry
from server.body_slots import BodySlots
from server.documents.names import clean_name
from server.documents.sharing import DocumentSharing, find_own
from server.erasure.documents import DocumentEraser
from server.errors import DocumentNotFound, GroupNotFound, IngestConflict, TooLarge
from server.observability import describe
from server.security.principal import Origin, Principal
from server.security.revocation import Revocation
from server.security.streams import ending_with

ABANDONED_AFTER = timedelta(hours=1)
"""How old a document is that no living process can still be taking in."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One file as it was sent."""

    filename: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Filing:
    """What the files of an upload have in common."""

    tags: Sequence[str] = ()
    group_id: int | None = None
    """The group that they are shared with."""
    is_private: bool | None = None
    """What was said of it; files that are there already stay as they are if nothing was."""

    def asks_to_change(self, document: Document) -> bool:
        """Whether a document that is there already is to be shared otherwise."""
        said = self.group_id is not None or self.is_private is not None
        return said and self.group_id != document.group_id


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
        sharing: DocumentSharing,
        eraser: DocumentEraser,
        revocation: Revocation,
        max_file_bytes: int,
        max_passages: int,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._pipeline = pipeline
        self._retriever = retriever
        self._sharing = sharing
        self._eraser = eraser
        self._revocation = revocation
        self._max_file_bytes = max_file_bytes
        self._max_passages = max_passages
        self._slots = BodySlots()
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

    @asynccontextmanager
    async def upload_slot(self, principal: Principal) -> AsyncIterator[None]:
        """Held from before an upload is read until it is done: each is in memory as a whole.

        Raises:
            NotAuthenticated: The user was locked out, or the login or key ended; what was done
                inside is broken off, and a file that is not searchable by then is not kept.
        """
        with self._revocation.watch(
            principal.user.id, login_id=principal.login_id, api_key_id=principal.api_key_id
        ) as watch:
            await self._revocation.confirm(watch)
            async with ending_with(watch), self._slots.held_by(principal.user.id):
                yield

    async def ingest(
        self, principal: Principal, origin: Origin, uploads: Sequence[Upload], filing: Filing
    ) -> IngestReport:
        """Makes files searchable, in an upload slot; one bad file never fails its neighbours.

        Raises:
            GroupNotFound: They are to be shared with a group that the principal is not in.
        """
        if filing.group_id is not None:
            await self._sharing.require_membership(principal, filing.group_id)
        files: list[IngestedFile] = []
        errors: list[FailedFile] = []
        for upload in uploads:
            try:
                files.append(await self._ingest_file(principal, origin, upload, filing))
            except LoaderError as exc:
                errors.append(FailedFile(path=upload.filename, code=exc.code, message=str(exc)))
            except (TooLarge, IngestConflict) as exc:
                errors.append(FailedFile(path=upload.filename, code=exc.code, message=str(exc)))
        if errors:
            await self._audit_failures(principal, origin, errors)
        return IngestReport(files=tuple(files), errors=tuple(errors))

    async def list_documents(
        self, principal: Principal, *, group_id: int | None = None, limit: int, offset: int
    ) -> Page[Document]:
        """The documents that the principal may see, or those of a group, the newest first."""
        async with self._database.unit_of_work(principal.scope) as uow:
            return await uow.documents.list(group_id=group_id, limit=limit, offset=offset)

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
        self, principal: Principal, origin: Origin, upload: Upload, filing: Filing
    ) -> IngestedFile:
        if len(upload.data) > self._max_file_bytes:
            raise TooLarge(f"The file is larger than {self._max_file_bytes} bytes.")
        content_hash = hashlib.sha256(upload.data).hexdigest()
        key = (principal.user.id, content_hash)
        # The same file sent twice at once is taken once: the second waits, and finds the first.
        async with self._ingesting.setdefault(key, asyncio.Lock()):
            return await self._ingest_once(principal, origin, upload, content_hash, filing)

    async def _ingest_once(
        self,
        principal: Principal,
        origin: Origin,
        upload: Upload,
        content_hash: str,
        filing: Filing,
    ) -> IngestedFile:
        async with self._database.unit_of_work(principal.scope) as uow:
            known = await uow.documents.by_hash(content_hash)
        if known is not None and known.status == "indexed":
            if filing.asks_to_change(known):
                known = await self._sharing.share(principal, origin, known.id, filing.group_id)
            return _ingested(known, upload, unchanged=True)
        loaded = await self._pipeline.load(upload.data, upload.filename)
        chunks = await asyncio.to_thread(self._pipeline.split, loaded)
        if len(chunks) > self._max_passages:
            raise LoaderLimit(f"the file has more than {self._max_passages} passages")
        if known is not None:
            await self._discard(principal.scope, known)
        document = await self._register(principal, origin, upload, loaded, content_hash, filing)
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
        filing: Filing,
    ) -> Document:
        blob = await self._blobs.put(upload.data)
        try:
            async with self._database.unit_of_work(principal.scope) as uow:
                document = await uow.documents.create(
                    title=clean_name(loaded.title) or upload.filename,
                    filename=upload.filename,
                    mime=loaded.mime,
                    size_bytes=len(upload.data),
                    content_hash=content_hash,
                    blob=blob,
                    tags=tuple(filing.tags),
                    group_id=filing.group_id,
                )
                await uow.audit.record(
                    audit_entry(
                        "document.ingest",
                        principal,
                        origin,
                        resource=("document", str(document.id)),
                        group_id=document.group_id,
                        details={"mime": loaded.mime, "size_bytes": len(upload.data)},
                    )
                )
                await uow.commit()
        except BaseException as exc:
            await self._blobs.delete(blob)
            if isinstance(exc, DocumentExists):
                raise IngestConflict from exc
            if isinstance(exc, NotAMember):  # the membership ended meanwhile
                raise GroupNotFound from exc
            raise
        return document

    async def _index(
        self, principal: Principal, document: Document, chunks: Sequence[Chunk], upload: Upload
    ) -> IngestedFile:
        await self._retriever.replace(
            document.id, document.owner_id, chunks, group_id=document.group_id
        )
        async with self._database.unit_of_work(principal.scope) as uow:
            await uow.documents.mark_indexed(document.id, len(chunks))
            indexed = await uow.documents.get(document.id)
            if indexed.group_id != document.group_id:  # it was shared or unshared meanwhile
                await self._retriever.share(indexed.id, indexed.group_id)
            await uow.commit()
        return _ingested(indexed, upload, unchanged=False)

    async def _discard(self, scope: AccessScope, document: Document) -> None:
        await self._retriever.delete(document.id)  # whatever has become of the row
        with suppress(NotFound):  # somebody deleted it meanwhile
            await self._eraser.erase(scope, document)

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
