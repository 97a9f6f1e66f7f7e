"""The audit trail as lines of JSON, read a page at a time."""

from collections.abc import AsyncGenerator
from typing import Any

import orjson

from persistence.access import AccessScope
from persistence.audit_chain import AuditChain
from persistence.database import Database
from persistence.errors import AuditTrailError
from persistence.records import AuditFilters, AuditRecord
from server.audit.schemas import AuditEntryAnswer
from server.errors import NotAuthorized

PAGE_ENTRIES = 200
"""Entries in memory at once. No connection is held while the reader takes them."""


async def export_lines(
    database: Database,
    chain: AuditChain,
    scope: AccessScope,
    filters: AuditFilters,
    *,
    open_groups: frozenset[int] = frozenset(),
) -> AsyncGenerator[bytes, None]:
    """A line for each entry, the newest first, then one that tells their number and the head.

    Without that last line an export is not complete. Whoever keeps the head can have it checked
    later (`youworker audit verify --since-head`) that nothing which it covers was cut off. A chain
    that was tampered with has no head to keep: the last line says what is wrong instead.

    Args:
        database: Where the trail is.
        chain: What seals it.
        scope: Who reads.
        filters: What the entries must fulfil.
        open_groups: Those that the reader administered at first.

    Raises:
        NotAuthorized: The reader administers one of them no more.
        PersistenceError: The database broke off.
    """
    fault = None
    try:
        await chain.catch_up()  # so that the head covers what is exported
    except AuditTrailError as exc:
        fault = str(exc)
    count = 0
    last: AuditRecord | None = None
    while True:
        async with database.unit_of_work(scope) as uow:
            page = await uow.audit.after(filters, last, limit=PAGE_ENTRIES)
            if not open_groups <= await uow.audit.open_groups():
                raise NotAuthorized("You no longer administer a group that this export began with.")
        if not page:
            break
        count, last = count + len(page), page[-1]
        yield b"".join(_line(record) for record in page)
    head = await chain.head() if fault is None else None
    end: dict[str, Any] = {
        "entries": count,
        "head": {"position": head.position, "digest": head.digest.hex()} if head else None,
    }
    yield orjson.dumps(end if fault is None else end | {"fault": fault}) + b"\n"


def _line(record: AuditRecord) -> bytes:
    answer = AuditEntryAnswer.model_validate(record, from_attributes=True)
    return answer.model_dump_json().encode() + b"\n"
