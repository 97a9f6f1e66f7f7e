"""How the work on files is ended before its end: nothing is kept of what is not searchable."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from persistence.access import AccessScope
from persistence.blobs import BlobStore
from persistence.database import Database
from persistence.errors import NotFound, PersistenceError
from persistence.ingest_records import EndedFile, IngestFailure, IngestFile
from persistence.retrieval import Retriever
from persistence.unit_of_work import UnitOfWork
from persistence.vectors.errors import VectorIndexError
from server.erasure.documents import DocumentEraser
from server.errors import IngestCancelled, ServerError
from server.observability import describe

ABANDONED_AFTER = timedelta(minutes=1)
"""How old a document is that nobody is making, if no file knows of it: they are entered at once,
and until it is gone, its content cannot be given anew."""
ORIGINALS_AT_ONCE = 500
"""Deleted from one note of that to the next."""
SYSTEM = AccessScope.system("ingestion")

log = structlog.get_logger(__name__)


class IngestEraser:
    """Ends runs of any user's scope, whoever works on their files at that moment."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: BlobStore,
        retriever: Retriever,
        documents: DocumentEraser,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._retriever = retriever
        self._documents = documents

    async def cancel(
        self, scope: AccessScope, run_id: UUID, *, reason: ServerError | None = None
    ) -> int:
        """Ends what is left of a run and undoes what was begun; returns how many files that was.

        Whoever works on one of them loses it by that, before anything of it is searchable.

        Raises:
            NotFound: The scope sees no such run.
            PersistenceError: A part does not answer; what is left is removed later.
        """
        error = reason or IngestCancelled()
        async with self._database.unit_of_work(scope) as uow:
            failure = IngestFailure(code=error.code, message=str(error))
            files = await uow.ingest_runs.cancel(run_id, failure)
            left = [(file, await self.discard_within(uow, file)) for file in files]
            await uow.commit()
        try:
            await self._erase_originals(scope, left)
        except (PersistenceError, OSError) as exc:
            log.warning("originals_kept", **describe(exc))
        return len(files)

    async def cancel_all(self, scope: AccessScope) -> None:
        """Ends all runs of a user and removes what ended ones may have left.

        Raises:
            PersistenceError: A part does not answer.
        """
        async with self._database.unit_of_work(scope) as uow:
            run_ids = await uow.ingest_runs.open_ids()
        for run_id in run_ids:
            await self.cancel(scope, run_id)
        async with self._database.unit_of_work(scope) as uow:
            left = await uow.ingest_leftovers.all()
        for file in left:
            await self.discard(scope, file)

    async def discard(self, scope: AccessScope, file: EndedFile) -> None:
        """Removes what a file has left that has come to its end.

        Raises:
            PersistenceError: The database does not answer.
        """
        async with self._database.unit_of_work(scope) as uow:
            blob = await self.discard_within(uow, file)
            await uow.commit()
        await self._erase_originals(scope, [(file, blob)])

    async def discard_within(self, uow: UnitOfWork, file: EndedFile) -> str | None:
        """Removes a document that it has begun to become; returns the original, which then goes.

        That goes after the commit: until then somebody may still have to read it. The file's row
        knows it until it is gone. If the index does not answer, the document is left, not
        searchable, to a later time.
        """
        blob = file.blob
        is_defeated = file.status in {"failed", "cancelled"}
        # What is to replace a document's content has not begun that document.
        if is_defeated and file.document_id is not None and file.kind != "content":
            with suppress(NotFound, VectorIndexError):
                document = await uow.documents.owned(file.document_id)
                if document.status == "pending":
                    await self._retriever.delete(document.id, within=uow)
                    blob = await uow.documents.delete(document.id)
                    await uow.ingest_leftovers.leave(file.id, blob)
        return blob

    async def _erase_originals(
        self, scope: AccessScope, left: Sequence[tuple[EndedFile, str | None]]
    ) -> None:
        kept = [(file.id, blob) for file, blob in left if blob is not None]
        for start in range(0, len(kept), ORIGINALS_AT_ONCE):
            some = kept[start : start + ORIGINALS_AT_ONCE]
            for _, blob in some:
                await self._blobs.delete(blob)
            async with self._database.unit_of_work(scope) as uow:
                await uow.ingest_leftovers.forget([file_id for file_id, _ in some])
                await uow.commit()

    async def detach(self, uow: UnitOfWork, file: IngestFile) -> None:
        """Takes back a document that a file has begun to become, and leaves the file its original.

        If the index does not answer, the document stays, not searchable, for the next attempt.
        """
        if file.document_id is None or file.kind == "content":
            return
        try:
            document = await uow.documents.owned(file.document_id)
            if document.status != "pending":
                return
            await self._retriever.delete(document.id, within=uow)
        except (NotFound, VectorIndexError):
            return
        blob = await uow.documents.delete(document.id)
        await uow.ingest_files.keep_original(file.claim, blob, size_bytes=file.size_bytes)

    async def discard_abandoned(self) -> None:
        """Removes what was left by those who died in the middle of removing it."""
        age = timedelta() if self._database.embedded else ABANDONED_AFTER
        try:
            async with self._database.unit_of_work(SYSTEM) as uow:
                files = await uow.ingest_leftovers.all()
                documents = await uow.documents.pending(datetime.now(UTC) - age)
            for file in files:
                await self.discard(SYSTEM, file)
            for document in documents:
                await self._discard_begun(SYSTEM, document.id)
        except PersistenceError as exc:  # a later time tries again; serving is worth more
            log.warning("abandoned_documents_kept", **describe(exc))
        else:
            if files or documents:
                log.warning("abandoned_documents_discarded", count=len(files) + len(documents))

    async def _discard_begun(self, scope: AccessScope, document_id: int) -> None:
        with suppress(NotFound):  # somebody deleted it meanwhile
            async with self._database.unit_of_work(scope) as uow:
                document = await uow.documents.owned(document_id)
            if document.status == "pending":
                await self._retriever.delete(document_id)
                await self._documents.erase(scope, document)
