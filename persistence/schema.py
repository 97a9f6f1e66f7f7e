"""Brings a database's tables to this program's revision, whoever else is about to."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE

import asyncpg

from persistence.errors import SchemaError, SchemaTooNew
from persistence.transaction import errors_made_ours

REVISION = "0012"
"""The newest migration; said here so that a start with nothing to migrate need not load them."""

CONNECT_TIMEOUT_SECONDS = 10
LOCK_TIMEOUT_SECONDS = 60
"""How long a replica waits for another one that migrates."""
MIGRATION_TIMEOUT_SECONDS = 3600.0
"""After so long a migration is given up; nothing of it is left then."""
STOP_SECONDS = 10.0
"""How long a migration that nobody waits for any more may take to undo itself."""

MIGRATION_LOCK = 0x796F_7577_6F72_6B65
"""The advisory lock under which tables are made, whoever makes them."""
TOO_NEW = 3
"""What the migrating process exits with when it does not know the database's revision."""


async def migrate(dsn: str) -> None:
    """Upgrade the tables if they are not at `REVISION`; any number of replicas may do so at once.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
        SchemaTooNew: The database was migrated by a newer program.
        SchemaError: A migration failed or took too long; nothing of it is left.
    """
    if await current_revision(dsn) != REVISION:
        try:
            async with asyncio.timeout(MIGRATION_TIMEOUT_SECONDS):
                await _upgrade(dsn)
        except TimeoutError as exc:
            raise SchemaError("the migration took too long") from exc


async def current_revision(dsn: str) -> str | None:
    """Return the revision that the database is at; None before its first migration.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    with errors_made_ours():
        connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_SECONDS)
        try:
            revision = await connection.fetchval("SELECT version_num FROM alembic_version")
        except asyncpg.UndefinedTableError:
            return None
        finally:
            await connection.close()
    return None if revision is None else str(revision)


async def _upgrade(dsn: str) -> None:
    """Migrate in a process of its own: a server would keep the tools in memory for all its life."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "persistence.migrating", stdin=PIPE, stdout=DEVNULL, stderr=PIPE
    )
    try:
        _, said = await process.communicate(dsn.encode())
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=STOP_SECONDS)
    if process.returncode == TOO_NEW:
        raise SchemaTooNew(
            "the database was migrated by a newer program; run that, or restore a backup"
        )
    if process.returncode:
        reason = said.decode("utf-8", errors="replace").strip().rpartition("\n")[2]
        raise SchemaError(f"the migration failed ({reason})")
