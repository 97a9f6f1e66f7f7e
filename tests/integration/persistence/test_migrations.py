import asyncio
from importlib.resources import files
from pathlib import Path

import asyncpg
import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, create_engine, inspect
from sqlalchemy.pool import NullPool

from persistence import schema
from persistence.checkpoints import open_checkpointer
from persistence.database import open_database
from persistence.encryption import KeyRing
from persistence.errors import SchemaError, SchemaTooNew
from persistence.models import metadata
from persistence.settings import DatabaseSettings

SCRIPTS = Path(__file__).parents[3] / "migrations"


def engine_for(dsn: str) -> Engine:
    return create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=NullPool
    )


def config_for(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    return config


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """The tables of the queue are Procrastinate's own: no model tells of them."""
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def test_the_newest_revision_is_the_one_that_the_program_asks_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.REVISION]


async def test_the_migrations_make_what_the_models_say(empty_database_url: str) -> None:
    await schema.migrate(empty_database_url)
    with engine_for(empty_database_url).connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": is_ours,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_the_migrations_go_up_and_down_and_up_again(empty_database_url: str) -> None:
    engine = engine_for(empty_database_url)
    for _ in range(2):
        with engine.begin() as connection:
            command.upgrade(config_for(connection), "head")
            assert {table.name for table in metadata.sorted_tables} < tables(connection)
        with engine.begin() as connection:
            command.downgrade(config_for(connection), "base")
            assert tables(connection) == {"alembic_version"}


async def test_any_number_of_replicas_may_start_at_once(
    empty_database_url: str, key_ring: KeyRing, tmp_path: Path
) -> None:
    settings = DatabaseSettings(url=SecretStr(empty_database_url))

    async def start() -> None:
        async with (
            open_database(settings, key_ring=key_ring, data_dir=tmp_path) as database,
            open_checkpointer(database.dsn, key_ring),
        ):
            await database.ping()

    await asyncio.gather(*(start() for _ in range(5)))
    assert await schema.current_revision(empty_database_url) == schema.REVISION


async def test_a_database_of_a_newer_program_is_refused_and_left_alone(
    empty_database_url: str,
) -> None:
    await schema.migrate(empty_database_url)
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await connection.close()
    with pytest.raises(SchemaTooNew):
        await schema.migrate(empty_database_url)
    assert await schema.current_revision(empty_database_url) == "9999"


async def test_a_start_with_nothing_to_migrate_changes_nothing(database_url: str) -> None:
    before = await schema.current_revision(database_url)
    await schema.migrate(database_url)
    assert await schema.current_revision(database_url) == before == schema.REVISION


def test_the_queue_of_the_migration_is_the_one_that_the_installed_library_works_on() -> None:
    installed = files("procrastinate") / "sql" / "schema.sql"
    assert (SCRIPTS / "procrastinate_3_10.sql").read_text("utf-8") == installed.read_text("utf-8")


async def test_a_migration_that_nobody_waits_for_any_more_leaves_nothing(
    empty_database_url: str,
) -> None:
    other = await asyncpg.connect(empty_database_url)
    await other.execute("SELECT pg_advisory_lock($1)", schema.MIGRATION_LOCK)
    migrating = asyncio.create_task(schema.migrate(empty_database_url))
    while not await other.fetchval(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE NOT granted AND datname = current_database()"
    ):
        await asyncio.sleep(0)
    migrating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await migrating
    await other.execute("SELECT pg_advisory_unlock($1)", schema.MIGRATION_LOCK)
    await other.close()
    assert await schema.current_revision(empty_database_url) is None


async def test_a_migration_that_fails_says_why_and_leaves_nothing(empty_database_url: str) -> None:
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute("CREATE TABLE users (somebody text)")
    await connection.close()
    with pytest.raises(SchemaError, match="ProgrammingError"):
        await schema.migrate(empty_database_url)
    assert await schema.current_revision(empty_database_url) is None
