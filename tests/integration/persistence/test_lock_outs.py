"""A user who is locked out: nothing begins any more, and what goes on hears of it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from persistence.access import AccessScope
from persistence.account_records import Login, User
from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.errors import AccessDenied, KeyEnded, NotFound, UserLockedOut
from persistence.identifiers import new_uuid7
from persistence.notifications import Channel, open_notifications
from persistence.run_records import RunInput
from tests.fixtures.rows import SYSTEM, create_session, create_user, start_run

HEARD_SECONDS = 30


async def open_login(database: Database, user_id: int) -> Login:
    async with database.unit_of_work(SYSTEM) as uow:
        expires_at = datetime.now(UTC) + timedelta(hours=1)
        login = await uow.logins.open(user_id, method="key", expires_at=expires_at)
        await uow.commit()
    return login


async def set_active(database: Database, user_id: int, *, active: bool) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.users.set_active(user_id, active=active)
        await uow.commit()


async def begin_closing(database: Database, scope: AccessScope, user_id: int) -> None:
    async with database.unit_of_work(scope) as uow:
        await uow.users.begin_closing(user_id)
        await uow.commit()


async def read_user(database: Database, user_id: int) -> User:
    async with database.unit_of_work(SYSTEM) as uow:
        return await uow.users.get(user_id)


async def begin(
    database: Database, scope: AccessScope, session: ChatSession, asked: RunInput
) -> None:
    async with database.unit_of_work(scope) as uow:
        await uow.runs.start(
            new_uuid7(),
            session.id,
            model="a model",
            lease_owner="this process",
            lease_seconds=60,
            run_input=asked,
        )
        await uow.commit()


async def wait(
    database: Database, scope: AccessScope, session: ChatSession, asked: RunInput
) -> None:
    async with database.unit_of_work(scope) as uow:
        await uow.runs.enqueue(
            new_uuid7(), session.id, model="a model", run_input=asked, max_queued=9
        )
        await uow.commit()


@pytest.mark.parametrize("ending", ["deactivated", "closing"])
async def test_a_lock_out_ends_logins_for_good_and_is_made_known(
    database: Database, scope: AccessScope, ending: str
):
    login = await open_login(database, scope.user_id)
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with open_notifications(database.dsn) as notifications:
        notifications.subscribe(Channel.USER_LOCKED_OUT, heard.put_nowait)
        if ending == "deactivated":
            await set_active(database, scope.user_id, active=False)
        else:
            await begin_closing(database, scope, scope.user_id)
        async with asyncio.timeout(HEARD_SECONDS):
            assert await heard.get() == str(scope.user_id)
    await set_active(database, scope.user_id, active=True)
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.logins.ended([login.id]) == {login.id}


async def test_a_login_that_is_closed_is_made_known_once(database: Database, scope: AccessScope):
    login, other = [await open_login(database, scope.user_id) for _ in range(2)]
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with open_notifications(database.dsn) as notifications:
        notifications.subscribe(Channel.LOGIN_ENDED, heard.put_nowait)
        for each in (login, login, other):
            async with database.unit_of_work(scope) as uow:
                await uow.logins.revoke(each.id)
                await uow.commit()
        async with asyncio.timeout(HEARD_SECONDS):
            assert [await heard.get(), await heard.get()] == [str(login.id), str(other.id)]


async def test_a_key_that_is_revoked_is_made_known_with_its_logins(
    database: Database, scope: AccessScope
):
    async with database.unit_of_work(scope) as uow:
        key = await uow.api_keys.create(scope.user_id, name="n", key_hash="h", prefix="p")
        expires_at = datetime.now(UTC) + timedelta(hours=1)
        login = await uow.logins.open(
            scope.user_id, method="key", expires_at=expires_at, api_key_id=key.id
        )
        await uow.commit()
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with open_notifications(database.dsn) as notifications:
        for channel in (Channel.LOGIN_ENDED, Channel.KEY_REVOKED):
            notifications.subscribe(channel, heard.put_nowait)
        async with database.unit_of_work(scope) as uow:
            await uow.api_keys.revoke(key.id)
            await uow.commit()
        async with asyncio.timeout(HEARD_SECONDS):
            assert [await heard.get(), await heard.get()] == [str(login.id), str(key.id)]


async def test_no_run_begins_for_a_user_who_is_locked_out(
    database: Database, scope: AccessScope, chat_session: ChatSession
):
    await set_active(database, scope.user_id, active=False)
    with pytest.raises(UserLockedOut):
        await start_run(database, scope, chat_session)
    await set_active(database, scope.user_id, active=True)
    await start_run(database, scope, chat_session)


@pytest.mark.parametrize("how", ["revoked", "expired", "of somebody else"])
async def test_no_run_begins_or_waits_under_a_key_that_is_not_good(
    database: Database, scope: AccessScope, other_scope: AccessScope, how: str
):
    session = await create_session(database, scope)
    owner = other_scope if how == "of somebody else" else scope
    expires_at = datetime.now(UTC) - timedelta(hours=1) if how == "expired" else None
    async with database.unit_of_work(owner) as uow:
        keys = [
            await uow.api_keys.create(
                owner.user_id, name=name, key_hash=name, prefix="p", expires_at=expires
            )
            for name, expires in (("ended", expires_at), ("good", None))
        ]
        if how == "revoked":
            await uow.api_keys.revoke(keys[0].id)
        await uow.commit()
    asked = [
        RunInput(
            session_id=session.session_id, thread_id=session.thread_id, text="?", api_key_id=key.id
        )
        for key in keys
    ]
    with pytest.raises(KeyEnded):
        await begin(database, scope, session, asked[0])
    with pytest.raises(KeyEnded):
        await wait(database, scope, session, asked[0])
    if owner == scope:
        await begin(database, scope, session, asked[1])
        await wait(database, scope, session, asked[1])
        with pytest.raises(KeyEnded):
            await begin(database, scope, session, asked[0])


async def test_a_closing_account_stays_closed_whatever_an_administrator_sets(
    database: Database, scope: AccessScope
):
    session = await create_session(database, scope)
    await begin_closing(database, scope, scope.user_id)
    await set_active(database, scope.user_id, active=True)
    assert not (await read_user(database, scope.user_id)).is_active
    with pytest.raises(UserLockedOut):
        await start_run(database, scope, session)
    async with database.unit_of_work(SYSTEM) as uow:
        assert [user.id for user in await uow.users.closing()] == [scope.user_id]


async def test_only_an_account_that_is_closing_is_deleted(database: Database, scope: AccessScope):
    await create_session(database, scope)
    async with database.unit_of_work(scope) as uow:
        with pytest.raises(NotFound):
            await uow.users.delete(scope.user_id)
    await begin_closing(database, scope, scope.user_id)
    async with database.unit_of_work(scope) as uow:
        await uow.users.delete(scope.user_id)
        await uow.commit()
    with pytest.raises(NotFound):
        await read_user(database, scope.user_id)


async def test_nobody_closes_or_deletes_another_users_account(
    database: Database, scope: AccessScope, other_scope: AccessScope
):
    with pytest.raises(NotFound):
        await begin_closing(database, other_scope, scope.user_id)
    await begin_closing(database, scope, scope.user_id)
    async with database.unit_of_work(other_scope) as uow:
        assert await uow.users.closing() == ()
        with pytest.raises(NotFound):
            await uow.users.delete(scope.user_id)
        with pytest.raises(AccessDenied):
            await uow.users.set_active(scope.user_id, active=True)


async def test_who_is_locked_out_is_told_of_many_at_once(database: Database):
    fine, off, closing = [(await create_user(database)).id for _ in range(3)]
    await set_active(database, off, active=False)
    await begin_closing(database, SYSTEM, closing)
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.users.locked_out([fine, off, closing, 999_999]) == {off, closing, 999_999}
        assert await uow.users.locked_out([]) == frozenset()
        assert await uow.logins.ended([]) == frozenset()
