"""Which process a run belongs to. The runs' rows are the queue: processes take them from there."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Float, Integer, Text, Uuid

from persistence.access import Guard, ScopedStatement
from persistence.errors import DecryptionError
from persistence.identifiers import plain_uuid
from persistence.large_values import apart_if_large
from persistence.models import approvals, chat_sessions, run_events, runs, users
from persistence.notifications import Channel
from persistence.records import ClaimedRun, HeldRun, ModelCall, Run, RunClaim, RunInput
from persistence.repositories.base import Repository
from persistence.repositories.run_statements import RUN_COLUMNS, with_model_calls
from persistence.repositories.runs import call_columns, read_run
from persistence.run_inputs import open_input
from persistence.transaction import Row

_NOBODY: ColumnElement[str] = literal_column("''")
_RUNNING = runs.c.status == literal_column("'running'")
_QUEUED = runs.c.status == literal_column("'queued'")
_AWAITING = runs.c.status == literal_column("'awaiting_approval'")
_LEASE: ColumnElement[Any] = func.now() + literal_column("interval '1 second'") * bindparam(
    "lease_seconds", type_=Float
)
_PAST: ColumnElement[Any] = literal_column("now() - interval '1 second'")
# The last sign of life of the attempt before: who gave its run up in good order has said when, and
# of who died, the last renewal of its lease is what is known.
_WORKED_UNTIL: ColumnElement[Any] = case(
    (runs.c.lease_owner == _NOBODY, runs.c.lease_until),
    else_=runs.c.lease_until
    - literal_column("interval '1 second'") * bindparam("lease_seconds", type_=Float),
)
_WORKED: ColumnElement[Any] = runs.c.worked_seconds + func.greatest(
    0, func.extract("epoch", _WORKED_UNTIL - runs.c.taken_at)
)
_OWNER_LOCKED_OUT = exists().where(
    users.c.id == runs.c.user_id, ~users.c.is_active | users.c.closing_at.is_not(None)
)
_NOTHING_PENDING = ~exists().where(
    approvals.c.run_id == runs.c.id, approvals.c.status == literal_column("'pending'")
)


# By the batches' keys alone: what is in them does not matter.
_LAST_BATCH = (
    select(func.coalesce(func.max(run_events.c.first_id), 1))
    .where(run_events.c.run_id == runs.c.id)
    .correlate(runs)
    .scalar_subquery()
)


def _first_in_line() -> ColumnElement[bool]:
    """Nothing of its session is at work, and nothing waits there longer."""
    other = runs.alias("other")
    return ~exists().where(
        other.c.chat_session_id == runs.c.chat_session_id,
        other.c.id != runs.c.id,
        other.c.status.in_([literal_column("'running'"), literal_column("'awaiting_approval'")])
        | (
            (other.c.status == literal_column("'queued'"))
            & (other.c.started_at < runs.c.started_at)
        ),
    )


def _claim(*conditions: ColumnElement[bool], **values: Any) -> ScopedStatement:
    """Take some runs that nobody else is taking at this moment."""

    def build(guard: Guard) -> Any:
        found = (
            select(runs.c.id, _WORKED_UNTIL.label("worked_until"))
            .where(*conditions, guard.owned(runs.c.user_id))
            .order_by(runs.c.started_at)
            .limit(bindparam("limit", type_=Integer))
            .with_for_update(skip_locked=True, key_share=True)
            .correlate(None)
            # Found once: a plain subquery may be asked again for each row, and has its limit anew.
            .cte("found")
        )
        taken = {
            "status": literal_column("'running'"),
            "attempt": runs.c.attempt + 1,
            "lease_owner": bindparam("owner", type_=Text),
            "lease_until": _LEASE,
            "taken_at_event": _LAST_BATCH,
            "taken_at": func.now(),
            "worked_seconds": _WORKED,
            **values,
        }
        taking = update(runs).where(runs.c.id == found.c.id).values(taken)
        return taking.returning(runs, found.c.worked_until)

    return ScopedStatement(build)


# Whoever gave its run up in good order has left it without an owner.
_CRASH = case((runs.c.lease_owner == _NOBODY, 0), else_=1)
# A process takes all its runs with it, and most are not what it has died of.
_VAIN_CRASH = case(
    ((runs.c.lease_owner == _NOBODY) | (runs.c.taken_at_event < _LAST_BATCH), 0), else_=1
)
_CLAIM_LAPSED = _claim(
    _RUNNING,
    runs.c.lease_until < func.now(),
    ~(runs.c.id == bindparam("mine", type_=ARRAY(Uuid)).any_()),
    crashes=runs.c.crashes + _CRASH,
    vain_crashes=runs.c.vain_crashes + _VAIN_CRASH,
)
# With their sessions, in which the messages are written then: who deletes one has both as well.
_CLAIM_QUEUED = _claim(
    _QUEUED,
    _first_in_line(),
    runs.c.chat_session_id == chat_sessions.c.id,
    started_at=func.now(),
)
_HAS_NEXT = ScopedStatement(
    lambda guard: (
        select(runs.c.id)
        .where(_QUEUED, _first_in_line(), guard.owned(runs.c.user_id))
        .limit(literal_column("1"))
    )
)
# Who asked for an end may have died before it came.
_CLAIM_ANSWERED = _claim(
    _AWAITING, _NOTHING_PENDING | _OWNER_LOCKED_OUT | runs.c.cancel_at.is_not(None)
)
_SEIZE = ScopedStatement(
    lambda guard: (
        update(runs)
        .where(
            runs.c.id == bindparam("run"),
            _RUNNING | _AWAITING,
            guard.owned(runs.c.user_id),
        )
        .values(
            status=literal_column("'running'"),
            attempt=runs.c.attempt + 1,
            lease_owner=bindparam("owner", type_=Text),
            lease_until=_LEASE,
            taken_at_event=_LAST_BATCH,
            taken_at=func.now(),
            worked_seconds=_WORKED,
        )
        .returning(runs)
    )
)


def _build_renewal(guard: Guard) -> Any:
    """Prolong those leases whose rows nobody has locked, and select all that are held."""
    held = (
        runs.c.lease_owner == bindparam("owner", type_=Text),
        runs.c.id == bindparam("ids", type_=ARRAY(Uuid)).any_(),
        _RUNNING,
        guard.owned(runs.c.user_id),
    )
    free = select(runs.c.id).where(*held).with_for_update(skip_locked=True, key_share=True)
    renewed = (
        update(runs)
        .where(runs.c.id.in_(free.correlate(None)))
        .values(lease_until=_LEASE)
        .returning(runs.c.id)
        .cte("renewed")
    )
    is_renewed = runs.c.id.in_(select(renewed.c.id)).label("renewed")
    return select(runs.c.id, runs.c.attempt, runs.c.cancel_at, is_renewed).where(*held)


def _build_hand_over(guard: Guard) -> Any:
    """Leave a run to others, with what its model calls have cost that they will not know of."""
    left = (
        update(runs)
        .where(
            runs.c.id == bindparam("run"),
            runs.c.attempt == bindparam("fence_attempt"),
            runs.c.lease_owner == bindparam("owner"),
            _RUNNING,
            guard.owned(runs.c.user_id),
        )
        .values(
            lease_owner=_NOBODY,
            lease_until=_PAST,
            iterations=runs.c.iterations + bindparam("more_iterations", type_=Integer),
            tokens_in=runs.c.tokens_in + bindparam("more_tokens_in", type_=Integer),
            tokens_out=runs.c.tokens_out + bindparam("more_tokens_out", type_=Integer),
        )
        .returning(runs.c.id, runs.c.user_id, runs.c.chat_session_id)
        .cte("left_over")
    )
    return with_model_calls(left)


_RENEW = ScopedStatement(_build_renewal)
_HAND_OVER = ScopedStatement(_build_hand_over)
_LAPSE_ALL = ScopedStatement(
    lambda guard: (
        update(runs)
        .where(_RUNNING, guard.owned(runs.c.user_id))
        # Added up now: once the lease has been ended early, it tells no more how long it was kept.
        .values(
            lease_until=func.least(runs.c.lease_until, _PAST),
            taken_at=func.now(),
            worked_seconds=_WORKED,
        )
    )
)
_ASK_CANCEL = ScopedStatement(
    lambda guard: (
        update(runs)
        .where(
            runs.c.id == bindparam("run"),
            _RUNNING | _AWAITING | _QUEUED,
            guard.owned(runs.c.user_id),
        )
        .values(cancel_at=func.coalesce(runs.c.cancel_at, func.now()))
        .returning(*RUN_COLUMNS)
    )
)
_DISCARD_QUEUED = ScopedStatement(
    lambda guard: (
        update(runs)
        .where(runs.c.id == bindparam("run"), _QUEUED, guard.owned(runs.c.user_id))
        .values(
            status=literal_column("'cancelled'"),
            input=null(),
            finished_at=func.now(),
            cancel_at=func.coalesce(runs.c.cancel_at, func.now()),
        )
        .returning(*RUN_COLUMNS)
    )
)


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
        return await self._claim(_CLAIM_LAPSED, owner, lease_seconds, limit, values)

    async def claim_queued(
        self, owner: str, lease_seconds: float, *, limit: int
    ) -> list[ClaimedRun]:
        """Take runs that wait and are the next of their sessions; they have begun by that.

        Raises:
            Conflict: A run has begun in one of the sessions at the same moment; try again.
        """
        return await self._claim(_CLAIM_QUEUED, owner, lease_seconds, limit, {})

    async def claim_answered(
        self, owner: str, lease_seconds: float, *, limit: int
    ) -> list[ClaimedRun]:
        """Take runs that waited for approvals of which none is pending any more.

        Those as well whose end somebody has asked for, and those of users who were locked out:
        nobody will answer them.
        """
        return await self._claim(_CLAIM_ANSWERED, owner, lease_seconds, limit, {})

    async def has_next(self) -> bool:
        """Whether a run waits whose turn has come; somebody may be about to take it."""
        return await self._first(_HAS_NEXT.under(self._scope), {}) is not None

    async def seize(self, run_id: UUID, owner: str, lease_seconds: float) -> ClaimedRun | None:
        """Take a run that has begun, whoever holds it; None if it has ended or not begun."""
        parameters = {"run": run_id, "owner": owner, "lease_seconds": lease_seconds}
        row = await self._first(_SEIZE.under(self._scope), parameters)
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
            for row in await self._all(_RENEW.under(self._scope), parameters)
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
        if await self._first(_HAND_OVER.under(self._scope), parameters) is None:
            return False
        await self._notify(Channel.RUN_WAITING, str(claim.run_id))
        return True

    async def lapse_all(self, lease_seconds: float) -> int:
        """End every lease, because no other process can be at work on this database.

        Args:
            lease_seconds: For how long they were taken, and renewed, each time.
        """
        return await self._change(_LAPSE_ALL.under(self._scope), {"lease_seconds": lease_seconds})

    async def ask_cancel(self, run_id: UUID) -> Run | None:
        """Ask whoever has a run to end it; None if it has ended, or is out of sight."""
        row = await self._first(_ASK_CANCEL.under(self._scope), {"run": run_id})
        if row is None:
            return None
        await self._notify(Channel.RUN_CANCELLED, str(run_id))
        return read_run(row)

    async def discard_queued(self, run_id: UUID) -> Run | None:
        """End a run that has not begun; None if it has, or is out of sight."""
        row = await self._first(_DISCARD_QUEUED.under(self._scope), {"run": run_id})
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
