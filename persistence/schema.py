"""Brings a database's tables to this program's revision, whoever else is about to."""

import asyncio
import importlib.util
from pathlib import Path

import asyncpg
import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from persistence.errors import SchemaError, SchemaTooNew
from persistence.transaction import errors_made_ours

REVISION = "0006"
"""The newest migration; said here so that a start with nothing to migrate need not load them."""

CONNECT_TIMEOUT_SECONDS = 10
LOCK_TIMEOUT_SECONDS = 60
"""How long a replica waits for another one that migrates."""

MIGRATION_LOCK = 0x796F_7577_6F72_6B65
"""The advisory lock under which tables are made, whoever makes them."""


async def migrate(dsn: str) -> None:
    """Upgrade the tables if they are not at `REVISION`; any number of replicas may do so at once.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
        SchemaTooNew: The database was migrated by a newer program.
        SchemaError: A migration failed; nothing of it is left.
    """
    if await current_revision(dsn) != REVISION:
        await asyncio.to_thread(_upgrade, dsn)


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


def _upgrade(dsn: str) -> None:
    # Loaded only when there is something to migrate: it costs every start otherwise.
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(_scripts()))
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_SECONDS),
        poolclass=NullPool,
    )
    try:
        with engine.begin() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, REVISION)
    except CommandError as exc:
        raise SchemaTooNew(
            "the database was migrated by a newer program; run that, or restore a backup"
        ) from exc
    except (SQLAlchemyError, psycopg.Error) as exc:
        raise SchemaError(f"the migration failed ({type(exc).__name__})") from exc
    finally:
        engine.dispose()


def _scripts() -> Path:
    """Find the migrations without importing them: they import this folder."""
    package = importlib.util.find_spec("migrations")
    if package is None or package.origin is None:
        raise SchemaError("the package 'migrations' is not installed")
    return Path(package.origin).parent
