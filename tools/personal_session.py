"""A session that one person has with a server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tools.connection import ServerConnection
from tools.errors import CallTimeout


class PersonalSession:
    """A person's session, which carries the calls of one run at a time.

    A server's question does not say which call it belongs to; here it can only be that run's.
    """

    def __init__(self, connection: ServerConnection) -> None:
        """Nobody borrows it yet."""
        self.connection = connection
        self.borrowers = 0
        self.expiry: asyncio.TimerHandle | None = None
        self._run_id = ""
        self._calls = 0
        self._is_free = asyncio.Event()

    @asynccontextmanager
    async def carry(self, run_id: str, *, wait_seconds: float) -> AsyncIterator[None]:
        """Wait for the turn of a run, and keep it while it has calls under way."""
        try:
            async with asyncio.timeout(wait_seconds):
                while self._calls and self._run_id != run_id:
                    self._is_free.clear()
                    await self._is_free.wait()
        except TimeoutError as error:
            raise CallTimeout("another run of the same person is still using it") from error
        self._run_id = run_id
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._is_free.set()
