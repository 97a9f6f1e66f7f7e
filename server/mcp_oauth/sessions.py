"""Ends people's sessions with MCP servers when what they rest on has ended, on any replica."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.notifications import Channel, Notifications
from server.observability import describe
from tools.catalog import ToolCatalog

log = structlog.get_logger(__name__)


class SessionEnds:
    """Hears of authorizations, lock-outs and memberships.

    What is missed while the database is not heard does no harm: each request asks for its token,
    and each call whether its caller may make it. Such a session ends when nobody uses it.
    """

    def __init__(self, database: Database, catalog: ToolCatalog) -> None:
        self._database = database
        self._catalog = catalog
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, notifications: Notifications) -> None:
        """Begins to hear."""
        notifications.subscribe(Channel.MCP_AUTHORIZATION_CHANGED, self._authorization_changed)
        notifications.subscribe(Channel.USER_LOCKED_OUT, self._locked_out)
        notifications.subscribe(Channel.MEMBERSHIP_CHANGED, self._membership_changed)

    async def close(self) -> None:
        """Leaves what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _authorization_changed(self, payload: str) -> None:
        user_id, _, server_id = payload.partition(":")
        names = [each.name for each in self._catalog.registered() if str(each.id) == server_id]
        self._catalog.end_sessions(int(user_id), at=names)
        for name in names:
            status = self._catalog.status_of(name)
            if status is not None and not status.tools:  # nobody has been told of them yet
                self._begin(self._catalog.refresh(name))

    def _locked_out(self, payload: str) -> None:
        self._catalog.end_sessions(int(payload))

    def _membership_changed(self, payload: str) -> None:
        self._begin(self._end_what_groups_opened(int(payload)))

    async def _end_what_groups_opened(self, user_id: int) -> None:
        groups: frozenset[int] = frozenset()
        try:
            async with self._database.unit_of_work(AccessScope(user_id=user_id)) as uow:
                groups = await uow.groups.ids()
        except PersistenceError as exc:  # then those of all groups end; they can be opened again
            log.warning("memberships_unknown", **describe(exc))
        names = [
            each.name
            for each in self._catalog.registered()
            if each.groups is not None and not each.groups & groups
        ]
        self._catalog.end_sessions(user_id, at=names)

    def _begin(self, step: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(step, name="mcp sessions of people")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def keep_ending(
    database: Database, catalog: ToolCatalog, notifications: Notifications
) -> AsyncIterator[None]:
    """Ends sessions in time, until the end."""
    ends = SessionEnds(database, catalog)
    ends.follow(notifications)
    try:
        yield
    finally:
        await ends.close()
