"""The turn of whoever works through the whole vector index: one at a time, of all processes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from persistence.pool import CONNECT_TIMEOUT_SECONDS
from persistence.transaction import errors_made_ours
from persistence.vectors.errors import IndexInUse

TURN_LOCK = 0x796F_7577_7475_726E
"""The advisory lock of whose turn it is."""


@asynccontextmanager
async def take_turn(dsn: str) -> AsyncIterator[None]:
    """Be the only one; a process that ends, however it ends, lets others.

    Raises:
        IndexInUse: Somebody else is at it.
        DatabaseUnavailable: The database cannot be reached.
    """
    with errors_made_ours():
        connection = await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=CONNECT_TIMEOUT_SECONDS,
            server_settings={"application_name": "youworker-index"},
        )
        try:
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", TURN_LOCK):
                raise IndexInUse(
                    "the vector index is just being made anew, or encrypted anew, by another"
                    " command: wait until that has ended"
                )
            yield
        finally:
            await connection.close()
