"""The agent's memory between steps and turns: a checkpointer on the product's database."""

import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from langgraph.checkpoint.postgres.base import MIGRATIONS
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from persistence.checkpoint_rows import CheckpointRows
from persistence.checkpoint_saver import AllowedTypes, EncryptedPostgresSaver
from persistence.checkpoint_saves import HELD_RUNS
from persistence.encryption import KeyRing
from persistence.pool import AGENT_ROLE, open_pool
from persistence.schema import LOCK_TIMEOUT_SECONDS, MIGRATION_LOCK
from persistence.transaction import Row, errors_made_ours

APPLICATION_NAME = "youworker-checkpoints"
POOL_SIZE = 20
SPARE_POOL_SIZE = 10
POOL_TIMEOUT_SECONDS = 10
CONNECT_TIMEOUT_SECONDS = 10
STATEMENT_TIMEOUT_SECONDS = 30

# A role belongs to the whole server: another installation may have made it.
_ADMIT_AGENT = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{AGENT_ROLE}') THEN
        BEGIN
            CREATE ROLE {AGENT_ROLE} NOLOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
    IF NOT pg_has_role(current_user, '{AGENT_ROLE}', CASE
        WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END
    ) THEN
        GRANT {AGENT_ROLE} TO CURRENT_USER;
    END IF;
    GRANT USAGE ON SCHEMA public TO {AGENT_ROLE};
    GRANT SELECT, INSERT, UPDATE, DELETE ON checkpoints, checkpoint_blobs, checkpoint_writes
        TO {AGENT_ROLE};
    IF to_regprocedure('{HELD_RUNS}') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION {HELD_RUNS} TO {AGENT_ROLE};
    END IF;
END $$
"""
# Of a database without the product's own tables, as a graph alone has it, there is no function.
_AGENT_IS_ADMITTED = f"""
SELECT coalesce((
    SELECT has_table_privilege(oid, 'checkpoint_writes', 'DELETE') AND coalesce(
        has_function_privilege(oid, to_regprocedure('{HELD_RUNS}')::oid, 'EXECUTE'), true
    )
    FROM pg_roles WHERE rolname = $1
), false)
"""  # noqa: S608 - our own words


@asynccontextmanager
async def open_checkpointer(
    dsn: str, key_ring: KeyRing, *, allowed_types: AllowedTypes = ()
) -> AsyncIterator[EncryptedPostgresSaver]:
    """Open a checkpointer on a pool of its own, and make its tables the first time.

    Args:
        dsn: The database, as libpq reads it.
        key_ring: What protects the values.
        allowed_types: Classes whose objects may be built from a checkpoint, beyond messages and the
            like; objects of others come back as plain data.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    await make_tables(dsn)
    async with (
        open_pool(
            dsn,
            max_size=POOL_SIZE,
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            application_name=APPLICATION_NAME,
            role=AGENT_ROLE,
        ) as pool,
        _spare_pool(dsn) as spare_pool,
    ):
        rows = CheckpointRows(pool)
        saver = EncryptedPostgresSaver(rows, spare_pool, key_ring, allowed_types=allowed_types)
        try:
            yield saver
        finally:
            await rows.close()
            await saver.settle()


def _spare_pool(dsn: str) -> AsyncConnectionPool[AsyncConnection[DictRow]]:
    """Return the pool of what LangGraph's own code does, which opens connections on demand."""
    return AsyncConnectionPool(
        dsn,
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": APPLICATION_NAME,
            "options": f"-c role={AGENT_ROLE}",
        },
        min_size=0,
        max_size=SPARE_POOL_SIZE,
        timeout=POOL_TIMEOUT_SECONDS,
        check=_check_if_spoken_to,
        open=False,
    )


async def make_tables(dsn: str) -> None:
    """Do what LangGraph's `setup` does, but safe among other replicas that do the same."""
    with errors_made_ours():
        connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_SECONDS)
        try:
            if await _is_ready(connection):
                return
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
                await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
                await connection.execute(MIGRATIONS[0])
                made = await connection.fetchval("SELECT max(v) FROM checkpoint_migrations")
                for version in range(0 if made is None else made + 1, len(MIGRATIONS)):
                    await connection.execute(MIGRATIONS[version].replace(" CONCURRENTLY", ""))
                    await connection.execute(
                        "INSERT INTO checkpoint_migrations (v) VALUES ($1)", version
                    )
                await connection.execute(_ADMIT_AGENT)
        finally:
            await connection.close()


async def _is_ready(connection: "asyncpg.Connection[Row]") -> bool:
    """Tell whether the last migration was made and the agent's role let in."""
    if await connection.fetchval("SELECT to_regclass('checkpoint_migrations')") is None:
        return False
    if await connection.fetchval("SELECT max(v) FROM checkpoint_migrations") != len(MIGRATIONS) - 1:
        return False
    return bool(await connection.fetchval(_AGENT_IS_ADMITTED, AGENT_ROLE))


async def _check_if_spoken_to(connection: AsyncConnection[DictRow]) -> None:
    """Ask a pooled connection for life only when something has arrived on it unasked.

    That is how a server says goodbye; to ask every time would cost a round trip every time.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        await AsyncConnectionPool.check_connection(connection)
