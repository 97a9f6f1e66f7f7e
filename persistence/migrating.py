"""The process that migrates a database: `python -m persistence.migrating`, its address on stdin.

The address holds a password, which others could read in a command line or an environment.
"""

import importlib.util
import sys
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from persistence.schema import (
    CONNECT_TIMEOUT_SECONDS,
    LOCK_TIMEOUT_SECONDS,
    MIGRATION_LOCK,
    REVISION,
    TOO_NEW,
)


def upgrade(dsn: str) -> None:
    """Run what migrations are missing, all in one transaction.

    Raises:
        CommandError: The database's revision is none of ours.
        SQLAlchemyError, psycopg.Error: A migration failed; nothing of it is left.
    """
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
    finally:
        engine.dispose()


def _scripts() -> Path:
    """Find the migrations without importing them: they import this folder."""
    package = importlib.util.find_spec("migrations")
    if package is None or package.origin is None:
        sys.exit("the package 'migrations' is not installed")
    return Path(package.origin).parent


def main() -> None:
    """Migrate; what went wrong is the exit code, and one line without values of rows."""
    try:
        upgrade(sys.stdin.read())
    except CommandError:
        sys.exit(TOO_NEW)
    except (SQLAlchemyError, psycopg.Error) as exc:
        sys.exit(type(exc).__name__)


if __name__ == "__main__":
    main()
