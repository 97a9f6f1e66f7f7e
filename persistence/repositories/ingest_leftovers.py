"""What files of ingest runs have left that have come to their end."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Text, bindparam, null, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from persistence.access import ScopedStatement
from persistence.ingest_records import EndedFile
from persistence.models import ingest_files
from persistence.repositories.base import Repository
from persistence.repositories.ingest_rows import read_ended

_ID = ingest_files.c.id == bindparam("file")
_HAS_ENDED = ingest_files.c.finished_at.is_not(None)
_LEAVE = ScopedStatement(
    lambda guard: (
        update(ingest_files)
        .where(_ID, _HAS_ENDED, guard.owned(ingest_files.c.user_id))
        .values(blob=bindparam("new_blob", type_=Text))
    )
)
_FORGET = ScopedStatement(
    lambda guard: (
        update(ingest_files)
        .where(
            ingest_files.c.id == bindparam("files", type_=ARRAY(Uuid)).any_(),
            _HAS_ENDED,
            guard.owned(ingest_files.c.user_id),
        )
        .values(blob=null())
    )
)
_LEFT_OVER = ScopedStatement(
    lambda guard: (
        select(ingest_files)
        .where(
            _HAS_ENDED,
            ingest_files.c.blob.is_not(None),
            guard.owned(ingest_files.c.user_id),
        )
        .order_by(ingest_files.c.id)
    )
)
_GET = ScopedStatement(
    lambda guard: select(ingest_files).where(_ID, _HAS_ENDED, guard.owned(ingest_files.c.user_id))
)


class IngestLeftoverRepository(Repository):
    """Of a file that is worked on nothing is left over."""

    async def forget(self, file_ids: Sequence[UUID]) -> None:
        """Note that nothing is kept of files that have come to an end."""
        await self._change(_FORGET.under(self._scope), {"files": file_ids})

    async def leave(self, file_id: UUID, blob: str) -> None:
        """Note what is still to be deleted of a file that has come to an end."""
        values = {"file": file_id, "new_blob": blob}
        await self._change(_LEAVE.under(self._scope), values)

    async def get(self, file_id: UUID) -> EndedFile | None:
        """Return what a file may have left; None if it has not come to an end, or is gone."""
        row = await self._first(_GET.under(self._scope), {"file": file_id})
        return read_ended(row) if row is not None else None

    async def all(self) -> Sequence[EndedFile]:
        """Return files that have come to an end with an original that nobody has deleted."""
        return [read_ended(row) for row in await self._all(_LEFT_OVER.under(self._scope), {})]
