"""The seals of the audit trail, and what waits for one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, func, insert, select, true, union_all
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger

from persistence.audit_entries import EntryDigest, digest_entry
from persistence.models import audit_log, audit_seals, audit_unsealed
from persistence.repositories.base import Repository
from persistence.statements import Statement

SEALING_LOCK = 0x796F_7577_7365_616C
"""The advisory lock under which one process at a time seals."""

_IDS = bindparam("ids", type_=ARRAY(BigInteger))
_KEY = bindparam("key", type_=BigInteger)
_CLAIM = Statement(select(func.pg_try_advisory_xact_lock(_KEY), func.now()))
_CLAIM_IN_TURN = Statement(
    select(true(), func.now()).select_from(func.pg_advisory_xact_lock(_KEY).alias())
)
_NEWEST = Statement(
    select(audit_seals).order_by(audit_seals.c.position.desc()).limit(bindparam("limit"))
)
_AT = Statement(select(audit_seals.c.digest).where(audit_seals.c.position == bindparam("position")))
_WAITING = Statement(
    select(audit_log)
    .join(audit_unsealed, audit_unsealed.c.entry_id == audit_log.c.id)
    .order_by(audit_unsealed.c.entry_id)
    .limit(bindparam("limit"))
)
_INSERT = Statement(
    insert(audit_seals).inline(),
    columns=("position", "entry_ids", "entry_digests", "digest", "sealed_at"),
)
_FORGET = Statement(delete(audit_unsealed).where(audit_unsealed.c.entry_id == _IDS.any_()))
_AFTER = Statement(
    select(audit_seals)
    .where(audit_seals.c.position > bindparam("position"))
    .order_by(audit_seals.c.position)
    .limit(bindparam("limit"))
)
_ENTRIES = Statement(select(audit_log).where(audit_log.c.id == _IDS.any_()))
_KNOWN = union_all(
    select(func.unnest(audit_seals.c.entry_ids).label("entry_id")),
    select(audit_unsealed.c.entry_id),
).subquery("known")
_STRAYS = Statement(
    select(func.count(), func.min(audit_log.c.id))
    .select_from(audit_log.outerjoin(_KNOWN, _KNOWN.c.entry_id == audit_log.c.id))
    .where(_KNOWN.c.entry_id.is_(None))
)
_LOST = Statement(
    select(func.count(), func.min(audit_unsealed.c.entry_id))
    .select_from(audit_unsealed.outerjoin(audit_log, audit_log.c.id == audit_unsealed.c.entry_id))
    .where(audit_log.c.id.is_(None))
)
_OVERDUE = Statement(
    select(func.count(), func.min(audit_log.c.id))
    .select_from(audit_log.join(audit_unsealed, audit_unsealed.c.entry_id == audit_log.c.id))
    .where(
        audit_log.c.id < bindparam("sealed_id", type_=BigInteger),
        audit_log.c.created_at < bindparam("before"),
    )
)
_COUNT_WAITING = Statement(select(func.count()).select_from(audit_unsealed))


@dataclass(frozen=True, kw_only=True)
class SealLink:
    """What the next seal hangs on, and what somebody who looked before can hold the trail to."""

    position: int
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class Seal:
    """A seal as it is stored; whether it is true is for `verify` to say."""

    position: int
    entry_ids: Sequence[int]
    entry_digests: Sequence[bytes]
    digest: bytes
    sealed_at: datetime

    @property
    def link(self) -> SealLink:
        """What the next seal hangs on."""
        return SealLink(position=self.position, digest=self.digest)


@dataclass(frozen=True, kw_only=True)
class Offence:
    """Entries that no honest history explains."""

    count: int
    first_entry_id: int


class AuditSealRepository(Repository):
    """For the system alone; row-level security shows nobody else what waits."""

    async def claim(self, *, wait: bool = False) -> datetime | None:
        """Become the one who seals, until the transaction ends.

        Args:
            wait: Whether to wait for the one who is.

        Returns:
            The database's time; None if another one seals.
        """
        statement = _CLAIM_IN_TURN if wait else _CLAIM
        row = await self._first(statement, {"key": SEALING_LOCK})
        return row[1] if row is not None and row[0] else None

    async def newest(self, limit: int) -> Sequence[Seal]:
        """Return the last seals of the chain, the newest first."""
        rows = await self._all(_NEWEST, {"limit": limit})
        return [Seal(**dict(row)) for row in rows]

    async def holds(self, link: SealLink) -> bool:
        """Whether the chain has that seal at its position."""
        row = await self._first(_AT, {"position": link.position})
        return row is not None and bool(row["digest"] == link.digest)

    async def waiting(self, limit: int) -> Sequence[EntryDigest]:
        """Return the digests of entries that no seal covers yet, in order."""
        rows = await self._all(_WAITING, {"limit": limit})
        return [digest_entry(row, self._key_ring) for row in rows]

    async def add(self, seal: Seal) -> None:
        """Add a seal; its entries wait no more."""
        columns = {
            "position": seal.position,
            "entry_ids": seal.entry_ids,
            "entry_digests": seal.entry_digests,
            "digest": seal.digest,
            "sealed_at": seal.sealed_at,
        }
        await self._change(_INSERT, columns)
        await self._change(_FORGET, {"ids": seal.entry_ids})

    async def after(self, position: int, *, limit: int) -> Sequence[Seal]:
        """Return the seals that follow a position, in order."""
        rows = await self._all(_AFTER, {"position": position, "limit": limit})
        return [Seal(**dict(row)) for row in rows]

    async def digests(self, entry_ids: Collection[int]) -> Mapping[int, EntryDigest]:
        """Return the digests of entries as they stand now; a missing one has none."""
        rows = await self._all(_ENTRIES, {"ids": entry_ids})
        return {row["id"]: digest_entry(row, self._key_ring) for row in rows}

    async def count_waiting(self) -> int:
        """Return how many entries no seal covers yet."""
        row = await self._first(_COUNT_WAITING, {})
        return row[0] if row is not None else 0

    async def strays(self) -> Offence | None:
        """Find entries that neither have a seal nor wait for one."""
        return await self._offence(_STRAYS, {})

    async def lost(self) -> Offence | None:
        """Find entries that were gone before they had a seal."""
        return await self._offence(_LOST, {})

    async def overdue(self, seal: Seal, grace: timedelta) -> Offence | None:
        """Find entries that wait although `seal` covers later ones and is so much younger."""
        values = {"sealed_id": max(seal.entry_ids, default=0), "before": seal.sealed_at - grace}
        return await self._offence(_OVERDUE, values)

    async def _offence(self, statement: Statement, values: Mapping[str, object]) -> Offence | None:
        row = await self._first(statement, values)
        if row is None or not row[0]:
            return None
        return Offence(count=row[0], first_entry_id=row[1])
