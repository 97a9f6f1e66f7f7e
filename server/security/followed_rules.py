"""Rules that every replica holds in memory, and reads again when any of them changes one."""

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from persistence.access import AccessScope
from persistence.database import Database
from persistence.notifications import Channel, Notifications
from persistence.unit_of_work import UnitOfWork

Book = TypeVar("Book")

_SYSTEM = AccessScope.system("rules about tool calls")


class FollowedRules(ABC, Generic[Book]):
    """All rules of one kind, read once and then only after a change."""

    _channel: ClassVar[Channel]
    """Where changes are made known."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._book: Book | None = None
        self._changes = 0
        self._loading = asyncio.Lock()

    def follow(self, notifications: Notifications) -> None:
        """Reads the rules again after any replica has changed one, or may have."""
        notifications.subscribe(self._channel, lambda _: self.forget())
        notifications.on_gap(self.forget)

    def forget(self) -> None:
        """Has the rules read again before the next call."""
        self._book = None
        self._changes += 1

    async def rules(self) -> Book:
        """All rules, as they are now.

        Raises:
            DatabaseUnavailable: They could not be read.
            DecryptionError: A stored rule was tampered with.
        """
        book = self._book
        if book is None:
            async with self._loading:
                book = self._book or await self._load()
        return book

    @abstractmethod
    async def _read(self, uow: UnitOfWork) -> Book:
        """All rules, as the database has them."""

    async def _load(self) -> Book:
        changes = self._changes
        async with self._database.unit_of_work(_SYSTEM) as uow:
            book = await self._read(uow)
        if changes == self._changes:  # else it may be of the past already
            self._book = book
        return book
