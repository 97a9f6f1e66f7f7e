"""One statement without a transaction around it: one round trip."""

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg

from persistence.statements import Statement
from persistence.transaction import Row, errors_made_ours


class Autocommit:
    """Runs statements that stand alone; row-level security shows them no row.

    What they may see or do, the functions that they call decide.
    """

    def __init__(self, pool: "asyncpg.Pool[Row]", *, pool_timeout_seconds: float) -> None:
        self._pool = pool
        self._pool_timeout_seconds = pool_timeout_seconds

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Row]:
        """Run a statement and return its rows.

        Raises:
            DatabaseUnavailable: The database cannot be reached or broke off.
        """
        with errors_made_ours():
            # The pool's own time limit would start a task for each request.
            async with asyncio.timeout(self._pool_timeout_seconds):
                connection = await self._pool.acquire()
            try:
                return await connection.fetch(statement.sql, *statement.arguments(values))
            finally:
                await self._pool.release(connection)
