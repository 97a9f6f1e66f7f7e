"""The statements by which runs are taken, kept and given up: a run's row says whose it is."""

from typing import Any

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
from persistence.models import approvals, chat_sessions, run_events, runs, users
from persistence.repositories.run_statements import RUN_COLUMNS, with_model_calls

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
_TAKEN: dict[str, Any] = {
    "status": literal_column("'running'"),
    "attempt": runs.c.attempt + 1,
    "lease_owner": bindparam("owner", type_=Text),
    "lease_until": _LEASE,
    "taken_at_event": _LAST_BATCH,
    "taken_at": func.now(),
    "worked_seconds": _WORKED,
}
"""What becomes of a run whenever a process takes it."""


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
        taking = update(runs).where(runs.c.id == found.c.id).values({**_TAKEN, **values})
        return taking.returning(runs, found.c.worked_until)

    return ScopedStatement(build)


# Whoever gave its run up in good order has left it without an owner.
_CRASH = case((runs.c.lease_owner == _NOBODY, 0), else_=1)
# A process takes all its runs with it, and most are not what it has died of.
_VAIN_CRASH = case(
    ((runs.c.lease_owner == _NOBODY) | (runs.c.taken_at_event < _LAST_BATCH), 0), else_=1
)
CLAIM_LAPSED = _claim(
    _RUNNING,
    runs.c.lease_until < func.now(),
    ~(runs.c.id == bindparam("mine", type_=ARRAY(Uuid)).any_()),
    crashes=runs.c.crashes + _CRASH,
    vain_crashes=runs.c.vain_crashes + _VAIN_CRASH,
)
# With their sessions, in which the messages are written then: who deletes one has both as well.
CLAIM_QUEUED = _claim(
    _QUEUED,
    _first_in_line(),
    runs.c.chat_session_id == chat_sessions.c.id,
    started_at=func.now(),
)
HAS_NEXT = ScopedStatement(
    lambda guard: (
        select(runs.c.id)
        .where(_QUEUED, _first_in_line(), guard.owned(runs.c.user_id))
        .limit(literal_column("1"))
    )
)
# Who asked for an end may have died before it came.
CLAIM_ANSWERED = _claim(
    _AWAITING, _NOTHING_PENDING | _OWNER_LOCKED_OUT | runs.c.cancel_at.is_not(None)
)
SEIZE = ScopedStatement(
    lambda guard: (
        update(runs)
        .where(
            runs.c.id == bindparam("run"),
            _RUNNING | _AWAITING,
            guard.owned(runs.c.user_id),
        )
        .values(_TAKEN)
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


RENEW = ScopedStatement(_build_renewal)
HAND_OVER = ScopedStatement(_build_hand_over)
LAPSE_ALL = ScopedStatement(
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
ASK_CANCEL = ScopedStatement(
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
DISCARD_QUEUED = ScopedStatement(
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
