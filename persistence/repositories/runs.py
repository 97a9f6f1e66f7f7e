"""The runs of the agent, and the leases that say whether they live."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, exists, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import BigInteger, DateTime, Text, TypeEngine, Uuid

from persistence.access import Guard, ScopedStatement
from persistence.errors import NotFound, RunInProgress, UserLockedOut
from persistence.identifiers import plain_uuid
from persistence.models import chat_sessions, runs, users
from persistence.records import Run, RunStatus
from persistence.repositories.base import Repository
from persistence.transaction import Row

RUN_LOST = "RUN_LOST"
"""The error code of a run whose process died."""

_BEFORE_ALL = UUID(int=0)
# A literal, not a parameter: only then can the database tell that its partial indexes apply.
_LIVE = runs.c.status == literal_column("'running'")
_OWNER_IS_ACTIVE = exists().where(
    users.c.id == chat_sessions.c.user_id, users.c.is_active, users.c.closing_at.is_(None)
)
_LOSE = {"status": "error", "error_code": RUN_LOST, "finished_at": func.now()}


def _build_insert(guard: Guard) -> Any:
    """Insert for a session in scope; no row comes back when it has a live run.

    None either when its user was locked out, be it after the request had been let in.
    """
    columns: dict[str, TypeEngine[Any]] = {
        "id": Uuid(),
        "model": Text(),
        "lease_owner": Text(),
        "lease_until": DateTime(timezone=True),
    }
    values = [bindparam(name, type_=type_) for name, type_ in columns.items()]
    # The foreign key locks the session's row anyway. Locked here, a row that is being deleted is
    # waited for and then found missing, instead of breaking the transaction.
    session = (
        select(chat_sessions.c.id, chat_sessions.c.user_id, *values)
        .where(
            chat_sessions.c.id == bindparam("session", type_=BigInteger),
            guard.owned(chat_sessions.c.user_id),
            _OWNER_IS_ACTIVE,
        )
        .with_for_update(read=True, key_share=True)
    )
    return (
        upsert(runs)
        .from_select(["chat_session_id", "user_id", *columns], session)
        .on_conflict_do_nothing(index_elements=["chat_session_id"], index_where=_LIVE)
        .returning(runs)
    )


_START = ScopedStatement(_build_insert)
_SESSION = ScopedStatement(
    lambda guard: select(_OWNER_IS_ACTIVE.label("owner_is_active")).where(
        chat_sessions.c.id == bindparam("session"), guard.owned(chat_sessions.c.user_id)
    )
)
_LOSE_LAPSED_OF_SESSION = ScopedStatement(
    lambda guard: (
        update(runs)
        .where(
            runs.c.chat_session_id == bindparam("session"),
            _LIVE,
            runs.c.lease_until < func.now(),
            guard.owned(runs.c.user_id),
        )
        .values(_LOSE)
    )
)
# A run that was taken for lost while its process lived on may still end with its real outcome.
_FINISH = ScopedStatement(
    lambda guard: (
        update(runs)
        .where(
            runs.c.id == bindparam("run"),
            or_(_LIVE, runs.c.error_code == RUN_LOST),
            guard.owned(runs.c.user_id),
        )
        .values(
            status=bindparam("new_status"),
            error_code=bindparam("new_error_code"),
            iterations=bindparam("new_iterations"),
            tool_calls=bindparam("new_tool_calls"),
            tokens_in=bindparam("new_tokens_in"),
            tokens_out=bindparam("new_tokens_out"),
            finished_at=func.now(),
        )
    )
)
_RENEW = ScopedStatement(
    lambda guard: (
        update(runs)
        .where(
            runs.c.lease_owner == bindparam("owner"),
            runs.c.id == bindparam("ids", type_=ARRAY(Uuid)).any_(),
            _LIVE,
            guard.owned(runs.c.user_id),
        )
        .values(lease_until=bindparam("until"))
    )
)
_EXPIRE_LAPSED = ScopedStatement(
    lambda guard: (
        update(runs)
        .where(_LIVE, runs.c.lease_until < bindparam("now"), guard.owned(runs.c.user_id))
        .values(_LOSE)
    )
)
_EXPIRE_ALL = ScopedStatement(
    lambda guard: update(runs).where(_LIVE, guard.owned(runs.c.user_id)).values(_LOSE)
)
_GET = ScopedStatement(
    lambda guard: select(runs).where(runs.c.id == bindparam("run"), guard.owned(runs.c.user_id))
)
_ANSWERING = ScopedStatement(
    lambda guard: select(runs.c.chat_session_id).where(
        runs.c.chat_session_id == bindparam("sessions", type_=ARRAY(BigInteger)).any_(),
        _LIVE,
        runs.c.lease_until >= func.now(),
        guard.owned(runs.c.user_id),
    )
)
_AFTER = ScopedStatement(
    lambda guard: (
        select(runs)
        .where(
            runs.c.chat_session_id == bindparam("session"),
            runs.c.id > bindparam("after"),
            guard.owned(runs.c.user_id),
        )
        .order_by(runs.c.id)
        .limit(bindparam("limit"))
    )
)


class RunRepository(Repository):
    """The runs of sessions in scope; an index holds a session to one live run."""

    async def start(
        self,
        run_id: UUID,
        session_row_id: int,
        *,
        model: str,
        lease_owner: str,
        lease_until: datetime,
    ) -> Run:
        """Begin a run; one of the session whose lease lapsed is given up as lost first.

        Raises:
            RunInProgress: The session has a live run.
            NotFound: The scope sees no such session.
            UserLockedOut: The session's user may not come in any more.
        """
        parameters = {
            "id": run_id,
            "session": session_row_id,
            "model": model,
            "lease_owner": lease_owner,
            "lease_until": lease_until,
        }
        row = await self._first(_START.under(self._scope), parameters)
        if row is None:
            session = {"session": session_row_id}
            found = await self._first(_SESSION.under(self._scope), session)
            if found is None:
                raise NotFound("no such session")
            if not found["owner_is_active"]:
                raise UserLockedOut("the session's user is not active")
            if await self._change(_LOSE_LAPSED_OF_SESSION.under(self._scope), session):
                row = await self._first(_START.under(self._scope), parameters)
        if row is None:
            raise RunInProgress("the session has a live run")
        return _read(row)

    async def finish(
        self,
        run_id: UUID,
        status: RunStatus,
        *,
        error_code: str | None = None,
        iterations: int = 0,
        tool_calls: int = 0,
        tokens_in: int = 0,
        tokens_out: int = 0,
    ) -> None:
        """Note how a run ended.

        Raises:
            NotFound: The scope sees no such run, or it has ended already.
        """
        parameters = {
            "run": run_id,
            "new_status": status,
            "new_error_code": error_code,
            "new_iterations": iterations,
            "new_tool_calls": tool_calls,
            "new_tokens_in": tokens_in,
            "new_tokens_out": tokens_out,
        }
        if not await self._change(_FINISH.under(self._scope), parameters):
            raise NotFound(f"no live run {str(run_id)!r}")

    async def renew(self, lease_owner: str, until: datetime, run_ids: Collection[UUID]) -> int:
        """Prolong a process's leases on these runs; return how many of them are live.

        A run that its process has given up is left out, and lapses.
        """
        if not run_ids:
            return 0
        parameters = {"owner": lease_owner, "until": until, "ids": run_ids}
        return await self._change(_RENEW.under(self._scope), parameters)

    async def expire(self, now: datetime, *, all_owners: bool = False) -> int:
        """Give up as lost the live runs whose lease has lapsed; return how many.

        Args:
            now: The moment that leases are held against.
            all_owners: Give up every live run whatever its lease; for the only process of an
                installation, at its start.
        """
        statement = _EXPIRE_ALL if all_owners else _EXPIRE_LAPSED
        return await self._change(statement.under(self._scope), {"now": now})

    async def answering(self, session_row_ids: Collection[int]) -> set[int]:
        """Return those of the sessions in which a process holds a lease on a run."""
        rows = await self._all(_ANSWERING.under(self._scope), {"sessions": session_row_ids})
        return {row["chat_session_id"] for row in rows}

    async def after(self, session_row_id: int, run_id: UUID | None, *, limit: int) -> list[Run]:
        """Return runs of a session that were begun after that one, oldest first.

        Args:
            session_row_id: The session; one that is not in scope has none.
            run_id: The last run that is known.
            limit: How many at most.
        """
        parameters = {"session": session_row_id, "after": run_id or _BEFORE_ALL, "limit": limit}
        return [_read(row) for row in await self._all(_AFTER.under(self._scope), parameters)]

    async def get(self, run_id: UUID) -> Run:
        """Return a run.

        Raises:
            NotFound: The scope sees no such run.
        """
        row = await self._first(_GET.under(self._scope), {"run": run_id})
        if row is None:
            raise NotFound(f"no run {str(run_id)!r}")
        return _read(row)


def _read(row: Row) -> Run:
    return Run(
        id=plain_uuid(row["id"]),
        session_row_id=row["chat_session_id"],
        user_id=row["user_id"],
        model=row["model"],
        status=row["status"],
        error_code=row["error_code"],
        iterations=row["iterations"],
        tool_calls=row["tool_calls"],
        tokens_in=row["tokens_in"],
        tokens_out=row["tokens_out"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
