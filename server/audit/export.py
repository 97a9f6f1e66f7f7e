"""The audit trail as lines of JSON, read a page at a time."""

from collections.abc import AsyncIterator

import orjson

from persistence.access import AccessScope
from persistence.audit_chain import AuditChain
from persistence.database import Database
from persistence.records import AuditFilters, AuditRecord
from server.audit.schemas import AuditEntryAnswer

PAGE_ENTRIES = 200
"""Entries in memory at once. No connection is held while the reader takes them."""


async def export_lines(
    database: Database, chain: AuditChain, scope: AccessScope, filters: AuditFilters
) -> AsyncIterator[bytes]:
    """A line for each entry, the newest first, then one that tells their number and the head.

    Without that last line an export is not complete. Whoever keeps the head can have it checked
    later (`youworker audit verify --since-head`) that nothing which it covers was cut off.

    Raises:
        PersistenceError: The database broke off.
    """
    await chain.catch_up()  # so that the head covers what is exported
    count = 0
    last: AuditRecord | None = None
    while True:
        async with database.unit_of_work(scope) as uow:
            page = await uow.audit.after(filters, last, limit=PAGE_ENTRIES)
        if not page:
            break
        count, last = count + len(page), page[-1]
        yield b"".join(_line(record) for record in page)
    head = await chain.head()
    shown = {"position": head.position, "digest": head.digest.hex()} if head else None
    yield orjson.dumps({"entries": count, "head": shown}) + b"\n"


def _line(record: AuditRecord) -> bytes:
    answer = AuditEntryAnswer.model_validate(record, from_attributes=True)
    return answer.model_dump_json().encode() + b"\n"
