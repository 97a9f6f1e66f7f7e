"""The events of runs, as everybody reads them and as whoever settles a run writes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Integer,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import LargeBinary, TypeEngine, Uuid

from persistence.access import Guard, ScopedStatement
from persistence.errors import EventsMissing, NotFound
from persistence.event_batches import (
    EventBatch,
    OpenedBatch,
    StoredEvent,
    encode_data,
    open_batch,
    seal_batch,
)
from persistence.models import approvals, chat_sessions, run_events, runs
from persistence.repositories.base import Repository
from persistence.repositories.given_rows import given_rows
from persistence.repositories.sessions import session_id_context
from persistence.run_records import RunStatus
from persistence.transaction import Row

FIRST_EVENT = "run"
"""Event 1 of every run; it says nothing but what the rows of run and session say."""
_COLUMNS: dict[str, TypeEngine[Any]] = {
    "run_id": Uuid(),
    "first_id": Integer(),
    "count": Integer(),
    "body": LargeBinary(),
}


@dataclass(frozen=True, kw_only=True)
class RunLook:
    """Where a run stands, and events that follow those that a reader has."""

    status: RunStatus
    attempt: int
    is_asking: bool
    """Whether it waits, and for somebody who has not answered yet."""
    expired: bool
    """Whether its events are kept no more."""
    events: list[StoredEvent]
    more: bool
    """Whether there may be others beyond these, already."""


@dataclass(frozen=True, kw_only=True)
class RunHistory:
    """All that the log has of a run."""

    events: list[StoredEvent]
    usage: list[dict[str, Any]]

    @property
    def last_id(self) -> int:
        """The number after which the run goes on."""
        return self.events[-1][0]


def _build_insert(guard: Guard) -> Any:
    """Insert batches that are not there yet, each guarded by its run."""
    given = given_rows(_COLUMNS)
    rows = (
        select(*given.c).join(runs, runs.c.id == given.c.run_id).where(guard.owned(runs.c.user_id))
    )
    insert = upsert(run_events).from_select(list(_COLUMNS), rows)
    return insert.on_conflict_do_nothing(index_elements=["run_id", "first_id"])


def _build_look(guard: Guard) -> Any:
    """Select a run once for each batch that goes beyond `after`; once if there is none.

    One statement, so that status and events are of one moment.
    """
    after = bindparam("after", type_=Integer)
    first = run_events.alias("first")
    # The batch with the next event in it begins at or before that one.
    beginning = (
        select(func.max(first.c.first_id))
        .where(first.c.run_id == runs.c.id, first.c.first_id <= after + 1)
        .correlate(runs)
        .scalar_subquery()
    )
    batches = (
        select(run_events.c.first_id, run_events.c.count, run_events.c.body)
        .where(
            run_events.c.run_id == runs.c.id,
            run_events.c.first_id >= func.coalesce(beginning, 0),
            run_events.c.first_id + run_events.c.count > after + 1,
        )
        .order_by(run_events.c.first_id)
        .limit(bindparam("limit"))
        .correlate(runs)
        .lateral("batches")
    )
    pending = (
        select(approvals.c.id)
        .where(approvals.c.run_id == runs.c.id, approvals.c.status == literal_column("'pending'"))
        .correlate(runs)
    )
    is_asking = and_(runs.c.status == literal_column("'awaiting_approval'"), exists(pending))
    return (
        select(
            *(runs.c.status, runs.c.attempt, runs.c.events_expired_at),
            is_asking.label("is_asking"),
            *batches.c,
        )
        .select_from(runs.outerjoin(batches, true()))
        .where(runs.c.id == bindparam("run"), guard.owned(runs.c.user_id))
        .order_by(batches.c.first_id)
    )


def _build_expiry(guard: Guard) -> Any:
    """Delete the events of runs that ended long ago, and note that in the runs."""
    ended = (
        select(runs.c.id)
        .where(
            runs.c.finished_at < bindparam("before"),
            runs.c.events_expired_at.is_(None),
            guard.owned(runs.c.user_id),
        )
        .order_by(runs.c.finished_at)
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True)
        .cte("ended")
    )
    gone = delete(run_events).where(run_events.c.run_id.in_(select(ended.c.id))).cte("gone")
    return (
        update(runs)
        .where(runs.c.id.in_(select(ended.c.id)), guard.owned(runs.c.user_id))
        .values(events_expired_at=func.now())
        .add_cte(gone)
    )


_INSERT = ScopedStatement(_build_insert)
_LOOK = ScopedStatement(_build_look)
_FIRST = ScopedStatement(
    lambda guard: (
        select(runs.c.user_id, chat_sessions.c.session_id)
        .join(chat_sessions, chat_sessions.c.id == runs.c.chat_session_id)
        .where(runs.c.id == bindparam("run"), guard.owned(runs.c.user_id))
    )
)
_LAST = ScopedStatement(
    lambda guard: (
        select(func.max(run_events.c.first_id + run_events.c.count - 1).label("last_id"))
        .join(runs, runs.c.id == run_events.c.run_id)
        .where(runs.c.id == bindparam("run"), guard.owned(runs.c.user_id))
    )
)
_ALL = ScopedStatement(
    lambda guard: (
        select(run_events)
        .join(runs, runs.c.id == run_events.c.run_id)
        .where(runs.c.id == bindparam("run"), guard.owned(runs.c.user_id))
        .order_by(run_events.c.first_id)
    )
)
_EXPIRE = ScopedStatement(_build_expiry)


class RunEventRepository(Repository):
    """What was to be seen of the runs in scope, numbered from 1 without gaps."""

    async def append(self, *batches: EventBatch) -> None:
        """Store batches; those that are there already are left as they are.

        The run's row has to be locked by then, as `RunRepository` does when it settles a run:
        locked after, it may be waited for crosswise with the process that executes the run.
        """
        if not batches:
            return
        parameters = {
            "run_id": [batch.run_id for batch in batches],
            "first_id": [batch.first_id for batch in batches],
            "count": [len(batch.events) for batch in batches],
            "body": [seal_batch(self._key_ring, batch) for batch in batches],
        }
        await self._change(_INSERT.under(self._scope), parameters)

    async def look(self, run_id: UUID, *, after: int, limit: int) -> RunLook:
        """Return where a run stands and what follows event number `after`.

        Args:
            run_id: The run.
            after: The last event that is known; 0 for none.
            limit: How many batches at most.

        Raises:
            NotFound: The scope sees no such run.
            DecryptionError: What is stored was not written by this installation.
            EventsMissing: The log has a gap.
        """
        parameters = {"run": run_id, "after": after, "limit": limit}
        rows = await self._all(_LOOK.under(self._scope), parameters)
        if not rows:
            raise NotFound(f"no run {str(run_id)!r}")
        expired = rows[0]["events_expired_at"] is not None
        events = []
        if after == 0 and not expired:
            events.append(await self._first_event(run_id))
        batches = [row for row in rows if row["first_id"] is not None and not expired]
        for batch in self._open(run_id, batches):
            events += batch.events
        events = [event for event in events if event[0] > after]
        _require_whole(events, after)
        return RunLook(
            status=rows[0]["status"],
            attempt=rows[0]["attempt"],
            is_asking=rows[0]["is_asking"],
            expired=expired,
            events=events,
            more=len(batches) == limit,
        )

    async def history(self, run_id: UUID) -> RunHistory:
        """Return everything that the log has of a run that is to go on.

        Raises:
            NotFound: The scope sees no such run.
            DecryptionError: What is stored was not written by this installation.
            EventsMissing: The log has a gap.
        """
        events = [await self._first_event(run_id)]
        usage: list[dict[str, Any]] = []
        rows = await self._all(_ALL.under(self._scope), {"run": run_id})
        for batch in self._open(run_id, rows):
            events += batch.events
            usage += batch.usage
        _require_whole(events, 0)
        return RunHistory(events=events, usage=usage)

    async def last_id(self, run_id: UUID) -> int:
        """Return the number of a run's last event; it is 1 if nothing was stored."""
        row = await self._first(_LAST.under(self._scope), {"run": run_id})
        return 1 if row is None or row["last_id"] is None else int(row["last_id"])

    async def expire(self, *, ended_before: datetime, limit: int) -> int:
        """Delete the events of runs that ended before that; return of how many runs."""
        parameters = {"before": ended_before, "limit": limit}
        return await self._change(_EXPIRE.under(self._scope), parameters)

    async def _first_event(self, run_id: UUID) -> StoredEvent:
        row = await self._first(_FIRST.under(self._scope), {"run": run_id})
        if row is None:
            raise NotFound(f"no run {str(run_id)!r}")
        context = session_id_context(row["user_id"])
        session_id = self._key_ring.decrypt_json(row["session_id"], context=context)
        return 1, FIRST_EVENT, encode_data({"run_id": str(run_id), "session_id": session_id})

    def _open(self, run_id: UUID, rows: Sequence[Row]) -> Iterator[OpenedBatch]:
        for row in rows:
            yield open_batch(
                self._key_ring,
                run_id,
                first_id=row["first_id"],
                count=row["count"],
                body=row["body"],
            )


def _require_whole(events: Sequence[StoredEvent], after: int) -> None:
    if any(event[0] != number for number, event in enumerate(events, after + 1)):
        raise EventsMissing("the log of events has a gap")
