"""What has become of ingest runs, as much at a time as anybody reads."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, cast, func, literal_column, or_, select
from sqlalchemy.types import Uuid

from persistence.access import ScopedStatement
from persistence.ingest_records import IngestFile, IngestRun, IngestSums
from persistence.models import ingest_files, ingest_runs
from persistence.repositories.base import Repository
from persistence.repositories.ingest_rows import read_file, read_run

_OF_RUN = (
    ingest_files.c.run_id == bindparam("run", type_=Uuid),
    # A search for files is none of those that people gave, unless it failed.
    or_(
        ingest_files.c.kind != literal_column("'discovery'"),
        ingest_files.c.finished_at.is_not(None),
    ),
)
_IS_TAKEN = ingest_files.c.status.in_([literal_column("'indexed'"), literal_column("'unchanged'")])
_FILES = ScopedStatement(
    lambda guard: (
        select(ingest_files)
        .where(*_OF_RUN, guard.owned(ingest_files.c.user_id))
        .order_by(ingest_files.c.position, ingest_files.c.id)
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )
)
_SUMS = ScopedStatement(
    lambda guard: select(
        func.count().label("files"),
        func.coalesce(func.sum(ingest_files.c.chunks).filter(_IS_TAKEN), literal_column("0")).label(
            "chunks"
        ),
        cast(
            func.coalesce(
                func.sum(ingest_files.c.size_bytes).filter(_IS_TAKEN), literal_column("0")
            ),
            BigInteger,
        ).label("size_bytes"),
    ).where(*_OF_RUN, guard.owned(ingest_files.c.user_id))
)
_RUNS_AFTER = ScopedStatement(
    lambda guard: (
        select(ingest_runs)
        .where(guard.mine(ingest_runs.c.user_id), ingest_runs.c.id > bindparam("after"))
        .order_by(ingest_runs.c.id)
        .limit(bindparam("limit"))
    )
)
_BEFORE_ALL = UUID(int=0)


class IngestReportRepository(Repository):
    """One reads one's own."""

    async def files(self, run_id: UUID, *, limit: int, offset: int = 0) -> Sequence[IngestFile]:
        """Return files of a run, in the order in which they were given or found."""
        values = {"run": run_id, "limit": limit, "offset": offset}
        rows = await self._all(_FILES.under(self._scope), values)
        return [read_file(row, self._key_ring) for row in rows]

    async def sums(self, run_id: UUID) -> IngestSums:
        """Return what all files of a run come to."""
        [row] = await self._all(_SUMS.under(self._scope), {"run": run_id})
        return IngestSums(**dict(row))

    async def runs_after(self, run_id: UUID | None, *, limit: int) -> Sequence[IngestRun]:
        """Return the user's own runs that were begun after that one, the oldest first."""
        values = {"after": run_id or _BEFORE_ALL, "limit": limit}
        rows = await self._all(_RUNS_AFTER.under(self._scope), values)
        return [read_run(row, self._key_ring) for row in rows]
