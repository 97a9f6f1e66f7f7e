"""The chain of seals over the audit trail: made here, checked in `audit_verification`.

Entries are written in their acts' own transactions and take no lock. What was committed waits in a
table of its own until somebody seals it: any process may, one at a time does.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from persistence.access import AccessScope
from persistence.audit_entries import microseconds
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.repositories.audit_seals import Seal, SealLink

BATCH_ENTRIES = 50
"""Entries under one seal, at most; opening their bodies keeps the event loop some 5 ms."""
GENESIS = SealLink(position=0, digest=bytes(32))
"""What the first seal hangs on."""
SCOPE = AccessScope.system("sealing of the audit trail")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class SealedBatch:
    """What came of one turn at sealing."""

    entries: int
    more: bool
    """Whether others may be waiting: there were too many, or another process has the turn."""


class AuditChain:
    """Seals what was committed."""

    def __init__(self, database: Database, key_ring: KeyRing) -> None:
        self._database = database
        self._key_ring = key_ring

    async def catch_up(self) -> None:
        """Seal everything that was committed before this call, whoever else is sealing.

        Raises:
            DatabaseUnavailable: What is left goes on waiting.
        """
        while (await self.seal_batch(wait=True)).more:
            pass

    async def seal_batch(self, *, wait: bool = False) -> SealedBatch:
        """Seal the oldest entries that wait, in one transaction.

        Args:
            wait: Whether to wait for another process that has the turn.

        Raises:
            DatabaseUnavailable: They go on waiting; a later turn takes them.
        """
        async with self._database.unit_of_work(SCOPE) as uow:
            now = await uow.audit_seals.claim(wait=wait)
            if now is None:
                return SealedBatch(entries=0, more=True)
            digests = await uow.audit_seals.waiting(BATCH_ENTRIES)
            if not digests:
                return SealedBatch(entries=0, more=False)
            seal = make_seal(
                await uow.audit_seals.head() or GENESIS,
                [each.entry_id for each in digests],
                [each.digest for each in digests],
                sealed_at=now,
                key_ring=self._key_ring,
            )
            await uow.audit_seals.add(seal)
            await uow.commit()
        for each in digests:
            if not each.readable:  # sealed all the same: it must stall nothing and stay findable
                log.error("audit_entry_unreadable", entry_id=each.entry_id, seal=seal.position)
        return SealedBatch(entries=len(digests), more=len(digests) == BATCH_ENTRIES)

    async def head(self) -> SealLink | None:
        """Return the end of the chain; who keeps it can tell later if something was cut off."""
        async with self._database.unit_of_work(SCOPE) as uow:
            return await uow.audit_seals.head()


def make_seal(
    before: SealLink,
    entry_ids: Sequence[int],
    entry_digests: Sequence[bytes],
    *,
    sealed_at: datetime,
    key_ring: KeyRing,
) -> Seal:
    """Return the seal that follows `before` and covers the entries in this order."""
    position = before.position + 1
    form = json.dumps(
        [
            position,
            before.digest.hex(),
            microseconds(sealed_at),
            list(entry_ids),
            [digest.hex() for digest in entry_digests],
        ]
    )
    return Seal(
        position=position,
        entry_ids=entry_ids,
        entry_digests=entry_digests,
        digest=key_ring.seal(b"audit seal 1\0" + form.encode()),
        sealed_at=sealed_at,
    )
