"""What outlives its request ends when its user is locked out, or its login or key ends, anywhere.

The lock-out itself needs nothing of this: the next request is refused by the database. This is for
what asks no more, such as runs and sockets.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self
from uuid import UUID
from weakref import WeakSet

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.notifications import Channel, Notifications
from server.observability import describe

RETRY_SECONDS = 1.0
"""Pause before the database is asked again, when it could not be."""

log = structlog.get_logger(__name__)


class Watch:
    """Hears of a lock-out from when it is taken until it is closed.

    Taken before the database is asked whether the user may come in, it leaves no moment in between.
    """

    def __init__(
        self,
        user_id: int | None,
        login_id: UUID | None,
        api_key_id: int | None,
        forget: Callable[["Watch"], None],
    ) -> None:
        self.user_id = user_id
        self.login_id = login_id
        self.api_key_id = api_key_id
        self.ended = False
        """Whether the user was locked out, or the login or the key has ended."""
        self._forget = forget
        self._act: Callable[[], object] | None = None

    def on_end(self, act: Callable[[], object]) -> None:
        """Says what to do in that event; it is done at once if that was already."""
        self._act = act
        if self.ended:
            act()

    def end(self) -> None:
        """Does what was said, the first time."""
        if not self.ended:
            self.ended = True
            if self._act is not None:
                self._act()

    def close(self) -> None:
        """Hears nothing any more."""
        self._forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Revocation:
    """Tells the watches of this process what any replica has committed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # A stream that is never begun never closes its watch: nobody else holds that then.
        self._watches: WeakSet[Watch] = WeakSet()
        self._in_doubt = asyncio.Event()

    def watch(
        self, user_id: int | None, *, login_id: UUID | None = None, api_key_id: int | None = None
    ) -> Watch:
        """Begins to watch a user, a login and a key, as far as they are given; close it then."""
        watch = Watch(user_id, login_id, api_key_id, self._watches.discard)
        self._watches.add(watch)
        return watch

    def end_user(self, payload: str) -> None:
        """Ends all watches of the user with this id."""
        self._end(lambda watch: str(watch.user_id) == payload)

    def end_login(self, payload: str) -> None:
        """Ends all watches of the login with this id."""
        self._end(lambda watch: str(watch.login_id) == payload)

    def end_key(self, payload: str) -> None:
        """Ends all watches of the key with this id."""
        self._end(lambda watch: str(watch.api_key_id) == payload)

    def doubt(self) -> None:
        """Has the database asked, because a notification may have been missed."""
        self._in_doubt.set()

    async def confirm(self, watch: Watch) -> None:
        """Ends a watch at once whose user was locked out, or login or key ended, before.

        Raises:
            DatabaseUnavailable: The database could not be asked.
        """
        await self._ask([watch])

    async def settle_doubts(self) -> None:
        """Asks the database whenever there is doubt; goes on until it is cancelled."""
        while True:
            await self._in_doubt.wait()
            self._in_doubt.clear()
            try:
                await self._ask(list(self._watches))
            except PersistenceError as exc:
                log.warning("revocation_in_doubt", **describe(exc))
                await asyncio.sleep(RETRY_SECONDS)
                self._in_doubt.set()

    async def _ask(self, watches: Collection[Watch]) -> None:
        users = {watch.user_id for watch in watches if watch.user_id is not None}
        logins = {watch.login_id for watch in watches if watch.login_id is not None}
        keys = {watch.api_key_id for watch in watches if watch.api_key_id is not None}
        async with self._database.unit_of_work(AccessScope.system("revocation")) as uow:
            locked_out = await uow.users.locked_out(users)
            ended = await uow.logins.ended(logins)
            ended_keys = await uow.api_keys.ended(keys)
        self._end(
            lambda watch: (
                watch.user_id in locked_out
                or watch.login_id in ended
                or watch.api_key_id in ended_keys
            )
        )

    def _end(self, concerns: Callable[[Watch], bool]) -> None:
        for watch in [each for each in self._watches if concerns(each)]:
            watch.end()


@asynccontextmanager
async def open_revocation(
    database: Database, notifications: Notifications
) -> AsyncIterator[Revocation]:
    """Listens for lock-outs until the end."""
    revocation = Revocation(database)
    notifications.subscribe(Channel.USER_LOCKED_OUT, revocation.end_user)
    notifications.subscribe(Channel.LOGIN_ENDED, revocation.end_login)
    notifications.subscribe(Channel.KEY_REVOKED, revocation.end_key)
    notifications.on_gap(revocation.doubt)
    settling = asyncio.create_task(revocation.settle_doubts(), name="revocation")
    try:
        yield revocation
    finally:
        settling.cancel()
        await asyncio.gather(settling, return_exceptions=True)
