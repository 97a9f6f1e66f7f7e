"""Whose turn it is: of each user so many files have a job, and the others wait without one.

The queue takes jobs as they came. So whoever gives fifty thousand files stands in it with a few of
them, like everybody else, and with the next one, at its end, when another has come to its end.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    Text,
    bindparam,
    column,
    func,
    literal_column,
    null,
    or_,
    select,
    text,
    true,
    update,
    values,
)

from persistence.access import AccessScope, Guard, ScopedStatement
from persistence.encryption import KeyRing
from persistence.identifiers import plain_uuid
from persistence.models import ingest_files
from persistence.notifications import Channel
from persistence.repositories.base import Repository
from persistence.repositories.ingest_rows import THIS_TRANSACTION
from persistence.statements import Statement
from persistence.transaction import Row, Transaction

TASK = "ingest_file"
"""The name of the jobs' task; its one argument is `file_id`. A queue has the name of its lane."""
RECORDINGS_PER_USER = 1

# Two files of a user that end at once must not both see a place for the same next one.
_LOCK = Statement(
    text("SELECT pg_advisory_xact_lock(hashtextextended('ingest_turns', CAST(:user AS bigint)))")
)
_USER = ingest_files.c.user_id == bindparam("user", type_=BigInteger)
_IN_LINE = (
    ingest_files.c.status == literal_column("'waiting'"),
    ingest_files.c.job_id.is_(None),
)
_HAS_JOB: Any = text(
    "EXISTS (SELECT FROM procrastinate_jobs AS job WHERE job.id = ingest_files.job_id)"
)
# Whoever pauses leaves its turn to others.
_IN_TURN = (
    ingest_files.c.job_id.is_not(None),
    ingest_files.c.finished_at.is_(None),
    or_(ingest_files.c.paused_until.is_(None), ingest_files.c.paused_until <= func.now()),
    _HAS_JOB,
)


_PLACE = (ingest_files.c.rank, ingest_files.c.created_at, ingest_files.c.position)
_ORDER = "ORDER BY following.rank, following.created_at, following.position"


def _build_give(guard: Guard) -> Any:
    """Give jobs to as many files of a user, in each lane, as there are places left."""
    lanes = values(column("name", Text), column("most", Integer), name="lanes").data(
        [
            (literal_column("'files'"), bindparam("files", type_=Integer)),
            (literal_column("'recordings'"), bindparam("recordings", type_=Integer)),
        ]
    )
    taken = (
        select(func.count())
        .select_from(ingest_files)
        .where(
            _USER,
            ingest_files.c.lane == lanes.c.name,
            *_IN_TURN,
            guard.owned(ingest_files.c.user_id),
        )
        .correlate(lanes)
        .scalar_subquery()
    )
    # Whoever cancels holds rows and waits for the lock: those are passed over.
    following = (
        select(ingest_files.c.id, ingest_files.c.job_lock, *_PLACE)
        .where(
            _USER,
            ingest_files.c.lane == lanes.c.name,
            *_IN_LINE,
            guard.owned(ingest_files.c.user_id),
        )
        .order_by(*_PLACE)
        .limit(func.greatest(lanes.c.most - taken, literal_column("0")))
        .with_for_update(skip_locked=True)
        .correlate(lanes)
        .lateral("following")
    )
    job: Any = literal_column(
        f"ROW(lanes.name, '{TASK}', 0, following.job_lock, NULL, "
        "jsonb_build_object('file_id', following.id), NULL)::procrastinate_job_to_defer_v1 "
        + _ORDER
    )
    given = (
        select(
            func.array_agg(literal_column(f"following.id {_ORDER}")).label("files"),
            func.procrastinate_defer_jobs_v1(func.array_agg(job)).label("jobs"),
        )
        .select_from(lanes.join(following, true()))
        .having(func.count() > literal_column("0"))
        .cte("given")
        .prefix_with("MATERIALIZED")
    )
    pairs = select(
        func.unnest(given.c.files).label("file"), func.unnest(given.c.jobs).label("job")
    ).subquery("pairs")
    return (
        update(ingest_files)
        .values(job_id=pairs.c.job)
        .where(ingest_files.c.id == pairs.c.file, guard.owned(ingest_files.c.user_id))
        .returning(ingest_files.c.id)
    )


_GIVE = ScopedStatement(_build_give)
_COUNT_OTHERS = ScopedStatement(
    lambda guard: select(func.count().label("files")).where(
        _USER,
        ingest_files.c.lane == bindparam("lane", type_=Text),
        ingest_files.c.id != bindparam("file"),
        *_IN_TURN,
        guard.owned(ingest_files.c.user_id),
    )
)
_RESUME = ScopedStatement(
    lambda guard: (
        update(ingest_files)
        .where(ingest_files.c.id == bindparam("file"), guard.owned(ingest_files.c.user_id))
        .values(paused_until=null())
    )
)
_STEP_BACK = ScopedStatement(
    lambda guard: (
        update(ingest_files)
        .where(ingest_files.c.id == bindparam("file"), guard.owned(ingest_files.c.user_id))
        .values(
            status=literal_column("'waiting'"),
            job_id=null(),
            paused_until=null(),
            changed=THIS_TRANSACTION,
        )
    )
)
_IN_NEED = ScopedStatement(
    lambda guard: (
        select(ingest_files.c.user_id)
        .where(*_IN_LINE, guard.owned(ingest_files.c.user_id))
        .distinct()
        .order_by(ingest_files.c.user_id)
    )
)


class IngestTurnRepository(Repository):
    """Counts what is worked on, by all processes together."""

    def __init__(
        self,
        transaction: Transaction,
        scope: AccessScope,
        key_ring: KeyRing,
        *,
        files_per_user: int,
    ) -> None:
        super().__init__(transaction, scope, key_ring)
        self._most = {"files": files_per_user, "recordings": RECORDINGS_PER_USER}

    async def give(self, user_id: int) -> None:
        """Give jobs to the files of a user whose turn it is now.

        Until the unit of work ends, nobody else does that for the same user: it comes last.
        """
        await self._all(_LOCK, {"user": user_id})
        if await self._all(_GIVE.under(self._scope), {"user": user_id, **self._most}):
            await self._notify(Channel.JOB_WAITING, "")

    async def give_all(self) -> None:
        """Do the same for everybody: whoever ends a file passes over rows that others hold.

        In the order of their ids: two who do that at once wait for each other and no more.
        """
        for row in await self._all(_IN_NEED.under(self._scope), {}):
            await self.give(row["user_id"])

    async def resume(self, file: Mapping[str, Any] | Row) -> bool:
        """Go on with a file that was just taken after its pause.

        False if others have its place: it waits in line once more.
        """
        values = {"file": plain_uuid(file["id"])}
        await self._all(_LOCK, {"user": file["user_id"]})
        [others] = await self._all(
            _COUNT_OTHERS.under(self._scope),
            {**values, "user": file["user_id"], "lane": file["lane"]},
        )
        has_place: bool = others["files"] < self._most[file["lane"]]
        statement = _RESUME if has_place else _STEP_BACK
        await self._change(statement.under(self._scope), values)
        return has_place


class TurnGivingRepository(Repository):
    """A repository whose changes make room for others' turns."""

    def __init__(
        self,
        transaction: Transaction,
        scope: AccessScope,
        key_ring: KeyRing,
        turns: IngestTurnRepository,
    ) -> None:
        super().__init__(transaction, scope, key_ring)
        self._turns = turns
