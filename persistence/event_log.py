"""The log of events, as the process writes it that executes the runs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Text, bindparam, func, select, text

from persistence.autocommit import Autocommit
from persistence.encryption import KeyRing
from persistence.event_batches import EventBatch, seal_batch
from persistence.identifiers import plain_uuid
from persistence.notifications import Channel
from persistence.statements import Statement

_APPEND = Statement(
    text(
        "SELECT * FROM youworker_append_events"
        "(:owner, :runs, :attempts, :first_ids, :counts, :bodies, :watched)"
    )
)
_WATCH = Statement(select(func.pg_notify(Channel.RUN_WATCHED.value, bindparam("run", type_=Text))))


@dataclass(frozen=True, kw_only=True)
class Appended:
    """What became of batches, by their runs; the runs that are in neither are others' now."""

    stored: frozenset[UUID]
    locked: frozenset[UUID]
    """Of these nothing was stored, for a moment: somebody is about to change them."""


class EventLog:
    """Stores the events of all runs of a process in one statement, without a transaction."""

    def __init__(self, reserve: Autocommit, key_ring: KeyRing, *, requests: Autocommit) -> None:
        """Prepare to write.

        Args:
            reserve: Its connections store events.
            key_ring: Seals them.
            requests: What readers ask goes over its connections, and never before an event.
        """
        self._reserve = reserve
        self._requests = requests
        self._key_ring = key_ring

    async def append(
        self, owner: str, batches: Sequence[EventBatch], *, watched: Collection[UUID] = ()
    ) -> Appended:
        """Store batches of runs that `owner` still holds, at the attempt that it says.

        A batch that is there already is left as it is, so the same ones can be sent again when the
        answer was lost.

        Args:
            owner: Whose lease the runs must be under.
            batches: One for each run at most.
            watched: Runs of which somebody elsewhere is told that there is news.

        Raises:
            DatabaseUnavailable: The database cannot be reached or broke off.
            Conflict: Another transaction stood in the way; sent again it will pass.
        """
        values = {
            "owner": owner,
            "runs": [batch.run_id for batch in batches],
            "attempts": [batch.attempt for batch in batches],
            "first_ids": [batch.first_id for batch in batches],
            "counts": [len(batch.events) for batch in batches],
            "bodies": [seal_batch(self._key_ring, batch) for batch in batches],
            "watched": list(watched),
        }
        rows = await self._reserve.fetch(_APPEND, values)
        return Appended(
            stored=frozenset(plain_uuid(run_id) for run_id, stored in rows if stored),
            locked=frozenset(plain_uuid(run_id) for run_id, stored in rows if not stored),
        )

    async def watch(self, run_id: UUID) -> None:
        """Ask the process that executes a run to tell of its events from now on.

        Raises:
            DatabaseUnavailable: The database cannot be reached or broke off.
        """
        await self._requests.fetch(_WATCH, {"run": str(run_id)})
