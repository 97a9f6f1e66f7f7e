import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.account_records import Login
from persistence.database import Database
from persistence.errors import NotFound
from persistence.identifiers import new_uuid7
from persistence.unit_of_work import UnitOfWork
from tests.fixtures.rows import SYSTEM, create_user

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=7)
WAITING = (
    "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE NOT granted AND datname = current_database())"
)


async def open_login(
    database: Database,
    scope: AccessScope,
    *,
    api_key_id: int | None = None,
    expires_at: datetime = LATER,
) -> Login:
    async with database.unit_of_work(scope) as uow:
        login = await uow.logins.open(
            scope.user_id,
            method="api_key",
            expires_at=expires_at,
            api_key_id=api_key_id,
            scopes=["chat"],
        )
        await uow.commit()
    return login


async def create_key(
    database: Database, scope: AccessScope, *, expires_at: datetime | None = None
) -> int:
    async with database.unit_of_work(scope) as uow:
        key = await uow.api_keys.create(
            scope.user_id, name="n", key_hash="hash", prefix="p", expires_at=expires_at
        )
        await uow.commit()
    return key.id


async def is_good(database: Database, login: Login, now: datetime = NOW) -> bool:
    found = await database.credentials.find_login(login.id)
    assert found is not None
    return found.is_good_at(now)


async def test_a_login_is_found_by_its_id_with_its_user(
    database: Database, scope: AccessScope
) -> None:
    key_id = await create_key(database, scope, expires_at=LATER)
    made = await open_login(database, scope, api_key_id=key_id)
    found = await database.credentials.find_login(made.id)
    assert found is not None
    assert found.login == made
    assert type(found.login.id) is UUID
    assert (found.user.id, found.key_expires_at) == (scope.user_id, LATER)
    assert (made.generation, made.scopes, made.api_key_id) == (0, ("chat",), key_id)
    assert await database.credentials.find_login(new_uuid7()) is None


async def test_a_login_is_good_until_its_end(database: Database, scope: AccessScope) -> None:
    login = await open_login(database, scope)
    assert await is_good(database, login, LATER - timedelta(seconds=1))
    assert not await is_good(database, login, LATER)


async def test_a_login_ends_with_the_key_that_it_was_opened_with(
    database: Database, scope: AccessScope
) -> None:
    soon = NOW + timedelta(hours=1)
    key_id = await create_key(database, scope, expires_at=soon)
    login = await open_login(database, scope, api_key_id=key_id)
    assert await is_good(database, login)
    assert not await is_good(database, login, soon)
    async with database.unit_of_work(scope) as uow:
        await uow.api_keys.revoke(key_id)
        await uow.commit()
    assert not await is_good(database, login)


async def test_a_locked_out_users_login_is_not_good(database: Database, scope: AccessScope) -> None:
    login = await open_login(database, scope)
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.users.set_active(scope.user_id, active=False)
        await uow.commit()
    assert not await is_good(database, login)


async def test_each_generation_is_advanced_once(database: Database, scope: AccessScope) -> None:
    login = await open_login(database, scope)
    async with database.unit_of_work(scope) as uow:
        assert not await uow.logins.advance(login.id, generation=1)
        assert await uow.logins.advance(login.id, generation=0)
        assert not await uow.logins.advance(login.id, generation=0)
        assert await uow.logins.advance(login.id, generation=1)
        await uow.commit()
    found = await database.credentials.find_login(login.id)
    assert found is not None
    assert found.login.generation == 2


async def test_of_many_that_advance_at_once_one_does(
    database: Database, scope: AccessScope
) -> None:
    login = await open_login(database, scope)

    async def advance() -> bool:
        async with database.unit_of_work(scope) as uow:
            advanced = await uow.logins.advance(login.id, generation=0)
            await uow.commit()
        return advanced

    assert sorted(await asyncio.gather(*(advance() for _ in range(8)))) == [False] * 7 + [True]


async def test_a_login_is_revoked_once_and_is_advanced_no_more(
    database: Database, scope: AccessScope
) -> None:
    login = await open_login(database, scope)
    async with database.unit_of_work(scope) as uow:
        assert await uow.logins.revoke(login.id)
        assert not await uow.logins.revoke(login.id)
        assert not await uow.logins.advance(login.id, generation=0)
        await uow.commit()
    assert not await is_good(database, login)


async def test_all_logins_of_a_user_end_at_once_and_nobody_elses(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    logins = [await open_login(database, scope) for _ in range(3)]
    other = await open_login(database, other_scope)
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.logins.revoke_all(scope.user_id) == 3
        assert await uow.logins.revoke_all(scope.user_id) == 0
        await uow.commit()
    assert [await is_good(database, login) for login in logins] == [False] * 3
    assert await is_good(database, other)
    async with database.unit_of_work(scope) as uow:
        listed = await uow.logins.list(scope.user_id)
    assert [login.id for login in listed] == [login.id for login in logins]


async def test_a_users_logins_that_have_run_out_are_forgotten_and_no_others(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    past = NOW - timedelta(seconds=1)
    over = await open_login(database, scope, expires_at=past)
    standing = await open_login(database, scope)
    theirs = await open_login(database, other_scope, expires_at=past)
    async with database.unit_of_work(scope) as uow:
        assert await uow.logins.forget_over(other_scope.user_id) == 0
        assert await uow.logins.forget_over(scope.user_id) == 1
        await uow.commit()
    assert await database.credentials.find_login(over.id) is None
    assert await is_good(database, standing)
    assert await database.credentials.find_login(theirs.id) is not None


async def test_another_users_logins_are_out_of_reach(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    login = await open_login(database, scope)
    async with database.unit_of_work(other_scope) as uow:
        assert not await uow.logins.revoke(login.id)
        assert not await uow.logins.advance(login.id, generation=0)
        assert await uow.logins.revoke_all(scope.user_id) == 0
        assert await uow.logins.list(scope.user_id) == []
        with pytest.raises(NotFound):
            await uow.logins.open(scope.user_id, method="m", expires_at=LATER)
        await uow.commit()
    assert await is_good(database, login)


async def test_root_ends_the_logins_of_all_users(database: Database, scope: AccessScope) -> None:
    login = await open_login(database, scope)
    root = AccessScope(user_id=(await create_user(database)).id, is_root=True)
    async with database.unit_of_work(root) as uow:
        assert await uow.logins.revoke(login.id)
        await uow.commit()
    assert not await is_good(database, login)


async def test_no_login_is_opened_for_a_user_or_with_a_key_that_is_gone(
    database: Database, scope: AccessScope
) -> None:
    with pytest.raises(NotFound):
        await open_login(database, scope, api_key_id=10**9)
    with pytest.raises(NotFound):
        await open_login(database, AccessScope(user_id=10**9))


@pytest.mark.parametrize("ending", ["deactivated", "closing"])
async def test_no_login_is_opened_for_a_user_who_is_locked_out(
    database: Database, scope: AccessScope, ending: str
) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        if ending == "closing":
            await uow.users.begin_closing(scope.user_id)
        else:
            await uow.users.set_active(scope.user_id, active=False)
        await uow.commit()
    with pytest.raises(NotFound):
        await open_login(database, scope)


@pytest.mark.parametrize("key", ["revoked", "expired", "another user's"])
async def test_no_login_is_opened_with_a_key_that_is_not_good(
    database: Database, scope: AccessScope, other_scope: AccessScope, key: str
) -> None:
    owner = other_scope if key == "another user's" else scope
    past = NOW - timedelta(seconds=1)
    key_id = await create_key(database, owner, expires_at=past if key == "expired" else None)
    if key == "revoked":
        async with database.unit_of_work(scope) as uow:
            await uow.api_keys.revoke(key_id)
            await uow.commit()
    with pytest.raises(NotFound):
        await open_login(database, scope, api_key_id=key_id)


async def lock_out(uow: UnitOfWork, user_id: int) -> None:
    await uow.users.set_active(user_id, active=False)
    await uow.commit()


async def wait_for_lock(database_url: str, waiting: "asyncio.Task[Any]") -> None:
    """Returns when a transaction waits for another; the task must not get through before."""
    connection = await asyncpg.connect(database_url)
    try:
        while not await connection.fetchval(WAITING):
            assert not waiting.done()
    finally:
        await connection.close()


async def test_a_lock_out_waits_for_a_login_that_is_being_opened_and_ends_it(
    database: Database, database_url: str, scope: AccessScope
) -> None:
    async with database.unit_of_work(scope) as opening, database.unit_of_work(SYSTEM) as closing:
        login = await opening.logins.open(scope.user_id, method="m", expires_at=LATER)
        locking_out = asyncio.create_task(lock_out(closing, scope.user_id))
        await wait_for_lock(database_url, locking_out)
        await opening.commit()
        await locking_out
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.users.set_active(scope.user_id, active=True)
        await uow.commit()
    assert not await is_good(database, login)


async def test_a_login_waits_for_a_lock_out_that_is_going_on_and_is_refused(
    database: Database, database_url: str, scope: AccessScope
) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.users.set_active(scope.user_id, active=False)
        opening = asyncio.create_task(open_login(database, scope))
        await wait_for_lock(database_url, opening)
        await uow.commit()
    with pytest.raises(NotFound):
        await opening


async def test_a_key_that_is_revoked_ends_its_logins_for_good_and_no_others(
    database: Database, scope: AccessScope
) -> None:
    key_id = await create_key(database, scope)
    of_key = [await open_login(database, scope, api_key_id=key_id) for _ in range(2)]
    other = await open_login(database, scope)
    async with database.unit_of_work(scope) as uow:
        await uow.api_keys.revoke(key_id)
        ended = await uow.logins.ended([login.id for login in (*of_key, other)])
        assert await uow.api_keys.ended([key_id, 10**9]) == {key_id, 10**9}
        await uow.commit()
    assert ended == {login.id for login in of_key}
