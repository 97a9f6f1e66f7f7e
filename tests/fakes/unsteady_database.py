"""A database whose statements fail when a test says so, before or after they were executed."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from persistence.autocommit import Autocommit
from persistence.errors import DatabaseUnavailable, PersistenceError
from persistence.statements import Statement
from persistence.transaction import Row


class UnsteadyDatabase(Autocommit):
    """Executes single statements in the database that it was made of."""

    def __init__(self, steady: Autocommit) -> None:
        self._steady = steady
        self.away = asyncio.Event()
        """While it is set, nothing reaches the database."""
        self.answers_to_lose = 0
        """So many statements are executed and then fail."""
        self.refuses: UUID | None = None
        """A run of which it takes nothing."""
        self.refusal: Exception = PersistenceError("refused")
        """What it says to that."""
        self.leaves = False
        """Whether it goes away when it has refused something."""
        self.told: set[UUID] = set()
        """The runs of which it has told that there is news."""
        self.runs_asked: list[int] = []
        """Of how many runs each statement was."""
        self.statements = 0
        """How many were asked for."""
        self.gate = asyncio.Event()
        """Statements wait until it is set."""
        self.gate.set()

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Row]:
        """Execute one, or not."""
        self.statements += 1
        self.runs_asked.append(len(values["runs"]))
        await self.gate.wait()
        if self.away.is_set():
            raise DatabaseUnavailable("away")
        if self.refuses in values["runs"]:
            if self.leaves:
                self.away.set()
            raise self.refusal
        rows = await self._steady.fetch(statement, values)
        self.told |= set(values["watched"])
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            raise DatabaseUnavailable("the answer was lost")
        return rows
