"""What people grant at MCP servers, on PostgreSQL: everybody's own, and encrypted."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from persistence.access import AccessScope
from persistence.authorization_records import McpAuthorization
from persistence.database import Database
from persistence.errors import AccessDenied, DecryptionError, NotFound
from persistence.notifications import Channel, open_notifications
from persistence.statements import Statement
from tests.fixtures.rows import SYSTEM, create_user
from tests.integration.persistence.test_tool_policies import ROOT

BODY = {"access": "s3cret-walnut", "refresh": "s3cret-hazel"}
_SWAP = Statement(
    text(
        "UPDATE mcp_authorizations a SET body = b.body FROM mcp_authorizations b WHERE a.id <> b.id"
    )
)
LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
async def server_id(database: Database) -> int:
    async with database.unit_of_work(ROOT) as uow:
        made = await uow.mcp_servers.create("mail", source="api", config={"url": "http://x/mcp"})
        await uow.commit()
    return made.id


@pytest.fixture
async def other(database: Database) -> AccessScope:
    return AccessScope(user_id=(await create_user(database, "other")).id)


async def grant(database: Database, scope: AccessScope, server_id: int) -> None:
    async with database.unit_of_work(scope) as uow:
        await uow.mcp_authorizations.keep(scope.user_id, server_id, body=BODY, expires_at=LATER)
        await uow.commit()


async def found(database: Database, scope: AccessScope, server_id: int) -> McpAuthorization | None:
    async with database.unit_of_work(scope) as uow:
        return await uow.mcp_authorizations.get(scope.user_id, server_id)


async def test_what_was_granted_is_read_back_changed_and_forgotten(
    database: Database, scope: AccessScope, server_id: int
):
    await grant(database, scope, server_id)
    kept = await found(database, scope, server_id)
    assert kept is not None
    assert (kept.status, kept.body, kept.expires_at) == ("good", BODY, LATER)
    async with database.unit_of_work(scope) as uow:
        locked = await uow.mcp_authorizations.lock(scope.user_id, server_id)
        assert locked == kept
        await uow.mcp_authorizations.change(kept, body={}, expires_at=None, status="ended")
        await uow.commit()
    ended = await found(database, scope, server_id)
    assert ended is not None
    assert (ended.status, ended.body, ended.expires_at) == ("ended", {}, None)
    await grant(database, scope, server_id)
    again = await found(database, scope, server_id)
    assert again is not None
    assert (again.status, again.body) == ("good", BODY)
    async with database.unit_of_work(scope) as uow:
        assert await uow.mcp_authorizations.forget(scope.user_id, server_id)
        assert not await uow.mcp_authorizations.forget(scope.user_id, server_id)
        await uow.commit()
    assert await found(database, scope, server_id) is None


async def test_nobody_sees_or_changes_what_another_has_granted_root_neither(
    database: Database, scope: AccessScope, other: AccessScope, server_id: int
):
    await grant(database, scope, server_id)
    kept = await found(database, scope, server_id)
    assert kept is not None
    for stranger in (other, AccessScope(user_id=other.user_id, is_root=True)):
        async with database.unit_of_work(stranger) as uow:
            repository = uow.mcp_authorizations
            assert await repository.get(scope.user_id, server_id) is None
            assert await repository.lock(scope.user_id, server_id) is None
            assert await repository.of_user(scope.user_id) == []
            assert await repository.holders(server_id, limit=9) == []
            assert not await repository.forget(scope.user_id, server_id)
            await repository.change(kept, body={}, expires_at=None)
            with pytest.raises(AccessDenied):
                await repository.keep(scope.user_id, server_id, body={}, expires_at=None)
            with pytest.raises(AccessDenied):
                await uow.mcp_attempts.begin(
                    "state",
                    user_id=scope.user_id,
                    server_id=server_id,
                    login_id=None,
                    body={},
                    expires_at=LATER,
                )
            await uow.commit()
    assert await found(database, scope, server_id) == kept


async def test_the_database_itself_hides_another_ones_rows(
    database: Database, scope: AccessScope, other: AccessScope, server_id: int
):
    await grant(database, scope, server_id)
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.mcp_attempts.keep_client(server_id, "place", {"id": "c"})
        await uow.commit()
    # As if the clauses of the statements had been forgotten.
    for stranger in (other, AccessScope(user_id=other.user_id, is_root=True)):
        async with database.unit_of_work(stranger) as uow:
            for table in ("mcp_authorizations", "mcp_authorization_attempts", "mcp_clients"):
                rows = await uow.mcp_authorizations._transaction.fetch(
                    Statement(text(f"SELECT * FROM {table}")), {}
                )
                assert rows == [], table


async def test_what_was_moved_to_another_user_is_refused(
    database: Database, scope: AccessScope, other: AccessScope, server_id: int
):
    await grant(database, scope, server_id)
    await grant(database, other, server_id)
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.mcp_authorizations._transaction.change(_SWAP, {})
        await uow.commit()
    with pytest.raises(DecryptionError):
        await found(database, scope, server_id)


async def test_an_attempt_is_good_for_one_answer_and_the_last_one_counts(
    database: Database, scope: AccessScope, other: AccessScope, server_id: int
):
    async def begin(state: str, of: AccessScope = scope) -> None:
        async with database.unit_of_work(of) as uow:
            await uow.mcp_attempts.begin(
                state,
                user_id=of.user_id,
                server_id=server_id,
                login_id=None,
                body={"verifier": state},
                expires_at=LATER,
            )
            await uow.commit()

    async def take(state: str) -> object:
        async with database.unit_of_work(SYSTEM) as uow:
            taken = await uow.mcp_attempts.take(state)
            await uow.commit()
        return taken and (taken.user_id, taken.body["verifier"])

    await begin("first")
    await begin("second")
    await begin("theirs", other)
    assert await take("first") is None
    assert await take("second") == (scope.user_id, "second")
    assert await take("second") is None
    assert await take("theirs") == (other.user_id, "theirs")


async def test_what_the_product_is_there_is_kept_for_each_place(
    database: Database, scope: AccessScope, server_id: int
):
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.mcp_attempts.keep_client(server_id, "a", {"id": "1"})
        await uow.mcp_attempts.keep_client(server_id, "a", {"id": "2"})
        await uow.mcp_attempts.keep_client(server_id, "b", {"id": "3"})
        assert await uow.mcp_attempts.client(server_id, "a") == {"id": "2"}
        await uow.mcp_attempts.forget_client(server_id, "a")
        assert await uow.mcp_attempts.client(server_id, "a") is None
        assert await uow.mcp_attempts.client(server_id, "b") == {"id": "3"}
        await uow.commit()
    async with database.unit_of_work(scope) as uow:
        assert await uow.mcp_attempts.client(server_id, "b") is None
        with pytest.raises(AccessDenied):
            await uow.mcp_attempts.keep_client(server_id, "b", {})


async def test_it_ends_with_the_server_and_with_the_account(
    database: Database, scope: AccessScope, other: AccessScope, server_id: int
):
    await grant(database, scope, server_id)
    await grant(database, other, server_id)
    async with database.unit_of_work(SYSTEM) as uow:
        assert set(await uow.mcp_authorizations.holders(server_id, limit=9)) == {
            scope.user_id,
            other.user_id,
        }
        await uow.users.begin_closing(other.user_id)
        assert await uow.mcp_authorizations.holders(server_id, limit=9) == [scope.user_id]
        await uow.users.delete(other.user_id)
        assert await uow.mcp_authorizations.of_user(other.user_id) == []
        await uow.mcp_servers.delete(server_id)
        assert await uow.mcp_authorizations.of_user(scope.user_id) == []
        with pytest.raises(NotFound):
            await uow.mcp_authorizations.keep(scope.user_id, server_id, body={}, expires_at=None)


async def test_every_replica_hears_of_what_was_granted_or_ended_and_not_of_what_was_renewed(
    database: Database, scope: AccessScope, server_id: int
):
    heard: list[str] = []
    async with open_notifications(database.dsn) as notifications:
        notifications.subscribe(Channel.MCP_AUTHORIZATION_CHANGED, heard.append)
        await grant(database, scope, server_id)
        kept = await found(database, scope, server_id)
        assert kept is not None
        async with database.unit_of_work(scope) as uow:
            await uow.mcp_authorizations.change(kept, body=BODY, expires_at=None)
            await uow.commit()
        async with database.unit_of_work(scope) as uow:
            await uow.mcp_authorizations.forget(scope.user_id, server_id)
            await uow.commit()
        async with database.unit_of_work(scope) as uow:  # comes last
            await uow.notify(Channel.MCP_AUTHORIZATION_CHANGED, "end")
            await uow.commit()
        await _until(heard, "end")
    assert heard == [f"{scope.user_id}:{server_id}"] * 2 + ["end"]


async def _until(heard: list[str], last: str) -> None:
    async with asyncio.timeout(30):
        while last not in heard:
            await asyncio.sleep(0)
