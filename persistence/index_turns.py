"""The turn of whoever works through the whole vector index: one at a time, of all processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from persistence.errors import DatabaseUnavailable
from persistence.notifications import PROBE_SECONDS, PROBE_TIMEOUT_SECONDS
from persistence.pool import CLOSE_TIMEOUT_SECONDS, CONNECT_TIMEOUT_SECONDS
from persistence.transaction import FOREIGN_ERRORS, Row, errors_made_ours
from persistence.vectors.errors import IndexInUse

TURN_LOCK = 0x796F_7577_7475_726E
"""The advisory lock of whose turn it is."""


@asynccontextmanager
async def take_turn(dsn: str) -> AsyncIterator[None]:
    """Be the only one; a process that ends, however it ends, lets others.

    What is done meanwhile is cancelled when the database lets the turn go, for then another one
    can take it.

    Raises:
        IndexInUse: Somebody else is at it.
        DatabaseUnavailable: The database cannot be reached, or the turn was lost.
    """
    connection = await _connect(dsn)
    try:
        with errors_made_ours():
            is_mine = await connection.fetchval("SELECT pg_try_advisory_lock($1)", TURN_LOCK)
        if not is_mine:
            raise IndexInUse(
                "the vector index is just being made anew, or encrypted anew, by another"
                " command: wait until that has ended"
            )
        async with _as_long_as_held(connection):
            yield
    finally:
        await _close(connection)


@asynccontextmanager
async def _as_long_as_held(connection: "asyncpg.Connection[Row]") -> AsyncIterator[None]:
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    try:
        async with asyncio.timeout(None) as turn:
            watching = asyncio.create_task(_end_when_lost(connection, lost, turn))
            try:
                yield
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
    except TimeoutError as exc:
        if not turn.expired():
            raise
        raise DatabaseUnavailable(
            "the database was gone for a while, so that another command could work on the vector"
            " index: start this one again, and it goes on"
        ) from exc


async def _end_when_lost(
    connection: "asyncpg.Connection[Row]", lost: asyncio.Event, turn: asyncio.Timeout
) -> None:
    while not lost.is_set():
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await lost.wait()
        except TimeoutError:
            # A network between may end what is silent for long, and tell nobody.
            try:
                await connection.execute("SELECT 1", timeout=PROBE_TIMEOUT_SECONDS)
            except FOREIGN_ERRORS:
                break
    turn.reschedule(asyncio.get_running_loop().time())


async def _connect(dsn: str) -> "asyncpg.Connection[Row]":
    with errors_made_ours():
        return await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=CONNECT_TIMEOUT_SECONDS,
            server_settings={"application_name": "youworker-index"},
        )


async def _close(connection: "asyncpg.Connection[Row]") -> None:
    try:
        await connection.close(timeout=CLOSE_TIMEOUT_SECONDS)
    except FOREIGN_ERRORS:
        with suppress(asyncpg.InterfaceError):
            connection.terminate()
