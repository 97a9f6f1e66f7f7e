"""The chain of seals over the audit trail: made here, checked in `audit_verification`.

Entries are written in their acts' own transactions and take no lock. What was committed waits in a
table of its own until somebody seals it: any process may, one at a time does.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from persistence.access import AccessScope
from persistence.audit_entries import microseconds
from persistence.audit_head import HeadMemory
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.errors import AuditChainBroken, AuditHeadUnusable
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
    """Seals what was committed, on a chain that holds all that this server remembers of it."""

    def __init__(
        self, database: Database, key_ring: KeyRing, memory: HeadMemory | None = None
    ) -> None:
        """Args: memory: of the newest head; without one, a chain that was made anew is taken."""
        self._database = database
        self._key_ring = key_ring
        self._memory = memory

    async def catch_up(self) -> None:
        """Seal everything that was committed before this call, whoever else is sealing.

        Raises:
            DatabaseUnavailable, AuditTrailError: What is left goes on waiting.
        """
        while (await self.seal_batch(wait=True)).more:
            pass

    async def seal_batch(self, *, wait: bool = False) -> SealedBatch:
        """Seal the oldest entries that wait, in one transaction.

        Args:
            wait: Whether to wait for another process that has the turn.

        Raises:
            DatabaseUnavailable: They go on waiting; a later turn takes them.
            AuditChainBroken: They go on waiting until the remembered seal is in the chain again,
                or is forgotten: a seal would vouch for whatever was made of the trail.
            AuditHeadUnusable: The same, because what it remembers cannot be trusted.
        """
        remembered = self._memory.recall() if self._memory else None
        async with self._database.unit_of_work(SCOPE) as uow:
            now = await uow.audit_seals.claim(wait=wait)
            if now is None:
                return SealedBatch(entries=0, more=True)
            if remembered is not None and not await uow.audit_seals.holds(remembered):
                raise AuditChainBroken(missing_head(remembered))
            newest = await uow.audit_seals.newest(2)
            digests = await uow.audit_seals.waiting(BATCH_ENTRIES)
            if not digests:
                await self._remember_another(newest, remembered)
                return SealedBatch(entries=0, more=False)
            seal = make_seal(
                newest[0].link if newest else GENESIS,
                [each.entry_id for each in digests],
                [each.digest for each in digests],
                sealed_at=now,
                key_ring=self._key_ring,
            )
            await uow.audit_seals.add(seal)
            await uow.commit()
        await self._remember(seal.link)
        for each in digests:
            if not each.readable:  # sealed all the same: it must stall nothing and stay findable
                log.error("audit_entry_unreadable", entry_id=each.entry_id, seal=seal.position)
        return SealedBatch(entries=len(digests), more=len(digests) == BATCH_ENTRIES)

    async def head(self) -> SealLink | None:
        """Return the end of the chain; who keeps it can tell later if something was cut off."""
        async with self._database.unit_of_work(SCOPE) as uow:
            newest = await uow.audit_seals.newest(1)
        return newest[0].link if newest else None

    async def _remember_another(self, newest: Sequence[Seal], remembered: SealLink | None) -> None:
        """Remember what another process sealed, if it was one with the keys."""
        if not newest or newest[0].link == remembered:
            return
        seal, *before = newest
        true = make_seal(
            before[0].link if before else GENESIS,
            seal.entry_ids,
            seal.entry_digests,
            sealed_at=seal.sealed_at,
            key_ring=self._key_ring,
        )
        if true.link == seal.link:
            await self._remember(seal.link)

    async def _remember(self, head: SealLink) -> None:
        """Keep a head; what is sealed is sealed, even if that fails."""
        if self._memory is None:
            return
        try:
            await asyncio.to_thread(self._memory.keep, head)
        except AuditHeadUnusable as exc:
            log.warning("audit_head_not_kept", position=head.position, reason=str(exc))


def missing_head(remembered: SealLink) -> str:
    """Return the sentence for a remembered head that the chain does not hold."""
    at = remembered.position
    return f"the seal at position {at} that this server remembers is not in the chain"


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
