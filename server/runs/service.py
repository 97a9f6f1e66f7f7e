"""Runs, as their owner sees them from outside."""

from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

from persistence.database import Database
from persistence.errors import NotFound
from persistence.event_batches import StoredEvent
from persistence.run_records import Run
from server.audit.entry import audit_entry
from server.errors import EventsExpired, RunNotFound
from server.known_runs import require_run
from server.runs.canceller import RunCanceller
from server.runs.feed import RunFeed
from server.runs.wire import frames
from server.security.principal import Origin, Principal
from server.security.revocation import Revocation
from server.security.streams import end_with


class RunService:
    """Reads runs and follows their events, for one principal at a time."""

    def __init__(
        self,
        *,
        database: Database,
        canceller: RunCanceller,
        feed: RunFeed,
        revocation: Revocation,
    ) -> None:
        self._database = database
        self._canceller = canceller
        self._feed = feed
        self._revocation = revocation

    async def read(self, principal: Principal, run_id: UUID) -> Run:
        """The state of a run.

        Raises:
            RunNotFound: It does not exist for this principal.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            return await require_run(uow, run_id)

    async def events(
        self, principal: Principal, run_id: UUID, *, after: int, heartbeat_seconds: float
    ) -> AsyncGenerator[bytes, None]:
        """What `follow` gives, as server-sent events.

        They break off when the principal may not come in any more.

        Raises:
            RunNotFound: It does not exist for this principal.
            EventsExpired: They are kept no more.
            NotAuthenticated: The principal may not come in any more.
            PersistenceError: They cannot be read.
        """
        watch = self._revocation.watch(
            principal.user.id, login_id=principal.login_id, api_key_id=principal.api_key_id
        )
        await self._revocation.confirm(watch)
        feed = await self.follow(
            principal, run_id, after=after, heartbeat_seconds=heartbeat_seconds
        )
        return end_with(watch, frames(feed))

    async def follow(
        self,
        principal: Principal,
        run_id: UUID,
        *,
        after: int,
        heartbeat_seconds: float | None = None,
    ) -> AsyncGenerator[Sequence[StoredEvent], None]:
        """The events of a run that follow number `after`, live to the end.

        Raises:
            RunNotFound: It does not exist for this principal.
            EventsExpired: They are kept no more.
            PersistenceError: They cannot be read.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:  # now, while an error can still be answered
                look = await uow.run_events.look(run_id, after=after, limit=1)
            except NotFound as exc:
                raise RunNotFound from exc
        if look.expired:
            raise EventsExpired
        return self._feed.follow(
            principal.scope, run_id, after=after, heartbeat_seconds=heartbeat_seconds
        )

    async def cancel(self, principal: Principal, origin: Origin, run_id: UUID) -> Run:
        """Stops a run and waits until it is written down; an ended run is left as it is.

        Raises:
            RunNotFound: It does not exist for this principal.
            PersistenceError: The database did not do it.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            await require_run(uow, run_id)
            await uow.audit.record(
                audit_entry("run.cancel", principal, origin, resource=("run", str(run_id)))
            )
            await uow.commit()
        await self._canceller.cancel(principal.scope, run_id)
        return await self.read(principal, run_id)
