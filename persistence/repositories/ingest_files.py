"""Files of ingest runs, as those see them who work on them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Integer,
    Interval,
    LargeBinary,
    Text,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    null,
    select,
    update,
)

from persistence.access import Guard, ScopedStatement
from persistence.errors import FileLost, NotFound
from persistence.ingest_records import (
    FileClaim,
    FileProgress,
    IngestFailure,
    IngestFile,
    IngestFileStatus,
    Lane,
    TakenFile,
)
from persistence.models import ingest_files, ingest_runs
from persistence.repositories.ingest_rows import (
    IS_OPEN,
    NOTHING_ENDED,
    THIS_TRANSACTION,
    build_count,
    read_file,
    read_run,
    seal_error,
    tell,
)
from persistence.repositories.ingest_turns import TurnGivingRepository

_ID = ingest_files.c.id == bindparam("file")
# Whoever gave a file back in good order has left it waiting.
_CRASH = case((ingest_files.c.status == literal_column("'waiting'"), 0), else_=1)
_TAKE = ScopedStatement(
    lambda guard: (
        update(ingest_files)
        .where(_ID, IS_OPEN, guard.owned(ingest_files.c.user_id))
        .values(
            status=literal_column("'reading'"),
            attempt=ingest_files.c.attempt + 1,
            crashes=ingest_files.c.crashes + _CRASH,
            done=0,
            total=null(),
            unit=null(),
            changed=THIS_TRANSACTION,
        )
        .returning(ingest_files)
    )
)
_RUN = ScopedStatement(
    lambda guard: (
        update(ingest_runs)
        .where(ingest_runs.c.id == bindparam("run"), guard.owned(ingest_runs.c.user_id))
        .values(status=literal_column("'running'"))
        .returning(ingest_runs, tell(ingest_runs.c.id))
    )
)


def _claimed(guard: Guard) -> tuple[Any, ...]:
    """The file, as long as this attempt is the last one."""
    return (
        _ID,
        ingest_files.c.attempt == bindparam("fence_attempt", type_=Integer),
        IS_OPEN,
        guard.owned(ingest_files.c.user_id),
    )


_GET = ScopedStatement(
    lambda guard: select(ingest_files).where(_ID, guard.owned(ingest_files.c.user_id))
)
_HOLD = ScopedStatement(
    lambda guard: select(ingest_files).where(*_claimed(guard)).with_for_update()
)
_ADVANCE = ScopedStatement(
    lambda guard: (
        update(ingest_files)
        .where(*_claimed(guard))
        .values(
            status=bindparam("new_status", type_=Text),
            done=bindparam("new_done", type_=Integer),
            total=bindparam("new_total", type_=Integer),
            unit=bindparam("new_unit", type_=Text),
            changed=THIS_TRANSACTION,
        )
        .returning(ingest_files.c.id, tell(ingest_files.c.run_id))
    )
)
_GIVE_BACK = ScopedStatement(
    lambda guard: (
        update(ingest_files)
        .where(*_claimed(guard))
        .values(
            status=literal_column("'waiting'"),
            failures=ingest_files.c.failures + bindparam("more_failures", type_=Integer),
            paused_until=func.now() + bindparam("pause", type_=Interval),
            done=0,
            total=null(),
            unit=null(),
            changed=THIS_TRANSACTION,
        )
        .returning(ingest_files.c.user_id, tell(ingest_files.c.run_id))
    )
)
_ATTACH = ScopedStatement(
    lambda guard: (
        update(ingest_files)
        .where(*_claimed(guard))
        .values(
            document_id=bindparam("new_document", type_=BigInteger),
            blob=null(),
            size_bytes=bindparam("new_size", type_=BigInteger),
        )
    )
)
_SETTLE = ScopedStatement(
    lambda guard: (
        update(ingest_files)
        .where(*_claimed(guard))
        .values(
            document_id=func.coalesce(
                bindparam("settled", type_=BigInteger), ingest_files.c.document_id
            ),
            blob=bindparam("new_blob", type_=Text),
            size_bytes=bindparam("new_size", type_=BigInteger),
            is_settling=bindparam("settled", type_=BigInteger).is_not(None),
        )
    )
)
_WITHDRAW = ScopedStatement(
    lambda guard: (
        update(ingest_files)
        .where(*_claimed(guard))
        .values(
            status=literal_column("'waiting'"),
            ends_as=literal_column("'failed'"),
            failures=literal_column("0"),
            error_code=bindparam("new_code", type_=Text),
            error=bindparam("new_error", type_=LargeBinary),
            changed=THIS_TRANSACTION,
        )
        .returning(ingest_files.c.id, tell(ingest_files.c.run_id))
    )
)
_FINISH = ScopedStatement(
    lambda guard: (
        update(ingest_files)
        .where(*_claimed(guard))
        .values(
            status=bindparam("new_status", type_=Text),
            document_id=func.coalesce(
                bindparam("new_document", type_=BigInteger), ingest_files.c.document_id
            ),
            mime=bindparam("new_mime", type_=Text),
            size_bytes=func.coalesce(
                bindparam("new_size", type_=BigInteger), ingest_files.c.size_bytes
            ),
            chunks=bindparam("new_chunks", type_=Integer),
            # How far it was is told at a pace: the last that was told is seldom all of it.
            done=case(
                (bindparam("new_code", type_=Text).is_not(None), ingest_files.c.done),
                else_=func.coalesce(ingest_files.c.total, literal_column("0")),
            ),
            error_code=bindparam("new_code", type_=Text),
            error=bindparam("new_error", type_=LargeBinary),
            finished_at=func.now(),
            changed=THIS_TRANSACTION,
        )
    )
)
_MOVE = ScopedStatement(
    lambda guard: (
        update(ingest_files)
        .where(*_claimed(guard))
        .values(
            status=literal_column("'waiting'"),
            lane=bindparam("new_lane", type_=Text),
            job_id=null(),
            changed=THIS_TRANSACTION,
        )
        .returning(ingest_files.c.user_id, tell(ingest_files.c.run_id))
    )
)
_COUNT = ScopedStatement(build_count)
_REMOVE = ScopedStatement(lambda guard: delete(ingest_files).where(*_claimed(guard)))


class IngestFileRepository(TurnGivingRepository):
    """Only the last that has taken a file writes anything of it."""

    async def take(self, file_id: UUID) -> TakenFile | None:
        """Take a file from whoever has it.

        None if it has come to an end or is gone, or if it is not its turn any more: others of the
        same user were worked on during its pause.
        """
        row = await self._first(_TAKE.under(self._scope), {"file": file_id})
        if row is None:
            return None
        run = await self._first(_RUN.under(self._scope), {"run": row["run_id"]})
        assert run is not None  # noqa: S101 - the file's row refers to it
        if row["paused_until"] is not None and not await self._turns.resume(row):
            return None
        return TakenFile(file=read_file(row, self._key_ring), run=read_run(run, self._key_ring))

    async def get(self, file_id: UUID) -> IngestFile:
        """Return a file.

        Raises:
            NotFound: The scope sees none of that id.
        """
        row = await self._first(_GET.under(self._scope), {"file": file_id})
        if row is None:
            raise NotFound(f"no file {file_id!r}")
        return read_file(row, self._key_ring)

    async def hold(self, claim: FileClaim) -> IngestFile:
        """Keep a file from being taken or cancelled until the unit of work ends.

        Raises:
            FileLost: Somebody else has taken it, or it was cancelled.
        """
        row = await self._first(_HOLD.under(self._scope), _fence(claim))
        if row is None:
            raise _lost(claim)
        return read_file(row, self._key_ring)

    async def advance(
        self, claim: FileClaim, status: IngestFileStatus, progress: FileProgress | None
    ) -> None:
        """Note how far a file is.

        Raises:
            FileLost: Somebody else has taken it, or it was cancelled.
        """
        values = {
            "new_status": status,
            "new_done": progress.done if progress is not None else 0,
            "new_total": progress.total if progress is not None else None,
            "new_unit": progress.unit if progress is not None else None,
        }
        if not await self._all(_ADVANCE.under(self._scope), {**_fence(claim), **values}):
            raise _lost(claim)

    async def give_back(self, claim: FileClaim, *, pause_seconds: float | None = None) -> bool:
        """Leave a file to whoever takes it next; False if it is somebody else's already.

        Args:
            claim: The file.
            pause_seconds: It has failed and is tried once more after that; until then another
                file of the user has its turn.
        """
        failed = pause_seconds is not None
        pause = timedelta(seconds=pause_seconds) if pause_seconds is not None else None
        values = {**_fence(claim), "more_failures": int(failed), "pause": pause}
        row = await self._first(_GIVE_BACK.under(self._scope), values)
        if row is not None and failed:
            await self._turns.give(row["user_id"])
        return row is not None

    async def move(self, claim: FileClaim, lane: Lane) -> None:
        """Have a file wait for its turn in another lane.

        Raises:
            FileLost: Somebody else has taken it, or it was cancelled.
        """
        row = await self._first(_MOVE.under(self._scope), {**_fence(claim), "new_lane": lane})
        if row is None:
            raise _lost(claim)
        await self._turns.give(row["user_id"])

    async def attach(self, claim: FileClaim, document_id: int, *, size_bytes: int) -> None:
        """Note of which document a file is the original; from now on that has it.

        Raises:
            FileLost: Somebody else has taken it, or it was cancelled.
        """
        values = {**_fence(claim), "new_document": document_id, "new_size": size_bytes}
        await self._write(_ATTACH, claim, values)

    async def keep_original(
        self, claim: FileClaim, blob: str | None, *, size_bytes: int, settling: int | None = None
    ) -> None:
        """Note where the original is kept.

        With `settling`, the document whose content it is about to be in the index, it does not
        end any more without the index being as the database says.

        Raises:
            FileLost: Somebody else has taken it, or it was cancelled.
        """
        values = {"new_blob": blob, "new_size": size_bytes, "settled": settling}
        await self._write(_SETTLE, claim, {**_fence(claim), **values})

    async def withdraw(self, claim: FileClaim, reason: IngestFailure, *, user_id: int) -> None:
        """Have the index put back to what it was before a file of which that is not known.

        Raises:
            FileLost: Somebody else has taken it, or it was cancelled.
        """
        values = {
            "new_code": reason.code,
            "new_error": seal_error(reason.message, user_id, self._key_ring),
        }
        if not await self._all(_WITHDRAW.under(self._scope), {**_fence(claim), **values}):
            raise _lost(claim)

    async def finish(
        self,
        claim: FileClaim,
        status: IngestFileStatus,
        *,
        document_id: int | None = None,
        mime: str | None = None,
        size_bytes: int | None = None,
        chunks: int = 0,
    ) -> None:
        """Note that a file is searchable.

        Raises:
            FileLost: Somebody else has taken it, or it was cancelled.
        """
        values = {
            "new_status": status,
            "new_document": document_id,
            "new_mime": mime,
            "new_size": size_bytes,
            "new_chunks": chunks,
            "new_code": None,
            "new_error": None,
        }
        await self._write(_FINISH, claim, {**_fence(claim), **values})
        written = chunks if status == "indexed" else 0
        await self._count(claim, ended=1, taken=1, chunks=written)

    async def fail(
        self, claim: FileClaim, reason: IngestFailure, *, user_id: int, cancelled: bool = False
    ) -> None:
        """Note that a file was not taken, and why.

        Raises:
            FileLost: Somebody else has taken it, or it was cancelled.
        """
        values = {
            "new_status": "cancelled" if cancelled else "failed",
            "new_document": None,
            "new_mime": None,
            "new_size": None,
            "new_chunks": 0,
            "new_code": reason.code,
            "new_error": seal_error(reason.message, user_id, self._key_ring),
        }
        await self._write(_FINISH, claim, {**_fence(claim), **values})
        await self._count(claim, ended=1, failed=int(not cancelled), cancelled=int(cancelled))

    async def remove(self, claim: FileClaim) -> None:
        """Take a search for files out of its run: it has found what there is.

        Raises:
            FileLost: Somebody else has taken it, or it was cancelled.
        """
        await self._write(_REMOVE, claim, _fence(claim))
        await self._count(claim, ended=1)

    async def _write(
        self, statement: ScopedStatement, claim: FileClaim, values: dict[str, Any]
    ) -> None:
        if not await self._change(statement.under(self._scope), values):
            raise _lost(claim)

    async def _count(self, claim: FileClaim, **counts: int) -> None:
        values = {"run": claim.run_id, **NOTHING_ENDED, **counts}
        for row in await self._all(_COUNT.under(self._scope), values):
            await self._turns.give(row["user_id"])


def _fence(claim: FileClaim) -> dict[str, Any]:
    return {"file": claim.file_id, "fence_attempt": claim.attempt}


def _lost(claim: FileClaim) -> FileLost:
    return FileLost(f"the file {claim.file_id} is somebody else's now")
