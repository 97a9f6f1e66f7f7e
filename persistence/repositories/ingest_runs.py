"""Ingest runs, as those see them who gave the files; their jobs are deferred with them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Integer,
    LargeBinary,
    Text,
    bindparam,
    cast,
    delete,
    exists,
    func,
    literal_column,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import TypeEngine, Uuid

from persistence.access import Guard, ScopedStatement
from persistence.errors import NotFound
from persistence.identifiers import new_uuid7
from persistence.ingest_records import (
    EndedFile,
    IngestFailure,
    IngestFile,
    IngestLook,
    IngestOrder,
    IngestRun,
    NewIngestFile,
    WaitingLoad,
)
from persistence.models import ingest_files, ingest_runs
from persistence.notifications import Channel
from persistence.records import Page
from persistence.repositories.given_rows import given_rows
from persistence.repositories.ingest_cancels import build_cancel, build_withdraw
from persistence.repositories.ingest_rows import (
    IS_OPEN,
    NOTHING_ENDED,
    THIS_TRANSACTION,
    build_count,
    read_ended,
    read_file,
    read_run,
    seal_error,
    seal_file,
    seal_order,
    source_hash,
)
from persistence.repositories.ingest_turns import TurnGivingRepository
from persistence.statements import Statement

DISCOVERY = "discovery"
FILES_AT_ONCE = 500
"""How many of a run are read at a time."""
_FIRST_ID = UUID(int=0)

_FILE_COLUMNS: dict[str, TypeEngine[Any]] = {
    "id": Uuid(),
    "position": Integer(),
    "kind": Text(),
    "body": LargeBinary(),
    "source_hash": Text(),
    "blob": Text(),
    "document_id": BigInteger(),
    "status": Text(),
    "lane": Text(),
    "rank": Integer(),
    "job_lock": Text(),
    "size_bytes": BigInteger(),
    "error_code": Text(),
    "error": LargeBinary(),
}
_FORGET_JOBS = Statement(
    text(
        "SELECT procrastinate_cancel_job_v1(id, false, true) "
        "FROM unnest(CAST(:jobs AS bigint[])) AS id"
    )
)


def _build_insert_files(guard: Guard) -> Any:
    """Insert files of a run that the scope owns, but those that it has already."""
    given = given_rows(_FILE_COLUMNS)
    rows = select(ingest_runs.c.id, ingest_runs.c.user_id, *given.c, THIS_TRANSACTION).where(
        ingest_runs.c.id == bindparam("run", type_=Uuid),
        guard.owned(ingest_runs.c.user_id),
    )
    columns = ["run_id", "user_id", *_FILE_COLUMNS, "changed"]
    return upsert(ingest_files).from_select(columns, rows).on_conflict_do_nothing()


_INSERT_FILES = ScopedStatement(_build_insert_files)
_INSERT = Statement(
    upsert(ingest_runs).returning(ingest_runs),
    columns=("id", "user_id", "api_key_id", "login_id", "body", "open_files", "failed_files"),
)
_COUNT_FILES = ScopedStatement(build_count)
_GET = ScopedStatement(
    lambda guard: select(ingest_runs).where(
        ingest_runs.c.id == bindparam("run"), guard.owned(ingest_runs.c.user_id)
    )
)
_LIST = ScopedStatement(
    lambda guard: (
        select(ingest_runs)
        .where(guard.mine(ingest_runs.c.user_id))
        .order_by(ingest_runs.c.created_at.desc(), ingest_runs.c.id.desc())
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )
)
_COUNT = ScopedStatement(
    lambda guard: (
        select(func.count()).select_from(ingest_runs).where(guard.mine(ingest_runs.c.user_id))
    )
)
_OPEN = ScopedStatement(
    lambda guard: (
        select(ingest_runs.c.id)
        .where(guard.mine(ingest_runs.c.user_id), ingest_runs.c.finished_at.is_(None))
        .order_by(ingest_runs.c.id)
    )
)
# A transaction that is not over when this looks has a number from `cursor` on: nothing is missed.
_CURSOR = cast(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text), BigInteger).label(
    "cursor"
)
_LOOK = ScopedStatement(
    lambda guard: select(ingest_runs, _CURSOR).where(
        ingest_runs.c.id == bindparam("run"), guard.owned(ingest_runs.c.user_id)
    )
)
_PLACE = (ingest_files.c.position, ingest_files.c.id)
_CHANGED = ScopedStatement(
    lambda guard: (
        select(ingest_files)
        .where(
            ingest_files.c.run_id == bindparam("run"),
            ingest_files.c.changed >= bindparam("since", type_=BigInteger),
            tuple_(*_PLACE)
            > tuple_(bindparam("position", type_=Integer), bindparam("file", type_=Uuid)),
            guard.owned(ingest_files.c.user_id),
        )
        .order_by(*_PLACE)
        .limit(bindparam("limit"))
    )
)
_WAITING = ScopedStatement(
    lambda guard: select(
        func.count().label("files"),
        cast(
            func.coalesce(
                func.sum(ingest_files.c.size_bytes).filter(ingest_files.c.blob.is_not(None)), 0
            ),
            BigInteger,
        ).label("size_bytes"),
    ).where(IS_OPEN, guard.mine(ingest_files.c.user_id))
)
# A search that enters files at this moment is waited for: a statement does not see what is entered
# while it waits itself.
_HOLD_SEARCHES = ScopedStatement(
    lambda guard: (
        select(ingest_files.c.id)
        .where(
            ingest_files.c.run_id == bindparam("run"),
            ingest_files.c.kind == literal_column(f"'{DISCOVERY}'"),
            IS_OPEN,
            guard.owned(ingest_files.c.user_id),
        )
        .with_for_update()
    )
)
_CANCEL = ScopedStatement(build_cancel)
_WITHDRAW = ScopedStatement(build_withdraw)
_EXPIRE = ScopedStatement(
    lambda guard: delete(ingest_runs).where(
        ingest_runs.c.finished_at < bindparam("before"),
        ~exists().where(
            ingest_files.c.run_id == ingest_runs.c.id, ingest_files.c.blob.is_not(None)
        ),
        guard.owned(ingest_runs.c.user_id),
    )
)


class IngestRunRepository(TurnGivingRepository):
    """One sees and ends one's own."""

    async def create(
        self,
        order: IngestOrder,
        files: Sequence[NewIngestFile],
        *,
        api_key_id: int | None = None,
        login_id: UUID | None = None,
    ) -> IngestRun:
        """Enter files; those whose turn it is get their jobs."""
        user_id = self._scope.user_id
        refused = sum(1 for file in files if file.refusal is not None)
        row = await self._first(
            _INSERT,
            {
                "id": new_uuid7(),
                "user_id": user_id,
                "api_key_id": api_key_id,
                "login_id": login_id,
                "body": seal_order(order, user_id, self._key_ring),
                "open_files": len(files) - refused,
                "failed_files": refused,
            },
        )
        assert row is not None  # noqa: S101 - an INSERT that did not fail returns its row
        run = read_run(row, self._key_ring)
        await self._insert_files(run, files)
        if refused == len(files):
            await self._all(_COUNT_FILES.under(self._scope), {"run": run.id, **NOTHING_ENDED})
            return await self.get(run.id)
        await self._turns.give(run.user_id)
        return run

    async def add_files(
        self, run: IngestRun, files: Sequence[NewIngestFile], *, first: int = 0
    ) -> int:
        """Enter more files of a run, `first` the place of the first; return how many are new."""
        count = await self._insert_files(run, files, first)
        values = {"run": run.id, **NOTHING_ENDED, "more": count}
        await self._all(_COUNT_FILES.under(self._scope), values)
        await self._turns.give(run.user_id)
        return count

    async def get(self, run_id: UUID) -> IngestRun:
        """Return a run.

        Raises:
            NotFound: The scope sees none of that id.
        """
        row = await self._first(_GET.under(self._scope), {"run": run_id})
        if row is None:
            raise NotFound(f"no ingest run {run_id!r}")
        return read_run(row, self._key_ring)

    async def page(self, *, limit: int = 50, offset: int = 0) -> Page[IngestRun]:
        """Return the user's own runs, newest first."""
        return await self._page(
            _LIST.under(self._scope),
            _COUNT.under(self._scope),
            {},
            limit=limit,
            offset=offset,
            read=lambda row: read_run(row, self._key_ring),
        )

    async def open_ids(self) -> list[UUID]:
        """Return which of the user's own runs have not come to an end."""
        return [row["id"] for row in await self._all(_OPEN.under(self._scope), {})]

    async def look(
        self, run_id: UUID, *, since: int = 0, behind: IngestFile | None = None
    ) -> IngestLook:
        """Return a run with its files, or with those that have changed since a look before.

        They come `FILES_AT_ONCE` at a time, the next ones `behind` the last one.

        Raises:
            NotFound: The scope sees none of that id.
        """
        row = await self._first(_LOOK.under(self._scope), {"run": run_id})
        if row is None:
            raise NotFound(f"no ingest run {run_id!r}")
        values = {
            "run": run_id,
            "since": since,
            "position": behind.position if behind is not None else -1,
            "file": behind.id if behind is not None else _FIRST_ID,
            "limit": FILES_AT_ONCE,
        }
        files = await self._all(_CHANGED.under(self._scope), values)
        return IngestLook(
            run=read_run(row, self._key_ring),
            files=[read_file(each, self._key_ring) for each in files],
            cursor=row["cursor"],
            has_more=len(files) == FILES_AT_ONCE,
        )

    async def waiting(self) -> WaitingLoad:
        """Return how much of the user's own has not come to an end."""
        [row] = await self._all(_WAITING.under(self._scope), {})
        return WaitingLoad(files=row["files"], size_bytes=row["size_bytes"])

    async def cancel(self, run_id: UUID, reason: IngestFailure) -> Sequence[EndedFile]:
        """End what has not come to an end; return those files, of which traces may be left.

        A file that is being put into the index at this moment is waited for, and stays. One that
        the index may hold in the place of something else ends when that is there again.
        """
        user_id = (await self.get(run_id)).user_id
        values = {
            "run": run_id,
            "new_code": reason.code,
            "new_error": seal_error(reason.message, user_id, self._key_ring),
        }
        await self._all(_HOLD_SEARCHES.under(self._scope), {"run": run_id})
        rows = await self._all(_CANCEL.under(self._scope), values)
        withdrawn = await self._all(_WITHDRAW.under(self._scope), values)
        if rows:
            counts = {**NOTHING_ENDED, "ended": len(rows), "cancelled": len(rows)}
            await self._all(_COUNT_FILES.under(self._scope), {"run": run_id, **counts})
        if rows or withdrawn:
            jobs = [row["job_id"] for row in (*rows, *withdrawn) if row["job_id"] is not None]
            await self._all(_FORGET_JOBS, {"jobs": jobs})
            await self._turns.give(user_id)
            await self._notify(Channel.INGEST_CANCELLED, str(run_id))
        return [read_ended(row) for row in rows]

    async def expire(self, *, finished_before: datetime) -> int:
        """Delete runs that came to their end before that; return how many."""
        return await self._change(_EXPIRE.under(self._scope), {"before": finished_before})

    async def _insert_files(
        self, run: IngestRun, files: Sequence[NewIngestFile], first: int = 0
    ) -> int:
        values: dict[str, list[Any]] = {name: [] for name in _FILE_COLUMNS}
        for position, file in enumerate(files, first):
            for name, value in self._row(file, run.user_id).items():
                values[name].append(value)
            values["position"].append(position)
        return await self._change(_INSERT_FILES.under(self._scope), {"run": run.id, **values})

    def _row(self, file: NewIngestFile, user_id: int) -> dict[str, Any]:
        refusal, source = file.refusal, self._source_hash(file, user_id)
        return {
            "id": file.id,
            "kind": file.kind,
            "source_hash": source,
            "lane": file.lane,
            "rank": file.rank,
            "job_lock": self._lock(file, source, user_id),
            "body": seal_file(file.name, file.location, user_id, self._key_ring),
            "blob": file.blob,
            "document_id": file.document_id,
            "status": "waiting" if refusal is None else "failed",
            "size_bytes": file.size_bytes,
            "error_code": refusal.code if refusal is not None else None,
            "error": seal_error(refusal.message, user_id, self._key_ring) if refusal else None,
        }

    def _source_hash(self, file: NewIngestFile, user_id: int) -> str | None:
        if file.location is None or file.kind == DISCOVERY:
            return None
        return source_hash(self._key_ring, user_id, file.location)

    def _lock(self, file: NewIngestFile, source: str | None, user_id: int) -> str | None:
        """What of which only one is worked on at a time; no job tells what it is."""
        if file.document_id is not None:
            return f"document/{file.document_id}"
        if source is not None:
            return source
        if file.content_hash is None:
            return None
        return self._key_ring.keyed_hash(f"ingest.lock/{user_id}/{file.content_hash}")
