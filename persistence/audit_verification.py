"""Walks the audit trail and its seals, and says what no honest history explains."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from persistence.access import AccessScope
from persistence.audit_chain import GENESIS, make_seal, missing_head
from persistence.audit_entries import EntryDigest
from persistence.audit_head import HeadMemory
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.errors import AuditHeadUnusable, EncryptionKeyError
from persistence.repositories.audit_seals import Offence, Seal, SealLink
from persistence.unit_of_work import UnitOfWork

PAGE_SEALS = 20
"""Seals whose entries are in memory at once."""
GRACE = timedelta(minutes=15)
"""How much younger than an entry a seal on it, or past it, may be: longer than a transaction."""
_SCOPE = AccessScope.system("verification of the audit trail")


@dataclass(frozen=True, kw_only=True)
class ChainFault:
    """Something that is not as it was written."""

    sentence: str
    position: int | None = None
    """Of the seal that shows it."""
    entry_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class ChainReport:
    """What came of a verification."""

    seals: int
    entries: int
    """Under seals."""
    waiting: int
    """Written, and not sealed yet."""
    faults: int
    first_fault: ChainFault | None
    late_seals: int
    """Made more than the grace after an entry under them: no server ran meanwhile, or none could
    seal, or somebody had what was sealed before sealed again."""
    first_late_seal: int | None
    """Its position."""
    remembered: SealLink | None
    """What the server here knew of the chain; without it, nobody can tell whether it was made
    anew of what was left, or its end cut off."""
    head: SealLink | None
    """The end of the chain; of use only if the chain is whole."""

    @property
    def is_whole(self) -> bool:
        """Whether everything is as it was written."""
        return self.first_fault is None


async def verify_chain(
    database: Database,
    key_ring: KeyRing,
    *,
    since: SealLink | None = None,
    memory: HeadMemory | None = None,
) -> ChainReport:
    """Check every seal and every entry, a few at a time; go on after a fault, to count them.

    Args:
        database: Where the trail is.
        key_ring: The keys that it was written with.
        since: An end of the chain that was seen earlier.
        memory: Where a server remembers such an end.

    Raises:
        EncryptionKeyError: Nothing in it was written with these keys.
        DatabaseUnavailable: It cannot be read.
    """
    walk = _Walk(key_ring, since)
    if memory is not None:
        walk.take_memory(memory)  # before the chain grows any further
    while True:
        async with database.unit_of_work(_SCOPE) as uow:
            seals = await uow.audit_seals.after(walk.link.position, limit=PAGE_SEALS)
            now = await uow.audit_seals.digests([i for seal in seals for i in seal.entry_ids])
        if not seals:
            break
        for seal in seals:
            walk.take_seal(seal)
            walk.take_entries(seal, now)
    async with database.unit_of_work(_SCOPE) as uow:
        await walk.take_rest(uow)
        waiting = await uow.audit_seals.count_waiting()
    walk.end()
    return ChainReport(
        late_seals=walk.late_seals,
        first_late_seal=walk.first_late_seal,
        remembered=walk.remembered,
        seals=walk.seals,
        entries=walk.entries,
        waiting=waiting,
        faults=walk.faults,
        first_fault=walk.first_fault,
        head=None if walk.link is GENESIS else walk.link,
    )


class _Walk:
    """Where a verification stands, and what it found so far."""

    def __init__(self, key_ring: KeyRing, since: SealLink | None) -> None:
        self.seals = self.entries = self.faults = self.late_seals = 0
        self.first_fault: ChainFault | None = None
        self.first_late_seal: int | None = None
        self.remembered: SealLink | None = None
        self.link = GENESIS
        self._key_ring = key_ring
        self._since = since
        self._newest: Seal | None = None
        self._keys_fit = False
        self._is_kept = False

    def take_memory(self, memory: HeadMemory) -> None:
        """Take what the server remembers of the chain."""
        try:
            self.remembered = memory.recall()
        except AuditHeadUnusable as exc:
            self._note(str(exc))

    def take_seal(self, seal: Seal) -> None:
        """Check a seal against the one before it."""
        at = seal.position
        expected = self.link.position + 1
        if at != expected:
            self._note(f"the seal at position {expected} is missing", position=expected)
        true = make_seal(
            SealLink(position=at - 1, digest=self.link.digest),
            seal.entry_ids,
            seal.entry_digests,
            sealed_at=seal.sealed_at,
            key_ring=self._key_ring,
        )
        self._keys_fit |= true.digest == seal.digest
        self._is_kept |= seal.link == self.remembered
        if true.digest != seal.digest or len(seal.entry_ids) != len(seal.entry_digests):
            self._note(
                f"the seal at position {at} was changed or does not follow the one before it",
                position=at,
            )
        if self._since and at == self._since.position and seal.digest != self._since.digest:
            self._note(f"the seal at position {at} is not the one that was seen", position=at)
        self.seals += 1
        self.link = seal.link
        self._newest = seal

    def take_entries(self, seal: Seal, now: Mapping[int, EntryDigest]) -> None:
        """Check the entries under a seal."""
        at = seal.position
        found = [now.get(entry_id) for entry_id in seal.entry_ids]
        self._keys_fit |= any(entry is not None and entry.readable for entry in found)
        if any(entry is not None and entry.created_at < seal.sealed_at - GRACE for entry in found):
            self.late_seals += 1
            self.first_late_seal = self.first_late_seal or at
        for entry_id, digest, entry in zip(seal.entry_ids, seal.entry_digests, found, strict=False):
            self.entries += 1
            if entry is None:
                self._note(f"the entry {entry_id} was deleted", position=at, entry_id=entry_id)
            elif entry.digest != digest:
                self._note(f"the entry {entry_id} was changed", position=at, entry_id=entry_id)
            elif not entry.readable:
                self._note(
                    f"the entry {entry_id} was not written by this installation",
                    position=at,
                    entry_id=entry_id,
                )

    async def take_rest(self, uow: UnitOfWork) -> None:
        """Check what no seal covers."""
        self._note_offence(await uow.audit_seals.strays(), "has no seal and waits for none")
        self._note_offence(await uow.audit_seals.lost(), "was deleted before it was sealed")
        if self._newest is not None:
            overdue = await uow.audit_seals.overdue(self._newest, GRACE)
            self._note_offence(overdue, "was passed over by the seals")

    def end(self) -> None:
        """Check that nothing was cut off.

        Raises:
            EncryptionKeyError: Nothing fits the keys.
        """
        if self.seals and not self._keys_fit and self.remembered is None:
            raise EncryptionKeyError(
                "the audit trail was written with other keys than these, or all of it was changed"
            )
        if self.remembered is not None and not self._is_kept:
            self._note(missing_head(self.remembered), position=self.remembered.position)
        if self._since is not None and self._since.position > self.link.position:
            self._note(
                f"the chain ends at position {self.link.position}, but {self._since.position} was "
                "seen: its end was cut off",
                position=self.link.position,
            )

    def _note_offence(self, offence: Offence | None, what: str) -> None:
        if offence is not None:
            self._note(
                f"the entry {offence.first_entry_id} {what}",
                entry_id=offence.first_entry_id,
                count=offence.count,
            )

    def _note(
        self,
        sentence: str,
        *,
        position: int | None = None,
        entry_id: int | None = None,
        count: int = 1,
    ) -> None:
        self.faults += count
        self.first_fault = self.first_fault or ChainFault(
            sentence=sentence, position=position, entry_id=entry_id
        )
