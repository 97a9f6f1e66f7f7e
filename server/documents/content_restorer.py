"""Has the index hold what the database says of a document, after a replacement that broke off."""

import asyncio
from collections.abc import Sequence

from loaders.pipeline import Pipeline
from persistence.blobs import BlobStore
from persistence.database import Database
from persistence.errors import NotFound
from persistence.ingest_records import IngestFile
from persistence.passages import Chunk
from persistence.records import Document
from persistence.retrieval import Retriever
from persistence.vectors.port import Point
from server.documents.file_ingester import EMBEDDED_AT_ONCE
from server.erasure.ingestion import SYSTEM
from server.errors import IngestConflict


class ContentRestorer:
    """Reads the original that is in force once more, and puts that in the index."""

    def __init__(
        self, *, database: Database, blobs: BlobStore, pipeline: Pipeline, retriever: Retriever
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._pipeline = pipeline
        self._retriever = retriever

    async def restore(self, file: IngestFile) -> None:
        """Undoes what a file may have done to the index; may be done over and over.

        Raises:
            FileLost: It is somebody else's now.
            LoaderError, PersistenceError: It cannot be done, now or at all.
            IngestConflict: The document has got another content meanwhile.
        """
        document = await self._document(file)
        if document is None:  # it was deleted, and all that the index had of it
            return
        points = await self._prepare(document)
        async with self._database.unit_of_work(SYSTEM) as uow:
            await uow.ingest_files.hold(file.claim)
            try:
                now = await uow.document_contents.lock(document.id)
            except NotFound:
                return
            if now.blob != document.blob:
                raise IngestConflict
            await self._retriever.put(
                now.id, points, owner_id=now.owner_id, group_id=now.group_id, within=uow
            )
            await uow.documents.mark_indexed(now.id, len(points))
            await uow.commit()

    async def _document(self, file: IngestFile) -> Document | None:
        if file.document_id is None:
            return None
        async with self._database.unit_of_work(SYSTEM) as uow:
            try:
                return await uow.documents.owned(file.document_id)
            except NotFound:
                return None

    async def _prepare(self, document: Document) -> list[Point]:
        loaded = await self._pipeline.load(await self._blobs.get(document.blob), document.filename)
        chunks: Sequence[Chunk] = await asyncio.to_thread(self._pipeline.split, loaded)
        points: list[Point] = []
        for start in range(0, len(chunks), EMBEDDED_AT_ONCE):
            some = chunks[start : start + EMBEDDED_AT_ONCE]
            points += await self._retriever.prepare(document.id, some)
        return points
