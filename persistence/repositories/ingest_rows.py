"""How ingest runs and their files are read, encrypted and counted; shared by their repositories."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    update,
)

from persistence.access import Guard
from persistence.encryption import KeyRing
from persistence.identifiers import plain_uuid
from persistence.ingest_records import (
    EndedFile,
    FileProgress,
    IngestFailure,
    IngestFile,
    IngestOrder,
    IngestRun,
)
from persistence.models import ingest_files, ingest_runs
from persistence.models.ingestion import WAITING_STATUSES
from persistence.notifications import Channel
from persistence.transaction import Row

IS_OPEN: ColumnElement[bool] = ingest_files.c.status.in_(
    [literal_column(f"'{status}'") for status in WAITING_STATUSES]
)
THIS_TRANSACTION: ColumnElement[Any] = cast(cast(func.pg_current_xact_id(), Text), BigInteger)


def tell(run_id: ColumnElement[Any]) -> ColumnElement[Any]:
    """Make known, as a part of a statement, that a run has changed."""
    channel: ColumnElement[Any] = literal_column(f"'{Channel.INGEST_CHANGED.value}'")
    return func.pg_notify(channel, cast(run_id, Text))


def build_count(guard: Guard) -> Any:
    """Count files that have come to an end; the last one decides what has become of the run.

    The row is locked by that: of two files that end at once, one is the last.
    """
    left = ingest_runs.c.open_files - _given("ended") + _given("more")
    taken = ingest_runs.c.taken_files + _given("taken")
    failed = ingest_runs.c.failed_files + _given("failed")
    cancelled = ingest_runs.c.cancelled_files + _given("cancelled")
    verdict = case(
        (left > 0, ingest_runs.c.status),
        (cancelled > 0, literal_column("'cancelled'")),
        (failed == 0, literal_column("'success'")),
        (taken > 0, literal_column("'partial'")),
        else_=literal_column("'error'"),
    )
    return (
        update(ingest_runs)
        .where(ingest_runs.c.id == bindparam("run"), guard.owned(ingest_runs.c.user_id))
        .values(
            open_files=left,
            taken_files=taken,
            failed_files=failed,
            cancelled_files=cancelled,
            chunks=ingest_runs.c.chunks + _given("chunks"),
            status=verdict,
            finished_at=case((left > 0, null()), else_=func.now()),
        )
        .returning(ingest_runs.c.user_id, tell(ingest_runs.c.id))
    )


NOTHING_ENDED = {"ended": 0, "more": 0, "taken": 0, "failed": 0, "cancelled": 0, "chunks": 0}


def _given(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=Integer)


def seal_order(order: IngestOrder, user_id: int, key_ring: KeyRing) -> bytes:
    """Encrypt what a run was asked with."""
    return key_ring.encrypt_json(asdict(order), context=f"ingest_runs.body/{user_id}")


def seal_file(name: str, location: str | None, user_id: int, key_ring: KeyRing) -> bytes:
    """Encrypt how a file is called and where it lies."""
    body = {"name": name, "location": location}
    return key_ring.encrypt_json(body, context=f"ingest_files.body/{user_id}")


def seal_error(message: str, user_id: int, key_ring: KeyRing) -> bytes:
    """Encrypt why a file was not taken."""
    return key_ring.encrypt(
        message.encode("utf-8", "replace"), context=f"ingest_files.error/{user_id}"
    )


def read_run(row: Row, key_ring: KeyRing) -> IngestRun:
    """Make a run of its row."""
    body = key_ring.decrypt_json(row["body"], context=f"ingest_runs.body/{row['user_id']}")
    return IngestRun(
        id=plain_uuid(row["id"]),
        user_id=row["user_id"],
        api_key_id=row["api_key_id"],
        login_id=plain_uuid(row["login_id"]) if row["login_id"] is not None else None,
        order=IngestOrder(**body | {"tags": tuple(body["tags"])}),
        status=row["status"],
        open_files=row["open_files"],
        taken_files=row["taken_files"],
        failed_files=row["failed_files"],
        cancelled_files=row["cancelled_files"],
        chunks=row["chunks"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )


def read_file(row: Row, key_ring: KeyRing) -> IngestFile:
    """Make a file of its row."""
    user_id = row["user_id"]
    body = key_ring.decrypt_json(row["body"], context=f"ingest_files.body/{user_id}")
    return IngestFile(
        id=plain_uuid(row["id"]),
        run_id=plain_uuid(row["run_id"]),
        user_id=user_id,
        position=row["position"],
        kind=row["kind"],
        name=body["name"],
        location=body["location"],
        blob=row["blob"],
        document_id=row["document_id"],
        status=row["status"],
        attempt=row["attempt"],
        failures=row["failures"],
        crashes=row["crashes"],
        lane=row["lane"],
        job_id=row["job_id"],
        mime=row["mime"],
        size_bytes=row["size_bytes"],
        chunks=row["chunks"],
        progress=_progress(row),
        failure=_failure(row, key_ring),
        changed=row["changed"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        is_settling=row["is_settling"],
        ends_as=row["ends_as"],
    )


def read_ended(row: Row) -> EndedFile:
    """Make of a file's row what is to be removed of it; nothing is decrypted."""
    return EndedFile(
        id=plain_uuid(row["id"]),
        status=row["status"],
        kind=row["kind"],
        document_id=row["document_id"],
        blob=row["blob"],
    )


def _progress(row: Row) -> FileProgress | None:
    if row["total"] is None or row["unit"] is None:
        return None
    return FileProgress(done=row["done"], total=row["total"], unit=row["unit"])


def _failure(row: Row, key_ring: KeyRing) -> IngestFailure | None:
    if row["error_code"] is None:
        return None
    message = key_ring.decrypt(row["error"], context=f"ingest_files.error/{row['user_id']}")
    return IngestFailure(code=row["error_code"], message=message.decode("utf-8", "replace"))


def source_hash(key_ring: KeyRing, user_id: int, location: str) -> str:
    """Return what a path or address is known by, for one user."""
    return key_ring.keyed_hash(f"documents.source_hash/{user_id}/{location}")
