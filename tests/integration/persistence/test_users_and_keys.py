import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import pytest

from persistence.access import AccessScope
from persistence.account_records import ApiKey
from persistence.database import Database
from persistence.errors import (
    AccessDenied,
    Conflict,
    InvalidValue,
    NotFound,
    TooManyKeys,
    UsernameTaken,
)
from persistence.repositories.api_keys import GOOD_KEYS_MAX
from tests.fixtures.rows import SYSTEM, create_user


async def create_key(database: Database, scope: AccessScope, key_hash: str = "hash") -> ApiKey:
    async with database.unit_of_work(scope) as uow:
        key = await uow.api_keys.create(
            scope.user_id, name="my laptop", key_hash=key_hash, prefix="yw_abc", scopes=["chat"]
        )
        await uow.commit()
    return key


async def test_a_user_is_found_by_id_and_by_name_in_any_case(database: Database) -> None:
    made = await create_user(database, "Zoë")
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.users.get(made.id) == made
        assert await uow.users.by_username("ZOË") == made
        assert await uow.users.by_username("nobody") is None


async def test_a_username_is_taken_in_any_case_and_the_unit_of_work_goes_on(
    database: Database,
) -> None:
    await create_user(database, "anna")
    async with database.unit_of_work(SYSTEM) as uow:
        with pytest.raises(UsernameTaken):
            await uow.users.create("ANNA")
        await uow.users.create("bert")
        await uow.commit()
        assert (await uow.users.list()).total == 2


async def test_a_username_with_a_nul_is_refused_clearly(database: Database) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        with pytest.raises(InvalidValue):
            await uow.users.create("an\0na")


async def test_there_is_one_root_however_many_replicas_ask(database: Database) -> None:
    async def ensure() -> int:
        async with database.unit_of_work(SYSTEM) as uow:
            root = await uow.users.ensure_root()
            await uow.commit()
        assert root.is_root
        return root.id

    assert len(set(await asyncio.gather(*(ensure() for _ in range(8))))) == 1


async def test_a_user_named_root_does_not_become_root(database: Database) -> None:
    await create_user(database, "root")
    async with database.unit_of_work(SYSTEM) as uow:
        with pytest.raises(UsernameTaken):
            await uow.users.ensure_root()


async def test_users_are_listed_page_by_page(database: Database) -> None:
    made = [await create_user(database) for _ in range(5)]
    async with database.unit_of_work(SYSTEM) as uow:
        page = await uow.users.list(limit=2, offset=2)
        assert page.items == made[2:4]
        assert page.total == 5
        beyond = await uow.users.list(limit=2, offset=10)
        assert (beyond.items, beyond.total) == ([], 5)


async def test_only_root_and_the_system_reach_other_accounts(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    root = AccessScope(user_id=other_scope.user_id, is_root=True)
    async with database.unit_of_work(scope) as uow:
        assert (await uow.users.get(scope.user_id)).id == scope.user_id
        with pytest.raises(NotFound):
            await uow.users.get(other_scope.user_id)
        assert [user.id for user in (await uow.users.list()).items] == [scope.user_id]
        with pytest.raises(AccessDenied):
            await uow.users.create("somebody")
        with pytest.raises(AccessDenied):
            await uow.users.set_active(other_scope.user_id, active=False)
    async with database.unit_of_work(root) as uow:
        await uow.users.set_active(scope.user_id, active=False)
        assert not (await uow.users.get(scope.user_id)).is_active
        with pytest.raises(NotFound):
            await uow.users.set_active(10**9, active=True)


async def test_a_key_is_found_by_its_hash_with_its_user(
    database: Database, scope: AccessScope
) -> None:
    made = await create_key(database, scope)
    found = await database.credentials.find_key("hash")
    assert found is not None
    assert (found.key_id, found.user.id) == (made.id, scope.user_id)
    assert (found.scopes, found.revoked_at) == (("chat",), None)
    assert (made.name, made.scopes, made.revoked_at) == ("my laptop", ("chat",), None)
    assert await database.credentials.find_key("another hash") is None


async def test_a_key_is_good_until_it_ends_is_revoked_or_its_user_is_locked_out(
    database: Database, scope: AccessScope
) -> None:
    now = datetime.now(UTC)
    async with database.unit_of_work(scope) as uow:
        made = await uow.api_keys.create(
            scope.user_id,
            name="n",
            key_hash="hash",
            prefix="p",
            expires_at=now + timedelta(seconds=60),
        )
        await uow.commit()
    assert await is_good(database, now)
    assert not await is_good(database, now + timedelta(seconds=60))
    for active in (False, True):
        async with database.unit_of_work(SYSTEM) as uow:
            await uow.users.set_active(scope.user_id, active=active)
            await uow.commit()
        assert await is_good(database, now) is active
    async with database.unit_of_work(scope) as uow:
        await uow.api_keys.revoke(made.id)
        await uow.commit()
    assert not await is_good(database, now)


async def is_good(database: Database, now: datetime) -> bool:
    found = await database.credentials.find_key("hash")
    assert found is not None
    return found.is_good_at(now)


async def test_the_same_key_twice_is_a_conflict(database: Database, scope: AccessScope) -> None:
    await create_key(database, scope)
    with pytest.raises(Conflict):
        await create_key(database, scope)


async def test_a_key_is_revoked_once_and_touched(database: Database, scope: AccessScope) -> None:
    made = await create_key(database, scope)
    now = datetime.now(UTC)
    async with database.unit_of_work(scope) as uow:
        await uow.api_keys.touch(made.id, now)
        await uow.api_keys.revoke(made.id)
        with pytest.raises(NotFound):
            await uow.api_keys.revoke(made.id)
        (key,) = (await uow.api_keys.list(scope.user_id)).items
    assert key.last_used_at == now
    assert key.revoked_at is not None


async def test_another_users_keys_are_out_of_reach(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    made = await create_key(database, scope)
    async with database.unit_of_work(other_scope) as uow:
        assert (await uow.api_keys.list(scope.user_id)).items == []
        with pytest.raises(NotFound):
            await uow.api_keys.revoke(made.id)
        with pytest.raises(NotFound):
            await uow.api_keys.create(scope.user_id, name="n", key_hash="h", prefix="p")


async def make_keys(database: Database, scope: AccessScope, count: int) -> list[int]:
    async with database.unit_of_work(scope) as uow:
        made = [
            await uow.api_keys.create(
                scope.user_id, name="n", key_hash=secrets.token_hex(), prefix="p"
            )
            for _ in range(count)
        ]
        await uow.commit()
    return [key.id for key in made]


async def test_keys_come_in_pages(database: Database, scope: AccessScope) -> None:
    ids = await make_keys(database, scope, 3)
    async with database.unit_of_work(scope) as uow:
        pages = [await uow.api_keys.list(scope.user_id, limit=2, offset=each) for each in (0, 2, 4)]
    assert [[key.id for key in page.items] for page in pages] == [ids[:2], ids[2:], []]
    assert [page.total for page in pages] == [3, 3, 3]


async def test_a_user_has_so_many_keys_that_are_good_and_no_more(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    first, *_ = await make_keys(database, scope, GOOD_KEYS_MAX)
    with pytest.raises(TooManyKeys):
        await make_keys(database, scope, 1)
    await make_keys(database, other_scope, 1)
    async with database.unit_of_work(scope) as uow:
        await uow.api_keys.revoke(first)
        await uow.commit()
    await make_keys(database, scope, 1)


async def test_of_many_who_make_the_last_key_at_once_one_does(
    database: Database, scope: AccessScope
) -> None:
    await make_keys(database, scope, GOOD_KEYS_MAX - 1)
    made = await asyncio.gather(
        *(make_keys(database, scope, 1) for _ in range(6)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in made) == ["TooManyKeys"] * 5 + ["list"]
