"""How files end before their end: at once, or when the index is again as it was before them."""

from typing import Any

from sqlalchemy import LargeBinary, Text, bindparam, func, literal_column, null, select, update

from persistence.access import Guard
from persistence.models import ingest_files
from persistence.repositories.ingest_rows import IS_OPEN, THIS_TRANSACTION, tell


def build_cancel(guard: Guard) -> Any:
    """End what has not begun to be final. Whoever works on it is not the last attempt any more."""
    found = (
        select(ingest_files.c.id)
        .where(
            ingest_files.c.run_id == bindparam("run"),
            IS_OPEN,
            ~ingest_files.c.is_settling,
            guard.owned(ingest_files.c.user_id),
        )
        .order_by(ingest_files.c.id)
        .with_for_update()
        .cte("found")
    )
    return (
        update(ingest_files)
        .where(ingest_files.c.id.in_(select(found.c.id)))
        .values(
            status=literal_column("'cancelled'"),
            attempt=ingest_files.c.attempt + 1,
            error_code=bindparam("new_code", type_=Text),
            error=bindparam("new_error", type_=LargeBinary),
            finished_at=func.now(),
            changed=THIS_TRANSACTION,
        )
        .returning(
            ingest_files.c.id,
            ingest_files.c.status,
            ingest_files.c.kind,
            ingest_files.c.document_id,
            ingest_files.c.blob,
            ingest_files.c.job_id,
        )
    )


def build_withdraw(guard: Guard) -> Any:
    """Have files given up whose content the index may hold already, with jobs of their own."""
    found = (
        select(ingest_files.c.id, ingest_files.c.job_id)
        .where(
            ingest_files.c.run_id == bindparam("run"),
            IS_OPEN,
            ingest_files.c.is_settling,
            ingest_files.c.ends_as.is_distinct_from(literal_column("'cancelled'")),
            guard.owned(ingest_files.c.user_id),
        )
        .order_by(ingest_files.c.id)
        .with_for_update()
        .cte("found")
    )
    return (
        update(ingest_files)
        .where(ingest_files.c.id == found.c.id)
        .values(
            status=literal_column("'waiting'"),
            attempt=ingest_files.c.attempt + 1,
            failures=literal_column("0"),
            ends_as=literal_column("'cancelled'"),
            job_id=null(),
            paused_until=null(),
            error_code=bindparam("new_code", type_=Text),
            error=bindparam("new_error", type_=LargeBinary),
            changed=THIS_TRANSACTION,
        )
        .returning(found.c.job_id, tell(ingest_files.c.run_id))
    )
