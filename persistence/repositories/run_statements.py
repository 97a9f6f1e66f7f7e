"""The statements by which runs begin, wait and end."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import (
    BigInteger,
    Boolean,
    Float,
    Integer,
    LargeBinary,
    Text,
    TypeEngine,
    Uuid,
)

from persistence.access import Guard, ScopedStatement
from persistence.models import api_keys, chat_sessions, model_calls, runs, users
from persistence.repositories.given_rows import given_rows

RUN_COLUMNS = tuple(column for column in runs.c if column.name != "input")
"""What is read of runs, unless somebody goes on with them: what they were asked may be large."""
_NOBODY: ColumnElement[str] = literal_column("''")
# Literals, not parameters: only then can the database tell that its partial indexes apply.
_RUNNING = runs.c.status == literal_column("'running'")
_QUEUED = runs.c.status == literal_column("'queued'")
_LIVE = runs.c.status.in_([literal_column("'running'"), literal_column("'awaiting_approval'")])
_OWNER_IS_ACTIVE = exists().where(
    users.c.id == chat_sessions.c.user_id, users.c.is_active, users.c.closing_at.is_(None)
)
_API_KEY = bindparam("api_key", type_=BigInteger)
_KEY_IS_GOOD = or_(
    _API_KEY.is_(None),
    exists().where(
        api_keys.c.id == _API_KEY,
        api_keys.c.user_id == chat_sessions.c.user_id,
        api_keys.c.revoked_at.is_(None),
        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > func.now()),
    ),
)
"""The key that a run is asked with, if there is one."""
_LEASE: ColumnElement[Any] = func.now() + literal_column("interval '1 second'") * bindparam(
    "lease_seconds", type_=Float
)
"""By the database's clock, which is the same for all that judge a lease."""
_FENCE = (
    (runs.c.id == bindparam("run"))
    & (runs.c.attempt == bindparam("fence_attempt"))
    & (runs.c.lease_owner == bindparam("fence_owner"))
    & _RUNNING
)
_FIGURES: dict[str, Any] = {
    "iterations": bindparam("new_iterations"),
    "tool_calls": bindparam("new_tool_calls"),
    "tokens_in": bindparam("new_tokens_in"),
    "tokens_out": bindparam("new_tokens_out"),
}


def _build_start(guard: Guard) -> Any:
    """Insert for a session in scope; no row comes back when it has a live run or one waiting.

    None either when its user was locked out or the key has ended, be it after the request had been
    let in.
    """
    columns: dict[str, TypeEngine[Any]] = {
        "id": Uuid(),
        "model": Text(),
        "input": LargeBinary(),
        "lease_owner": Text(),
    }
    values = [bindparam(name, type_=type_) for name, type_ in columns.items()]
    waiting = runs.alias("waiting")
    # The foreign key locks the session's row anyway. Locked here, a row that is being deleted is
    # waited for and then found missing, instead of breaking the transaction.
    session = (
        select(chat_sessions.c.id, chat_sessions.c.user_id, *values, _LEASE)
        .where(
            chat_sessions.c.id == bindparam("session", type_=BigInteger),
            guard.owned(chat_sessions.c.user_id),
            _OWNER_IS_ACTIVE,
            _KEY_IS_GOOD,
            ~exists().where(
                waiting.c.chat_session_id == chat_sessions.c.id,
                waiting.c.status == literal_column("'queued'"),
            ),
        )
        .with_for_update(read=True, key_share=True, of=chat_sessions)
    )
    return (
        upsert(runs)
        .from_select(["chat_session_id", "user_id", *columns, "lease_until"], session)
        .on_conflict_do_nothing(index_elements=["chat_session_id"], index_where=_LIVE)
        .returning(*RUN_COLUMNS)
    )


def _build_enqueue(guard: Guard) -> Any:
    """Insert for a locked session in scope, unless too many wait there already."""
    columns: dict[str, TypeEngine[Any]] = {"id": Uuid(), "model": Text(), "input": LargeBinary()}
    values = [bindparam(name, type_=type_) for name, type_ in columns.items()]
    constants = [
        literal_column("'queued'"),
        literal_column("0"),
        _NOBODY,
        func.now(),
        # Not the transaction's time: whoever locked the session later comes later.
        func.clock_timestamp(),
    ]
    waiting = runs.alias("waiting")
    count = (
        select(func.count())
        .where(
            waiting.c.chat_session_id == chat_sessions.c.id,
            waiting.c.status == literal_column("'queued'"),
        )
        .scalar_subquery()
    )
    session = select(chat_sessions.c.id, chat_sessions.c.user_id, *values, *constants).where(
        chat_sessions.c.id == bindparam("session", type_=BigInteger),
        guard.owned(chat_sessions.c.user_id),
        count < bindparam("max_queued", type_=BigInteger),
    )
    names = ["status", "attempt", "lease_owner", "lease_until", "started_at"]
    return (
        insert(runs)
        .from_select(["chat_session_id", "user_id", *columns, *names], session)
        .returning(*RUN_COLUMNS)
    )


def _build_finish(guard: Guard) -> Any:
    """End a run and keep what its model calls cost, in one round trip."""
    ended = (
        update(runs)
        .where(_FENCE, guard.owned(runs.c.user_id))
        .values(
            status=bindparam("new_status"),
            error_code=bindparam("new_error_code"),
            input=null(),
            finished_at=func.now(),
            **_FIGURES,
        )
        .returning(runs.c.id, runs.c.user_id, runs.c.chat_session_id)
        .cte("ended")
    )
    return with_model_calls(ended)


def _build_pause(guard: Guard) -> Any:
    paused = (
        update(runs)
        .where(_FENCE, guard.owned(runs.c.user_id))
        .values(
            status=literal_column("'awaiting_approval'"),
            lease_owner=_NOBODY,
            lease_until=func.now(),
            **_FIGURES,
        )
        .returning(runs.c.id, runs.c.user_id, runs.c.chat_session_id)
        .cte("paused")
    )
    return with_model_calls(paused)


def with_model_calls(changed: Any) -> Any:
    """Insert model calls for a run that the statement changes."""
    columns: dict[str, TypeEngine[Any]] = {
        "model": Text(),
        "purpose": Text(),
        "tokens_in": Integer(),
        "tokens_out": Integer(),
        "estimated": Boolean(),
        "latency_ms": Integer(),
    }
    given = given_rows(columns, prefix="call_")
    calls = (
        insert(model_calls)
        .from_select(
            ["user_id", "run_id", *columns],
            select(changed.c.user_id, changed.c.id, *given.c).select_from(
                changed.join(given, true())
            ),
        )
        .cte("calls")
    )
    waiting = runs.alias("waiting")
    queued = exists().where(
        waiting.c.chat_session_id == changed.c.chat_session_id,
        waiting.c.status == literal_column("'queued'"),
    )
    return select(queued.label("has_queued")).select_from(changed).add_cte(calls)


def _build_answering(guard: Guard) -> Any:
    """Lock what waits in sessions, and select the sessions of which there is more.

    What is at work is not locked: its process must not be kept from prolonging its lease.
    """
    sessions = bindparam("sessions", type_=ARRAY(BigInteger))
    waiting = (
        select(runs.c.id)
        .where(
            runs.c.chat_session_id == sessions.any_(),
            runs.c.status.in_([literal_column("'queued'"), literal_column("'awaiting_approval'")]),
            guard.owned(runs.c.user_id),
        )
        .order_by(runs.c.id)  # as everybody does who locks several
        .with_for_update()
        .cte("waiting")
    )
    # What has begun while its lock was waited for still counts as it was before: as not ended.
    return select(runs.c.chat_session_id).where(
        runs.c.chat_session_id == sessions.any_(),
        _LIVE | _QUEUED,
        runs.c.id.not_in(select(waiting.c.id)),
        guard.owned(runs.c.user_id),
    )


_MAY_BEGIN = (
    _OWNER_IS_ACTIVE.label("owner_is_active"),
    _KEY_IS_GOOD.label("key_is_good"),
)
START = ScopedStatement(_build_start)
ENQUEUE = ScopedStatement(_build_enqueue)
FINISH = ScopedStatement(_build_finish)
PAUSE = ScopedStatement(_build_pause)
PUT_INPUT = ScopedStatement(
    lambda guard: (
        update(runs)
        .where(runs.c.id == bindparam("run"), guard.owned(runs.c.user_id))
        .values(input=bindparam("new_input"))
    )
)
SESSION = ScopedStatement(
    lambda guard: select(*_MAY_BEGIN).where(
        chat_sessions.c.id == bindparam("session"), guard.owned(chat_sessions.c.user_id)
    )
)
SESSION_LOCKED = ScopedStatement(
    lambda guard: (
        select(*_MAY_BEGIN)
        .where(chat_sessions.c.id == bindparam("session"), guard.owned(chat_sessions.c.user_id))
        .with_for_update(of=chat_sessions)
    )
)
GET = ScopedStatement(
    lambda guard: select(*RUN_COLUMNS).where(
        runs.c.id == bindparam("run"), guard.owned(runs.c.user_id)
    )
)
ANSWERING = ScopedStatement(_build_answering)
LIVE_ONES = ScopedStatement(
    lambda guard: (
        select(*RUN_COLUMNS)
        .where(
            _LIVE | _QUEUED,
            guard.mine(runs.c.user_id),
        )
        .order_by(runs.c.id.desc())
    )
)
AFTER = ScopedStatement(
    lambda guard: (
        select(*RUN_COLUMNS)
        .where(
            runs.c.chat_session_id == bindparam("session"),
            runs.c.id > bindparam("after"),
            guard.owned(runs.c.user_id),
        )
        .order_by(runs.c.id)
        .limit(bindparam("limit"))
    )
)
