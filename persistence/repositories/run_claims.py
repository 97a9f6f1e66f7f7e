"""Which process a run belongs to. The runs' rows are the queue: processes take them from there."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from persistence.access import ScopedStatement
from persistence.errors import DecryptionError
from persistence.identifiers import plain_uuid
from persistence.large_values import apart_if_large
from persistence.notifications import Channel
from persistence.repositories.base import Repository
from persistence.repositories.run_claim_statements import (
    ASK_CANCEL,
    CLAIM_ANSWERED,
    CLAIM_LAPSED,
    CLAIM_QUEUED,
    DISCARD_QUEUED,
    HAND_OVER,
    HAS_NEXT,
    LAPSE_ALL,
    RENEW,
    SEIZE,
)
from persistence.repositories.runs import call_columns, read_run
from persistence.run_inputs import open_input
from persistence.run_records import ClaimedRun, HeldRun, ModelCall, Run, RunClaim, RunInput
from persistence.transaction import Row


class RunClaimRepository(Repository):
    """Takes runs, keeps them and gives them up, for a process or for who wants their end."""

    async def claim_lapsed(
        self, owner: str, lease_seconds: float, *, mine: Collection[UUID], limit: int
    ) -> list[ClaimedRun]:
        """Take runs whose process has died or has handed them over.

        Args:
            owner: Who takes them.
            lease_seconds: For how long, if nothing more is heard.
            mine: Runs that live in this process, whatever their lease says.
            limit: How many at most.
        """
        values = {"mine": list(mine)}
        return await self._claim(CLAIM_LAPSED, owner, lease_seconds, limit, values)

    async def claim_queued(
        self, owner: str, lease_seconds: float, *, limit: int
    ) -> list[ClaimedRun]:
        """Take runs that wait and are the next of their sessions; they have begun by that.

        Raises:
            Conflict: A run has begun in one of the sessions at the same moment; try again.
        """
        return await self._claim(CLAIM_QUEUED, owner, lease_seconds, limit, {})

    async def claim_answered(
        self, owner: str, lease_seconds: float, *, limit: int
    ) -> list[ClaimedRun]:
        """Take runs that waited for approvals of which none is pending any more.

        Those as well whose end somebody has asked for, and those of users who were locked out:
        nobody will answer them.
        """
        return await self._claim(CLAIM_ANSWERED, owner, lease_seconds, limit, {})

    async def has_next(self) -> bool:
        """Whether a run waits whose turn has come; somebody may be about to take it."""
        return await self._first(HAS_NEXT.under(self._scope), {}) is not None

    async def seize(self, run_id: UUID, owner: str, lease_seconds: float) -> ClaimedRun | None:
        """Take a run that has begun, whoever holds it; None if it has ended or not begun."""
        parameters = {"run": run_id, "owner": owner, "lease_seconds": lease_seconds}
        row = await self._first(SEIZE.under(self._scope), parameters)
        return await self._read(row) if row is not None else None

    async def renew(
        self, owner: str, lease_seconds: float, run_ids: Collection[UUID]
    ) -> list[HeldRun]:
        """Prolong a process's leases on these runs; those that are missing belong to others now.

        It waits for nobody: where a row is locked, the lease is left as it is.
        """
        if not run_ids:
            return []
        parameters = {"owner": owner, "lease_seconds": lease_seconds, "ids": list(run_ids)}
        return [
            HeldRun(
                run_id=plain_uuid(row["id"]),
                attempt=row["attempt"],
                cancel_asked=row["cancel_at"] is not None,
                renewed=row["renewed"],
            )
            for row in await self._all(RENEW.under(self._scope), parameters)
        ]

    async def hand_over(self, claim: RunClaim, *, model_calls: Sequence[ModelCall] = ()) -> bool:
        """Leave a run to whoever takes it first; False if the claim does not hold any more.

        Args:
            claim: The run.
            model_calls: Those that are not in the log of its events.
        """
        parameters = {
            "run": claim.run_id,
            "fence_attempt": claim.attempt,
            "owner": claim.owner,
            "more_iterations": len(model_calls),
            "more_tokens_in": sum(call.tokens_in for call in model_calls),
            "more_tokens_out": sum(call.tokens_out for call in model_calls),
            **call_columns(model_calls),
        }
        if await self._first(HAND_OVER.under(self._scope), parameters) is None:
            return False
        await self._notify(Channel.RUN_WAITING, str(claim.run_id))
        return True

    async def lapse_all(self, lease_seconds: float) -> int:
        """End every lease, because no other process can be at work on this database.

        Args:
            lease_seconds: For how long they were taken, and renewed, each time.
        """
        return await self._change(LAPSE_ALL.under(self._scope), {"lease_seconds": lease_seconds})

    async def ask_cancel(self, run_id: UUID) -> Run | None:
        """Ask whoever has a run to end it; None if it has ended, or is out of sight."""
        row = await self._first(ASK_CANCEL.under(self._scope), {"run": run_id})
        if row is None:
            return None
        await self._notify(Channel.RUN_CANCELLED, str(run_id))
        return read_run(row)

    async def discard_queued(self, run_id: UUID) -> Run | None:
        """End a run that has not begun; None if it has, or is out of sight."""
        row = await self._first(DISCARD_QUEUED.under(self._scope), {"run": run_id})
        if row is None:
            return None
        # What waits behind it may be the next now.
        await self._notify(Channel.RUN_WAITING, str(run_id))
        return read_run(row)

    async def _claim(
        self,
        statement: ScopedStatement,
        owner: str,
        lease_seconds: float,
        limit: int,
        values: dict[str, Any],
    ) -> list[ClaimedRun]:
        parameters = {"owner": owner, "lease_seconds": lease_seconds, "limit": limit, **values}
        return [
            await self._read(row)
            for row in await self._all(statement.under(self._scope), parameters)
        ]

    async def _read(self, row: Row) -> ClaimedRun:
        run = read_run(row)
        return ClaimedRun(
            run=run,
            owner=row["lease_owner"],
            input=await self._open_input(run.id, row["input"]),
            crashes=row["crashes"],
            vain_crashes=row["vain_crashes"],
            cancel_asked=row["cancel_at"] is not None,
        )

    async def _open_input(self, run_id: UUID, token: bytes | None) -> RunInput | None:
        if token is None:
            return None
        # One run whose row was tampered with must not keep the others from being claimed.
        try:
            return await apart_if_large(
                len(token), lambda: open_input(self._key_ring, run_id, token)
            )
        except DecryptionError:
            return None
