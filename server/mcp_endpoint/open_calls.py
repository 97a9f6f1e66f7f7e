"""The calls that are being answered, by name, so that they can be taken back on any replica."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson

from persistence.database import Database
from persistence.notifications import Channel, Notifications
from server.security.principal import Principal


def name_call(
    user_id: int, api_key_id: int | None, client_session: str, request_id: str | int
) -> str:
    """What a call goes by: ids of requests are only different within one client's session."""
    parts = (user_id, api_key_id, client_session, request_id)
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


class OpenCalls:
    """Remembers how to end what is being answered here."""

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._open: dict[str, Callable[[], None]] = {}
        notifications.subscribe(Channel.MCP_CALL_CANCELLED, self._hear)

    @contextmanager
    def one(self, name: str, cancel: Callable[[], None]) -> Iterator[None]:
        """Lets a call be cancelled as long as it is answered; `cancel` must not block nor raise."""
        self._open[name] = cancel
        try:
            yield
        finally:
            if self._open.get(name) is cancel:
                del self._open[name]

    async def cancel(self, principal: Principal, name: str) -> None:
        """Cancels a call of the principal's, wherever it is; one that has ended is left alone.

        Raises:
            PersistenceError: It is not here, and the other replicas could not be told.
        """
        if self._cancel_here(name):
            return
        async with self._database.unit_of_work(principal.scope) as uow:
            await uow.notify(Channel.MCP_CALL_CANCELLED, name)
            await uow.commit()

    def _hear(self, name: str) -> None:
        self._cancel_here(name)

    def _cancel_here(self, name: str) -> bool:
        cancel = self._open.get(name)
        if cancel is None:
            return False
        cancel()
        return True
