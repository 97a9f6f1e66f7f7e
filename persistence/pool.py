"""Pools of connections to PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from persistence.transaction import Row, errors_made_ours

CONNECT_TIMEOUT_SECONDS = 10
COMMAND_MARGIN_SECONDS = 5
"""How much longer than the server the client waits for a statement, should the server be gone."""
CLOSE_TIMEOUT_SECONDS = 5
IDLE_TRANSACTION_SECONDS = 60
"""After so long without a statement the server ends a transaction, which may hold locks."""
IDLE_CONNECTION_SECONDS = 300
"""After so long an unused connection is closed, down to one."""

APP_ROLE = "youworker_app"
"""What units of work act as: it owns nothing, and row-level security applies to it."""
AGENT_ROLE = "youworker_agent"
"""What checkpoints are read and written as: it reaches their tables and no others."""


@asynccontextmanager
async def open_pool(
    dsn: str,
    *,
    max_size: int,
    statement_timeout_seconds: float,
    application_name: str,
    role: str,
    min_size: int = 1,
) -> AsyncIterator["asyncpg.Pool[Row]"]:
    """Open a pool that replaces connections which the server closed.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    milliseconds = str(int(statement_timeout_seconds * 1000))
    with errors_made_ours():
        pool: asyncpg.Pool[Row] = await asyncpg.create_pool(
            dsn,
            min_size=min_size,
            max_size=max_size,
            max_inactive_connection_lifetime=IDLE_CONNECTION_SECONDS,
            max_cached_statement_lifetime=0,  # the statements are few and never change
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=statement_timeout_seconds + COMMAND_MARGIN_SECONDS,
            reset=_leave_as_it_is,
            server_settings={
                "application_name": application_name,
                "role": role,
                "statement_timeout": milliseconds,
                "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_SECONDS}s",
                "jit": "off",
            },
        )
    try:
        yield pool
    finally:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await pool.close()
        except TimeoutError:
            pool.terminate()


async def _leave_as_it_is(_connection: Any) -> None:
    """Spare the return to the pool its round trip: nothing here leaves traces to remove."""
