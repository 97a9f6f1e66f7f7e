import asyncio
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from persistence.access import AccessScope
from persistence.conversation_records import ChatSession
from persistence.database import Database, open_database
from persistence.encryption import KeyRing
from persistence.errors import (
    Conflict,
    DatabaseError,
    DatabaseUnavailable,
    DecryptionError,
    InvalidValue,
    StatementTimeout,
)
from persistence.identifiers import new_uuid7
from persistence.records import AuditEntry
from persistence.run_records import RunInput
from persistence.settings import DatabaseSettings
from persistence.unit_of_work import UnitOfWork
from tests.fixtures.rows import SYSTEM, create_session

ENTRY = AuditEntry(action="session.deleted", resource_type="session", resource_id="1")


def small_pool(url: str, **values: float) -> DatabaseSettings:
    return DatabaseSettings.model_validate(
        {"url": url, "pool_size": 1, "max_overflow": 0, "pool_timeout_seconds": 0.05, **values}
    )


async def count_users(database: Database) -> int:
    async with database.unit_of_work(SYSTEM) as uow:
        return (await uow.users.list()).total


async def test_nothing_lasts_without_a_commit(database: Database) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.users.create("anna")
    assert await count_users(database) == 0


async def test_nothing_lasts_after_an_error(database: Database) -> None:
    async def fail() -> None:
        async with database.unit_of_work(SYSTEM) as uow:
            await uow.users.create("anna")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await count_users(database) == 0


async def test_a_commit_after_a_statement_that_failed_is_an_error(database: Database) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.users.create("anna")
        with pytest.raises(InvalidValue):
            await uow.users.create("a\0b")
        with pytest.raises(DatabaseError, match="failed before"):
            await uow.commit()
    assert await count_users(database) == 0


async def test_a_part_that_fails_is_undone_and_nothing_else(database: Database) -> None:
    async def fail(uow: UnitOfWork) -> None:
        async with uow.part():
            await uow.users.create("bert")
            await uow.users.create("a\0b")

    async with database.unit_of_work(SYSTEM) as uow:
        await uow.users.create("anna")
        with pytest.raises(InvalidValue):
            await fail(uow)
        async with uow.part():
            await uow.users.create("carl")
        await uow.commit()
    async with database.unit_of_work(SYSTEM) as uow:
        assert {user.username for user in (await uow.users.list()).items} == {"anna", "carl"}


async def test_what_was_committed_lasts_and_what_came_after_does_not(database: Database) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.users.create("anna")
        await uow.commit()
        await uow.users.create("bert")
    assert await count_users(database) == 1


async def test_an_act_and_its_audit_entry_last_together_or_not_at_all(
    database: Database, database_url: str
) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.users.create("anna")
        await uow.audit.record(ENTRY)
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM audit_log") == 0
    await connection.close()


async def test_a_connection_is_taken_late_and_given_back_at_the_commit(
    database_url: str, key_ring: KeyRing, tmp_path: Path
) -> None:
    settings = small_pool(database_url)
    async with open_database(settings, key_ring=key_ring, data_dir=tmp_path) as database:
        async with database.unit_of_work(SYSTEM) as idle, database.unit_of_work(SYSTEM) as busy:
            await busy.users.create("anna")
            with pytest.raises(DatabaseUnavailable):
                await idle.users.list()
            await busy.commit()
            assert (await idle.users.list()).total == 1
        assert (database.pool_usage.in_use, database.pool_usage.limit) == (0, 1)


async def test_the_event_log_and_the_leases_need_no_connection_of_the_requests(
    database_url: str, key_ring: KeyRing, tmp_path: Path
) -> None:
    settings = small_pool(database_url)
    async with (
        open_database(settings, key_ring=key_ring, data_dir=tmp_path) as database,
        database.unit_of_work(SYSTEM) as busy,
    ):
        await busy.users.create("anna")
        appended = await database.event_log.append("this process", [])
        assert (appended.stored, appended.locked) == (frozenset(), frozenset())
        async with database.reserved_unit_of_work(SYSTEM) as uow:
            assert await uow.run_claims.renew("this process", 15, []) == []
        with pytest.raises(DatabaseUnavailable):
            await database.event_log.watch(new_uuid7())


async def test_a_cancelled_unit_of_work_leaves_a_usable_connection(
    database_url: str, key_ring: KeyRing, tmp_path: Path
) -> None:
    settings = small_pool(database_url, pool_timeout_seconds=5)
    async with open_database(settings, key_ring=key_ring, data_dir=tmp_path) as database:
        inside = asyncio.Event()

        async def work() -> None:
            async with database.unit_of_work(SYSTEM) as uow:
                await uow.users.create("anna")
                inside.set()
                while True:
                    await uow.users.list()

        task = asyncio.create_task(work())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await count_users(database) == 0


async def test_many_units_of_work_share_a_small_pool(
    database_url: str, key_ring: KeyRing, tmp_path: Path
) -> None:
    settings = small_pool(database_url, pool_timeout_seconds=10)
    async with open_database(settings, key_ring=key_ring, data_dir=tmp_path) as database:
        assert await asyncio.gather(*(count_users(database) for _ in range(30))) == [0] * 30


async def test_a_broken_reference_is_a_conflict_at_the_commit(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    async with database.unit_of_work(scope) as uow:
        await uow.messages.add(chat_session.id, role="user", content="x", run_id=new_uuid7())
        with pytest.raises(Conflict):
            await uow.commit()


async def test_a_statement_that_waits_too_long_is_given_up(
    database_url: str, key_ring: KeyRing, tmp_path: Path
) -> None:
    settings = DatabaseSettings(url=SecretStr(database_url), statement_timeout_seconds=0.1)
    async with (
        open_database(settings, key_ring=key_ring, data_dir=tmp_path) as database,
        database.unit_of_work(SYSTEM) as first,
        database.unit_of_work(SYSTEM) as second,
    ):
        await first.users.create("anna")
        with pytest.raises(StatementTimeout):
            await second.users.create("anna")


async def test_a_lost_connection_costs_one_unit_of_work_at_most(
    database: Database, database_url: str
) -> None:
    await database.ping()
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.users.create("anna")
        killer = await asyncpg.connect(database_url)
        await killer.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await killer.close()
        with pytest.raises(DatabaseUnavailable):
            await uow.commit()
    assert await count_users(database) == 0


async def test_idle_connections_that_the_server_closed_are_replaced_unnoticed(
    database: Database, database_url: str
) -> None:
    await asyncio.gather(*(count_users(database) for _ in range(5)))
    killer = await asyncpg.connect(database_url)
    await killer.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await killer.close()
    assert await count_users(database) == 0


async def test_a_server_that_is_not_there_is_unavailable(key_ring: KeyRing, tmp_path: Path) -> None:
    settings = DatabaseSettings(url=SecretStr(f"postgresql://u:secret@/d?host={tmp_path}"))
    with pytest.raises(DatabaseUnavailable) as raised:
        async with open_database(settings, key_ring=key_ring, data_dir=tmp_path):
            pass
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["sqlite:///x.db", "localhost:5432/db", ""])
async def test_an_address_of_another_kind_is_refused(
    url: str, key_ring: KeyRing, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="postgresql://"):
        async with open_database(
            DatabaseSettings(url=SecretStr(url)), key_ring=key_ring, data_dir=tmp_path
        ):
            pass


async def test_an_address_may_name_sqlalchemys_driver(
    database_url: str, key_ring: KeyRing, tmp_path: Path
) -> None:
    url = database_url.replace("postgresql://", "postgresql+asyncpg://")
    settings = DatabaseSettings(url=SecretStr(url))
    async with open_database(settings, key_ring=key_ring, data_dir=tmp_path) as database:
        assert not database.embedded
        assert database.dsn == database_url
        await database.ping()


async def test_an_error_of_the_database_shows_no_value(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    async with database.unit_of_work(scope) as uow:
        with pytest.raises(InvalidValue) as raised:
            await uow.runs.start(
                new_uuid7(),
                chat_session.id,
                model="a\0secret",
                lease_owner="me",
                lease_seconds=60,
                run_input=RunInput(
                    session_id=chat_session.session_id,
                    thread_id=chat_session.thread_id,
                    text="hello",
                ),
            )
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("stored", [b"plain text", b""])
async def test_a_row_in_clear_is_refused(
    database: Database,
    database_url: str,
    scope: AccessScope,
    chat_session: ChatSession,
    stored: bytes,
) -> None:
    async with database.unit_of_work(scope) as uow:
        await uow.messages.add(chat_session.id, role="user", content="hello")
        await uow.commit()
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE messages SET body = $1", stored)
    await connection.close()
    async with database.unit_of_work(scope) as uow:
        with pytest.raises(DecryptionError):
            await uow.messages.list(chat_session.id)


async def test_a_message_that_was_moved_to_another_conversation_is_refused(
    database: Database, database_url: str, scope: AccessScope, chat_session: ChatSession
) -> None:
    other = await create_session(database, scope, "another")
    async with database.unit_of_work(scope) as uow:
        await uow.messages.add(chat_session.id, role="user", content="hello")
        await uow.commit()
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE messages SET chat_session_id = $1", other.id)
    await connection.close()
    async with database.unit_of_work(scope) as uow:
        with pytest.raises(DecryptionError):
            await uow.messages.list(other.id)


async def test_the_audit_trail_is_only_ever_added_to(database: Database, database_url: str) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.audit.record(ENTRY)
        await uow.commit()
    connection = await asyncpg.connect(database_url)
    for change in ("UPDATE audit_log SET ip = ''", "DELETE FROM audit_log", "TRUNCATE audit_log"):
        with pytest.raises(asyncpg.RaiseError, match="only ever added to"):
            await connection.execute(change)
    await connection.close()
