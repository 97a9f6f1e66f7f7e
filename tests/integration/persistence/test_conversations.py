import asyncio

import pytest

from persistence.access import AccessScope
from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.errors import AccessDenied, NotFound
from persistence.identifiers import new_uuid7
from tests.fixtures.rows import SYSTEM, create_session, start_run

DIFFICULT = "perché? 👩‍👩‍👧 שלום 日本 a\0b"


async def test_a_session_is_made_once_and_found_again(
    database: Database, scope: AccessScope
) -> None:
    made = await create_session(database, scope, DIFFICULT)
    assert made.session_id == DIFFICULT
    assert await create_session(database, scope, DIFFICULT) == made
    async with database.unit_of_work(scope) as uow:
        assert await uow.sessions.get(DIFFICULT) == made


async def test_a_session_that_many_open_at_once_is_made_once(
    database: Database, scope: AccessScope
) -> None:
    opened = await asyncio.gather(*(create_session(database, scope) for _ in range(8)))
    assert len({session.id for session in opened}) == 1


async def test_a_run_waits_for_a_locked_session_and_finds_it_deleted(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    async with database.unit_of_work(scope) as uow:
        await uow.sessions.get(chat_session.session_id, lock=True)
        starting = asyncio.create_task(start_run(database, scope, chat_session))
        await uow.sessions.delete([chat_session.id])
        assert not starting.done()
        await uow.commit()
    with pytest.raises(NotFound):
        await starting


async def test_two_users_may_choose_the_same_session_id(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    first = await create_session(database, scope, "same")
    second = await create_session(database, other_scope, "same")
    assert first.id != second.id
    assert first.thread_id != second.thread_id


async def test_sessions_are_listed_by_their_latest_activity(
    database: Database, scope: AccessScope
) -> None:
    names = [f"session {number}" for number in range(4)]
    sessions = [await create_session(database, scope, name) for name in names]
    async with database.unit_of_work(scope) as uow:
        await uow.messages.add(sessions[0].id, role="user", content="again")
        await uow.commit()
        page = await uow.sessions.list(limit=2)
        assert [each.session_id for each in page.items] == ["session 0", "session 3"]
        assert page.total == 4
        assert (page.items[0].message_count, page.items[1].message_count) == (1, 0)


async def test_a_title_is_given_and_taken_away(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    async with database.unit_of_work(scope) as uow:
        await uow.sessions.rename(chat_session.session_id, DIFFICULT)
        assert (await uow.sessions.get(chat_session.session_id)).title == DIFFICULT
        assert (await uow.sessions.list()).items[0].title == DIFFICULT
        await uow.sessions.rename(chat_session.session_id, None)
        assert (await uow.sessions.get(chat_session.session_id)).title is None


async def test_a_deleted_session_takes_its_messages_and_runs_along(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    async with database.unit_of_work(scope) as uow:
        await uow.messages.add(chat_session.id, role="user", content="hello", run_id=run.id)
        assert await uow.sessions.delete([chat_session.id]) == 1
        await uow.commit()
        with pytest.raises(NotFound):
            await uow.sessions.get(chat_session.session_id)
        with pytest.raises(NotFound):
            await uow.runs.get(run.id)
        assert (await uow.messages.list(chat_session.id)).total == 0


async def test_messages_come_back_whole_and_in_order(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run = await start_run(database, scope, chat_session)
    async with database.unit_of_work(scope) as uow:
        asked = await uow.messages.add(chat_session.id, role="user", content=DIFFICULT)
        answered = await uow.messages.add(
            chat_session.id,
            role="assistant",
            content="an answer",
            run_id=run.id,
            reasoning="because",
            sources=[{"id": "1", "title": DIFFICULT}],
            tool_events=[{"tool": "units.convert", "latency_ms": 3}],
            model="a model",
            tokens_in=10,
            tokens_out=20,
            status="success",
        )
        await uow.commit()
        page = await uow.messages.list(chat_session.id)
    assert page.items == [asked, answered]
    assert asked.content == DIFFICULT
    assert answered.sources == [{"id": "1", "title": DIFFICULT}]
    assert answered.run_id == run.id


async def test_a_message_may_come_before_the_run_that_answers_it(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    run_id = new_uuid7()
    async with database.unit_of_work(scope) as uow:
        message = await uow.messages.add(
            chat_session.id, role="user", content="hello", run_id=run_id
        )
        assert message.run_id == run_id


async def test_another_users_conversation_does_not_exist(
    database: Database, other_scope: AccessScope, chat_session: ChatSession
) -> None:
    name = chat_session.session_id
    async with database.unit_of_work(other_scope) as uow:
        with pytest.raises(NotFound):
            await uow.sessions.get(name)
        with pytest.raises(NotFound):
            await uow.sessions.rename(name, "mine now")
        assert await uow.sessions.delete([chat_session.id]) == 0
        assert await uow.sessions.after(0, limit=10) == []
        assert await uow.messages.after(chat_session.id, 0, limit=10) == []
        with pytest.raises(NotFound):
            await uow.messages.add(chat_session.id, role="user", content="intruder")
        assert (await uow.messages.list(chat_session.id)).items == []
        assert (await uow.sessions.list()).items == []


async def test_root_does_not_read_other_peoples_conversations(
    database: Database, other_scope: AccessScope, chat_session: ChatSession
) -> None:
    root = AccessScope(user_id=other_scope.user_id, is_root=True)
    async with database.unit_of_work(root) as uow:
        assert (await uow.sessions.list()).total == 0
        assert (await uow.messages.list(chat_session.id)).total == 0


async def test_the_system_sees_all_sessions_and_has_none(
    database: Database, chat_session: ChatSession
) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        assert [each.id for each in (await uow.sessions.list()).items] == [chat_session.id]
        with pytest.raises(AccessDenied):
            await uow.sessions.open("a session")
