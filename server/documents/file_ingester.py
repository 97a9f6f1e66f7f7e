"""Makes one file searchable: read, cut, embedded, and put in force in one transaction."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from loaders.document import LoadedDocument
from loaders.pipeline import Pipeline
from persistence.blobs import BlobStore
from persistence.database import Database
from persistence.errors import AccessDenied, DocumentExists, NotAMember, NotFound
from persistence.ingest_records import IngestFile, IngestRun, Lane, ProgressUnit
from persistence.passages import Chunk
from persistence.records import Document
from persistence.retrieval import Retriever
from persistence.unit_of_work import UnitOfWork
from persistence.vectors.port import Point
from server.audit.entry import audit_entry
from server.documents.lanes import lane_of
from server.documents.names import clean_name
from server.documents.originals import Original, Originals
from server.documents.progress import FileTeller
from server.documents.sharing import DocumentSharing
from server.errors import ContentExists, DocumentNotFound, GroupNotFound, IngestConflict
from server.security.principal import Origin, Principal

EMBEDDED_AT_ONCE = 64
"""Chunks, from one sign of progress to the next."""


@dataclass(frozen=True, kw_only=True)
class FileOrder:
    """A file that was taken, and for whom."""

    file: IngestFile
    run: IngestRun
    principal: Principal

    @property
    def origin(self) -> Origin:
        """Where it was asked for."""
        order = self.run.order
        return Origin(ip=order.ip, user_agent=order.user_agent, correlation_id=order.correlation_id)


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """A file that was read, and what it is to become."""

    original: Original
    content_hash: str
    loaded: LoadedDocument
    chunks: Sequence[Chunk]

    @property
    def title(self) -> str:
        return clean_name(self.loaded.title) or self.original.filename


class FileIngester:
    """What is not searchable in the end leaves nothing; whoever lost the file writes nothing."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: BlobStore,
        pipeline: Pipeline,
        retriever: Retriever,
        sharing: DocumentSharing,
        originals: Originals,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._pipeline = pipeline
        self._retriever = retriever
        self._sharing = sharing
        self._originals = originals

    async def ingest(self, order: FileOrder, teller: FileTeller) -> Lane | None:
        """Brings a file to its end; or returns where it has to wait instead, which it shows now.

        Raises:
            FileLost: It is somebody else's now, or was cancelled.
            LoaderError, ServerError, FetchError, PersistenceError: It is not taken, now or at all.
        """
        attached = await self._attached(order)
        begun = None
        if attached is not None and attached.status == "pending" and order.file.kind != "content":
            begun = attached
        original = await self._originals.get(order.file, begun)
        self._originals.require_size(len(original.data))
        if (lane := lane_of(original.data)) != order.file.lane:
            return lane
        content_hash = await asyncio.to_thread(_digest, original.data)
        target = await self._target(order, attached, begun)
        if await self._take_known(order, original, content_hash, target):
            return None
        reading = await self._read(original, content_hash, teller)
        teller.tell("indexing")
        if target is not None:
            await self._replace(order, reading, target, teller)
        else:
            await self._add(order, reading, begun, teller)
        return None

    async def _attached(self, order: FileOrder) -> Document | None:
        """The document that the file is to replace, or that it has begun to become."""
        if order.file.document_id is None:
            return None
        async with self._database.unit_of_work(order.principal.scope) as uow:
            try:
                return await uow.documents.owned(order.file.document_id)
            except (NotFound, AccessDenied):
                return None

    async def _target(
        self, order: FileOrder, attached: Document | None, begun: Document | None
    ) -> Document | None:
        """The document whose content is to be replaced, if any.

        Raises:
            DocumentNotFound: It was deleted.
            IngestConflict: Somebody else is about to make it.
        """
        if order.file.kind == "content":
            if attached is None:
                raise DocumentNotFound
            if attached.status == "pending":
                raise IngestConflict
            return attached
        if order.file.location is None:
            return None
        async with self._database.unit_of_work(order.principal.scope) as uow:
            known = await uow.document_contents.by_source(order.file.location)
        if known is None or (begun is not None and known.id == begun.id):
            return None
        if known.status == "pending":
            raise IngestConflict
        return known

    async def _take_known(
        self, order: FileOrder, original: Original, content_hash: str, target: Document | None
    ) -> bool:
        """Ends with a file whose content there is already; False if there is not.

        Raises:
            ContentExists: It is to replace another document.
            IngestConflict: Somebody else is about to take in the same content, or has just
                replaced it.
        """
        scope, file = order.principal.scope, order.file
        async with self._database.unit_of_work(scope) as uow:
            known = await uow.documents.by_hash(content_hash)
        if known is None or (known.id == file.document_id and known.status == "pending"):
            return False
        if known.status == "pending":
            raise IngestConflict
        if target is not None and target.id != known.id:
            raise ContentExists(details={"document_id": known.id})
        if known.status != "indexed":
            return False
        wanted = order.run.order
        said = wanted.group_id is not None or wanted.is_private is not None
        async with self._database.unit_of_work(scope) as uow:
            await uow.ingest_files.hold(file.claim)
            try:
                document = await uow.document_contents.lock(known.id)
            except NotFound as exc:  # it was deleted meanwhile
                raise IngestConflict from exc
            if document.blob != known.blob:
                raise IngestConflict
            if file.location is not None:
                await uow.document_contents.note_source(document, file.location)
            if said and wanted.group_id != document.group_id:
                document = await self._sharing.share_within(
                    uow, order.principal, order.origin, document, wanted.group_id
                )
            await uow.ingest_files.finish(
                file.claim,
                "unchanged",
                document_id=document.id,
                mime=document.mime,
                size_bytes=len(original.data),
                chunks=document.chunks,
            )
            await uow.commit()
        return True

    async def _read(self, original: Original, content_hash: str, teller: FileTeller) -> _Reading:
        unit: ProgressUnit = "seconds" if lane_of(original.data) == "recordings" else "pages"
        loaded = await self._pipeline.load(
            original.data, original.filename, on_progress=partial(teller.count, unit=unit)
        )
        chunks = await asyncio.to_thread(self._pipeline.split, loaded)
        return _Reading(original=original, content_hash=content_hash, loaded=loaded, chunks=chunks)

    async def _embed(
        self, document_id: int, chunks: Sequence[Chunk], teller: FileTeller
    ) -> list[Point]:
        points: list[Point] = []
        for start in range(0, len(chunks), EMBEDDED_AT_ONCE):
            teller.count(start, len(chunks), "chunks")
            points += await self._retriever.prepare(
                document_id, chunks[start : start + EMBEDDED_AT_ONCE]
            )
        teller.count(len(chunks), len(chunks), "chunks")
        return points

    async def _add(
        self, order: FileOrder, reading: _Reading, begun: Document | None, teller: FileTeller
    ) -> None:
        document = begun or await self._register(order, reading)
        points = await self._embed(document.id, reading.chunks, teller)
        async with self._database.unit_of_work(order.principal.scope) as uow:
            await uow.ingest_files.hold(order.file.claim)
            try:
                await uow.documents.mark_indexed(document.id, len(points))
                document = await uow.documents.get(document.id)
            except NotFound as exc:  # it was deleted before it was searchable
                raise IngestConflict from exc
            await self._put(uow, order, document, points, reading)
            await uow.commit()

    async def _register(self, order: FileOrder, reading: _Reading) -> Document:
        """Enters the document, which is not searchable yet, with its original."""
        file, original = order.file, reading.original
        blob = await self._keep(order, original)
        try:
            async with self._database.unit_of_work(order.principal.scope) as uow:
                await uow.ingest_files.hold(file.claim)
                document = await uow.documents.create(
                    title=reading.title,
                    filename=original.filename,
                    mime=reading.loaded.mime,
                    size_bytes=len(original.data),
                    content_hash=reading.content_hash,
                    blob=blob,
                    tags=order.run.order.tags,
                    group_id=order.run.order.group_id,
                    source=file.location,
                )
                await uow.ingest_files.attach(
                    file.claim, document.id, size_bytes=len(original.data)
                )
                await uow.commit()
        except DocumentExists as exc:
            raise IngestConflict from exc
        except NotAMember as exc:  # the membership ended meanwhile
            raise GroupNotFound from exc
        return document

    async def _replace(
        self, order: FileOrder, reading: _Reading, target: Document, teller: FileTeller
    ) -> None:
        """Puts another content in the place of a document's; readers see the one or the other.

        Where that breaks off between index and database, the file is not at its end: whoever takes
        it over does it once more, or, when it is cancelled or given up, undoes it.
        """
        file, original = order.file, reading.original
        points = await self._embed(target.id, reading.chunks, teller)
        blob = await self._keep(order, original, settling=target.id)
        async with self._database.unit_of_work(order.principal.scope) as uow:
            await uow.ingest_files.hold(file.claim)
            try:
                before = await uow.document_contents.lock(target.id)
                await _require_source(uow, before, file)
                document = await uow.document_contents.replace(
                    before,
                    title=reading.title,
                    filename=original.filename,
                    mime=reading.loaded.mime,
                    size_bytes=len(original.data),
                    content_hash=reading.content_hash,
                    blob=blob,
                    chunks=len(points),
                )
            except DocumentExists as exc:
                raise ContentExists from exc
            except NotFound as exc:
                raise DocumentNotFound from exc
            # The document has the new original from now on, and the file the old one, to its end.
            await uow.ingest_files.keep_original(
                file.claim, before.blob, size_bytes=len(original.data), settling=target.id
            )
            await self._put(uow, order, document, points, reading)
            await uow.commit()

    async def _keep(
        self, order: FileOrder, original: Original, *, settling: int | None = None
    ) -> str:
        """Has the original in the blob store, where the file's row knows it; returns its name."""
        file = order.file
        if file.blob is not None and settling is None:
            return file.blob
        blob = file.blob or await self._blobs.put(original.data)
        try:
            async with self._database.unit_of_work(order.principal.scope) as uow:
                await uow.ingest_files.keep_original(
                    file.claim, blob, size_bytes=len(original.data), settling=settling
                )
                await uow.commit()
        except BaseException:
            if file.blob is None:
                await self._blobs.delete(blob)
            raise
        return blob

    async def _put(
        self,
        uow: UnitOfWork,
        order: FileOrder,
        document: Document,
        points: Sequence[Point],
        reading: _Reading,
    ) -> None:
        """Makes it searchable, under the locks of the file and the document."""
        await self._retriever.put(
            document.id,
            points,
            owner_id=document.owner_id,
            group_id=document.group_id,
            within=uow,
        )
        await uow.ingest_files.finish(
            order.file.claim,
            "indexed",
            document_id=document.id,
            mime=document.mime,
            size_bytes=document.size_bytes,
            chunks=len(points),
        )
        await uow.audit.record(
            audit_entry(
                "document.ingest",
                order.principal,
                order.origin,
                resource=("document", str(document.id)),
                group_id=document.group_id,
                details={"mime": document.mime, "size_bytes": document.size_bytes},
            )
        )


async def _require_source(uow: UnitOfWork, document: Document, file: IngestFile) -> None:
    """Return if the document, which is locked, is still the one of the file's place.

    Raises:
        IngestConflict: Its content was found in another place meanwhile.
    """
    if file.kind == "content" or file.location is None:
        return
    known = await uow.document_contents.by_source(file.location)
    if known is None or known.id != document.id:
        raise IngestConflict


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
