"""Images of messages in the store: whole where they are asked for, bound to their place, apart."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.conversation_records import ChatSession, Message
from persistence.database import Database
from persistence.errors import DecryptionError, NotFound
from persistence.large_values import LARGE_BYTES
from persistence.unit_of_work import UnitOfWork
from tests.fixtures.rows import SYSTEM, create_session

FACTS = {"mime": "image/png", "width": 3, "height": 2}
PICTURES = (bytes(range(256)), os.urandom(LARGE_BYTES + 1), b"x")
WAIT_SECONDS = 20


def sent(data: bytes) -> dict[str, object]:
    return {**FACTS, "data_b64": base64.b64encode(data).decode()}


async def show(
    database: Database, scope: AccessScope, session: ChatSession, *pictures: bytes
) -> Message:
    async with database.unit_of_work(scope) as uow:
        message = await uow.messages.add(
            session.id, role="user", content="Look", images=[sent(each) for each in pictures]
        )
        await uow.commit()
    return message


async def see(uow: UnitOfWork, session: ChatSession, message_id: int, number: int) -> bytes | None:
    image = await uow.message_images.get(session.id, message_id, number)
    return image and image.data


@pytest.fixture
async def owner(database: Database, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Who owns the tables, and may do all that the product may not."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_images_come_back_byte_for_byte_and_in_their_order(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    message = await show(database, scope, chat_session, *PICTURES)
    assert message.images == [FACTS] * 3
    async with database.unit_of_work(scope) as uow:
        seen = [await see(uow, chat_session, message.id, number) for number in range(5)]
        assert seen == [None, *PICTURES, None]
        image = await uow.message_images.get(chat_session.id, message.id, 1)
        assert image is not None
        assert (image.mime, image.facts) == ("image/png", FACTS)
        stored = await uow.messages.get(chat_session.id, message.id)
        assert stored == message
        whole = await uow.message_images.of_message(chat_session.id, stored)
        assert whole == [sent(each) for each in PICTURES]


async def test_what_is_stored_of_an_image_is_a_third_larger_and_not_in_the_message(
    database: Database, scope: AccessScope, chat_session: ChatSession, owner: asyncpg.Connection
) -> None:
    await show(database, scope, chat_session, PICTURES[1])
    size = await owner.fetchval("SELECT octet_length(body) FROM message_images")
    assert size < len(PICTURES[1]) * 1.34
    assert await owner.fetchval("SELECT octet_length(body) FROM messages") < 1_000


async def test_whoever_reads_messages_touches_no_image(
    database: Database, scope: AccessScope, chat_session: ChatSession, owner: asyncpg.Connection
) -> None:
    message = await show(database, scope, chat_session, *PICTURES)
    async with owner.transaction(), asyncio.timeout(WAIT_SECONDS):
        await owner.execute("LOCK TABLE message_images IN ACCESS EXCLUSIVE MODE")
        async with database.unit_of_work(scope) as uow:
            assert (await uow.messages.list(chat_session.id)).items == [message]
            older = await uow.messages.list(chat_session.id, before=message.id + 1)
            assert older.items == [message]
            assert await uow.messages.after(chat_session.id, 0, limit=9) == [message]
            assert await uow.messages.get(chat_session.id, message.id) == message
            assert await uow.turns.line(chat_session.id, until=message.id, limit=9) == [message]
            [found] = await uow.session_search.next(None, limit=9)
            assert found.open_message().content == "Look"  # type: ignore[union-attr]
            await uow.messages.add(chat_session.id, role="user", content="Only words")


@pytest.mark.parametrize("where", ["position", "message", "session"])
async def test_an_image_is_bound_to_its_place(
    database: Database,
    scope: AccessScope,
    chat_session: ChatSession,
    owner: asyncpg.Connection,
    where: str,
) -> None:
    message = await show(database, scope, chat_session, *PICTURES)
    elsewhere = chat_session
    if where == "session":
        elsewhere = await create_session(database, scope, "elsewhere")
    other = message
    if where != "position":
        other = await show(database, scope, elsewhere, *PICTURES)
    number = 2 if where == "position" else 1
    moved = await owner.execute(
        "UPDATE message_images SET body = (SELECT body FROM message_images "
        "WHERE message_id = $1 AND number = $2) WHERE message_id = $3 AND number = 1",
        other.id,
        number,
        message.id,
    )
    assert moved == "UPDATE 1"
    async with database.unit_of_work(scope) as uow:
        with pytest.raises(DecryptionError):
            await see(uow, chat_session, message.id, 1)
        with pytest.raises(DecryptionError):
            await uow.message_images.of_message(chat_session.id, message)
        assert await see(uow, elsewhere, other.id, 3) == PICTURES[2]


async def test_an_image_does_not_follow_its_message_into_another_session(
    database: Database, scope: AccessScope, chat_session: ChatSession, owner: asyncpg.Connection
) -> None:
    message = await show(database, scope, chat_session, PICTURES[0])
    other = await create_session(database, scope, "elsewhere")
    planted = await show(database, scope, other, PICTURES[2])
    await owner.execute(
        "UPDATE messages SET chat_session_id = $1, body = p.body FROM messages p "
        "WHERE p.id = $2 AND messages.id = $3",
        other.id,
        planted.id,
        message.id,
    )
    async with database.unit_of_work(scope) as uow:
        assert (await uow.messages.get(other.id, message.id)).images == [FACTS]
        with pytest.raises(DecryptionError):
            await see(uow, other, message.id, 1)


async def test_an_image_that_was_taken_away_is_missed(
    database: Database, scope: AccessScope, chat_session: ChatSession, owner: asyncpg.Connection
) -> None:
    message = await show(database, scope, chat_session, *PICTURES)
    await owner.execute("DELETE FROM message_images WHERE number = 2")
    async with database.unit_of_work(scope) as uow:
        with pytest.raises(DecryptionError, match="not there"):
            await see(uow, chat_session, message.id, 2)
        assert await see(uow, chat_session, message.id, 3) == PICTURES[2]


async def test_images_go_with_their_message(
    database: Database, scope: AccessScope, chat_session: ChatSession, owner: asyncpg.Connection
) -> None:
    await show(database, scope, chat_session, *PICTURES)
    async with database.unit_of_work(scope) as uow:
        await uow.sessions.delete([chat_session.id])
        await uow.commit()
    assert await owner.fetchval("SELECT count(*) FROM message_images") == 0


async def test_copies_of_messages_have_copies_of_their_images(
    database: Database, scope: AccessScope, chat_session: ChatSession
) -> None:
    first = await show(database, scope, chat_session, *PICTURES)
    await show(database, scope, chat_session)
    last = await show(database, scope, chat_session, PICTURES[0])
    await show(database, scope, chat_session, PICTURES[2])
    fork = await create_session(database, scope, "fork")
    async with database.unit_of_work(scope) as uow:
        await uow.turns.copy_line(chat_session.id, until=last.id, to=fork.id)
        await uow.commit()
    async with database.unit_of_work(scope) as uow:
        assert await see(uow, chat_session, first.id, 2) == PICTURES[1]
        await uow.sessions.delete([chat_session.id])
        await uow.commit()
    async with database.unit_of_work(scope) as uow:
        copies = (await uow.messages.list(fork.id)).items
        whole = [await uow.message_images.of_message(fork.id, each) for each in copies]
    assert whole == [[sent(each) for each in PICTURES], [], [sent(PICTURES[0])]]


async def test_another_user_neither_sees_nor_adds_nor_copies_images(
    database: Database,
    scope: AccessScope,
    other_scope: AccessScope,
    chat_session: ChatSession,
    owner: asyncpg.Connection,
) -> None:
    message = await show(database, scope, chat_session, PICTURES[0])
    own = await create_session(database, other_scope, "own")
    mine = await show(database, other_scope, own)
    async with database.unit_of_work(other_scope) as uow:
        for session in (chat_session, own):
            with pytest.raises(NotFound):
                await uow.message_images.get(session.id, message.id, 1)
            with pytest.raises(NotFound):
                await uow.message_images.add(session.id, message.id, 2, "AAAA")
        await uow.message_images.copy(chat_session.id, {message.id: mine.id}, to=own.id)
        await uow.message_images.copy(own.id, {message.id: mine.id}, to=own.id)
        await uow.commit()
    assert await owner.fetchval("SELECT count(*) FROM message_images") == 1
    async with database.unit_of_work(SYSTEM) as uow:
        assert await see(uow, chat_session, message.id, 1) == PICTURES[0]
