"""How documents are deleted: one of them, or all that a user has."""

from collections.abc import Callable
from contextlib import suppress

from persistence.access import AccessScope
from persistence.blobs import BlobStore
from persistence.database import Database
from persistence.errors import NotFound
from persistence.records import AuditEntry, Document
from persistence.retrieval import Retriever

BATCH = 100


class DocumentEraser:
    """Deletes documents: their passages, their originals, their rows."""

    def __init__(self, *, database: Database, blobs: BlobStore, retriever: Retriever) -> None:
        self._database = database
        self._blobs = blobs
        self._retriever = retriever

    async def erase(
        self, scope: AccessScope, document: Document, *, entry: AuditEntry | None = None
    ) -> None:
        """Deletes a document.

        Its row is taken first and let go last: nobody else's document is touched, and wherever
        this breaks off it can be asked for again, and nothing is left that no row knows of.

        Raises:
            NotFound: The row is gone already, or belongs to somebody else.
        """
        async with self._database.unit_of_work(scope) as uow:
            # The original is the one of this moment: it may have got another since it was read.
            blob = await uow.documents.delete(document.id)
            await self._retriever.delete(document.id, within=uow)
            await self._blobs.delete(blob)
            if entry is not None:
                await uow.audit.record(entry)
            await uow.commit()

    async def erase_all(
        self, scope: AccessScope, *, entry_for: Callable[[Document], AuditEntry]
    ) -> None:
        """Deletes all documents that the user owns, one by one, with an entry for each."""
        while True:
            async with self._database.unit_of_work(scope) as uow:
                documents = await uow.documents.own_after(0, limit=BATCH)
            for document in documents:
                with suppress(NotFound):  # another request deleted it meanwhile
                    await self.erase(scope, document, entry=entry_for(document))
            if len(documents) < BATCH:
                return
