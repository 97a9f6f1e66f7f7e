"""The audit trail as the command line reaches it: in the database, whoever else has that open."""

from collections.abc import Mapping
from typing import Any, BinaryIO

from persistence.access import AccessScope
from persistence.audit_chain import AuditChain
from persistence.audit_head import HeadMemory
from persistence.audit_verification import ChainReport, verify_chain
from persistence.database import Database
from persistence.errors import AuditHeadUnusable
from persistence.records import AuditEntry
from persistence.repositories.audit_seals import SealLink
from server.audit.export import export_lines
from server.audit.service import make_filters
from server.cli.attached import attached
from server.settings import Settings


async def verify(settings: Settings, since: tuple[int, bytes] | None) -> ChainReport:
    """Checks the trail.

    Args:
        settings: Where it is.
        since: Position and digest of an end of the chain that was seen earlier.

    Raises:
        ConfigurationError, PersistenceError: It cannot be checked.
    """
    seen = SealLink(position=since[0], digest=since[1]) if since else None
    async with attached(settings) as database:
        memory = _memory(settings, database)
        return await verify_chain(database, database.key_ring, since=seen, memory=memory)


async def forget_head(settings: Settings) -> None:
    """Has this server take the chain as it is; that it was told to is in the trail.

    Raises:
        ConfigurationError, PersistenceError: The trail or the head cannot be reached.
    """
    async with attached(settings) as database:
        memory = _memory(settings, database)
        try:
            head = memory.recall()
        except AuditHeadUnusable:
            head = None
        shown = {"position": head.position, "digest": head.digest.hex()} if head else None
        entry = AuditEntry(
            action="audit.forget_head", resource_type="audit", details={"before": shown}
        )
        async with database.unit_of_work(
            AccessScope.system("a head forgotten at the command line")
        ) as uow:
            await uow.audit.record(entry)
            await uow.commit()
        memory.forget()


async def export(settings: Settings, target: BinaryIO, conditions: Mapping[str, Any]) -> None:
    """Writes the entries that fulfil the conditions; the export itself is one of them.

    Raises:
        BadRequest: The conditions do not go together.
        ConfigurationError, PersistenceError: The trail cannot be read.
    """
    filters = make_filters(conditions)
    scope = AccessScope.system("audit export at the command line")
    shown = {name: str(value) for name, value in conditions.items()}
    entry = AuditEntry(action="audit.export", resource_type="audit", details={"filters": shown})
    async with attached(settings) as database:
        async with database.unit_of_work(scope) as uow:
            await uow.audit.record(entry)
            await uow.commit()
        chain = AuditChain(database, database.key_ring, _memory(settings, database))
        async for lines in export_lines(database, chain, scope, filters):
            target.write(lines)
        target.flush()


def _memory(settings: Settings, database: Database) -> HeadMemory:
    return HeadMemory(settings.data_dir.absolute(), database.key_ring)
