"""One database transaction, opened by its first statement, and its errors made ours."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import asyncpg

from persistence.errors import (
    Conflict,
    DatabaseError,
    DatabaseUnavailable,
    InvalidValue,
    PersistenceError,
    StatementTimeout,
)
from persistence.statements import Statement

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

Row = asyncpg.Record

FOREIGN_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a server that goes away in the middle of connecting
    OSError,  # no server, and every wait that took too long
)
"""What the driver raises."""

# The first two characters of an SQLSTATE name its class; whole states are more specific.
_ERROR_BY_SQLSTATE: dict[str, type[PersistenceError]] = {
    "08": DatabaseUnavailable,
    "22": InvalidValue,
    "23": Conflict,
    "28": DatabaseUnavailable,
    "40": Conflict,
    "53": DatabaseUnavailable,
    "55P03": DatabaseUnavailable,
    "57": DatabaseUnavailable,
    "57014": StatementTimeout,
    "58": DatabaseUnavailable,
}


class Transaction:
    """Takes a connection from the pool at its first statement and gives it back at `close`."""

    def __init__(
        self, pool: "asyncpg.Pool[Row]", *, pool_timeout_seconds: float, settings: str = ""
    ) -> None:
        """Prepare a transaction.

        Args:
            pool: Where the connection comes from.
            pool_timeout_seconds: How long to wait for it.
            settings: What is set for the length of the transaction; without a principal in it,
                row-level security shows no row.
        """
        self._pool = pool
        self._opening = f"BEGIN;{settings}"
        self._pool_timeout_seconds = pool_timeout_seconds
        self._connection: PoolConnectionProxy[Row] | None = None

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Row]:
        """Run a statement that returns rows.

        Raises:
            DatabaseUnavailable: The database cannot be reached or broke off.
            Conflict: A row collides with another one, or two transactions collided.
        """
        with errors_made_ours():
            connection = self._connection or await self._begin()
            return await connection.fetch(statement.sql, *statement.arguments(values))

    async def change(self, statement: Statement, values: Mapping[str, Any]) -> int:
        """Run a statement that changes rows; return how many.

        Raises:
            DatabaseUnavailable: The database cannot be reached or broke off.
            Conflict: A row collides with another one, or two transactions collided.
        """
        with errors_made_ours():
            connection = self._connection or await self._begin()
            tag = await connection.execute(statement.sql, *statement.arguments(values))
        return int(tag.rpartition(" ")[2])

    @asynccontextmanager
    async def part(self) -> AsyncIterator[None]:
        """Undo what is done within if it fails, and nothing of what was done before.

        Raises:
            DatabaseUnavailable: The database cannot be reached or broke off.
        """
        with errors_made_ours():
            connection = self._connection or await self._begin()
            await connection.execute("SAVEPOINT part")
        try:
            yield
        except Exception:
            with errors_made_ours():
                await connection.execute("ROLLBACK TO SAVEPOINT part")
            raise

    async def commit(self) -> None:
        """Make what was done last; without a statement there is nothing to do.

        Raises:
            DatabaseUnavailable: The database broke off; whether it committed is not known.
            Conflict: A constraint that is checked at the end does not hold.
            DatabaseError: A statement had failed before; nothing was committed.
        """
        if self._connection is None:
            return
        with errors_made_ours():
            tag = await self._connection.execute("COMMIT")
        await self._release()
        if tag != "COMMIT":  # the server's answer to COMMIT of a broken transaction: no error
            raise DatabaseError("the transaction had failed before it was committed")

    async def close(self) -> None:
        """Undo what was not committed and give the connection back, whatever state it is in."""
        if self._connection is None:
            return
        try:
            if not self._connection.is_closed():
                await self._connection.execute("ROLLBACK")
        except FOREIGN_ERRORS:
            _terminate(self._connection)  # nothing was committed, and nothing may linger
        except asyncio.CancelledError:
            _terminate(self._connection)
            raise
        finally:
            await self._release()

    async def _begin(self) -> "PoolConnectionProxy[Row]":
        async with asyncio.timeout(self._pool_timeout_seconds):
            self._connection = connection = await self._pool.acquire()
        await connection.execute(self._opening)
        return connection

    async def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._pool.release(connection)


def _terminate(connection: "PoolConnectionProxy[Row]") -> None:
    with suppress(asyncpg.InterfaceError):  # the pool may have noticed first that it is dead
        connection.terminate()


@contextmanager
def errors_made_ours() -> Iterator[None]:
    """Raise this folder's errors instead of the driver's.

    The driver's message stays out of ours: it may quote values.
    """
    try:
        yield
    except FOREIGN_ERRORS as exc:
        raise _translate(exc) from exc


def _translate(error: Exception) -> PersistenceError:
    if isinstance(error, asyncpg.DataError):
        return InvalidValue("a value does not fit its column")
    if not isinstance(error, asyncpg.PostgresError):
        return DatabaseUnavailable(f"the database does not answer ({type(error).__name__})")
    sqlstate = getattr(error, "sqlstate", None) or "none"
    kind = _ERROR_BY_SQLSTATE.get(sqlstate) or _ERROR_BY_SQLSTATE.get(sqlstate[:2], DatabaseError)
    return kind(f"the database refused the statement (SQLSTATE {sqlstate})")
