"""Finds the files of a place on the server and has each of them taken in."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from pathlib import PurePosixPath

from persistence.database import Database
from persistence.ingest_records import BULK_RANK, NewIngestFile
from server.documents.file_ingester import FileOrder
from server.documents.names import clean_name
from server.documents.paths import FoundFile, ServerPaths
from server.errors import IngestQueueFull

BATCH = 200
"""Files that are entered at once: the first are taken in while the last are looked for."""


class Discovery:
    """Looks once; whoever takes it over finds the same files, which are entered once."""

    def __init__(self, database: Database, paths: ServerPaths, *, max_waiting_files: int) -> None:
        self._database = database
        self._paths = paths
        self._max_waiting_files = max_waiting_files

    async def find(self, order: FileOrder) -> None:
        """Enters the files that there are, and brings the search to its end.

        Raises:
            FileLost: It is somebody else's now, or was cancelled.
            ServerError, PersistenceError: The place cannot be looked at.
        """
        assert order.file.location is not None  # noqa: S101 - what a search is made with
        self._paths.require_permission(order.principal)
        found = await asyncio.to_thread(
            self._paths.find, order.file.location, recursive=order.run.order.recursive
        )
        # Counted once: it is what keeps a user from millions, and no more exact than that.
        async with self._database.unit_of_work(order.principal.scope) as uow:
            room = self._max_waiting_files - (await uow.ingest_runs.waiting()).files
        entered = 0
        while batch := await asyncio.to_thread(_take, found):
            if entered + len(batch) > room:
                raise IngestQueueFull
            async with self._database.unit_of_work(order.principal.scope) as uow:
                await uow.ingest_files.hold(order.file.claim)
                files = [_as_new(each) for each in batch]
                await uow.ingest_runs.add_files(order.run, files, first=entered)
                await uow.commit()
            entered += len(batch)
        async with self._database.unit_of_work(order.principal.scope) as uow:
            await uow.ingest_files.remove(order.file.claim)
            await uow.commit()


def _take(found: Iterator[FoundFile]) -> list[FoundFile]:
    return list(islice(found, BATCH))


def _as_new(found: FoundFile) -> NewIngestFile:
    return NewIngestFile(
        kind="path",
        name=clean_name(PurePosixPath(found.path).name) or "unnamed",
        location=found.path,
        size_bytes=found.size_bytes,
        rank=BULK_RANK,
    )
