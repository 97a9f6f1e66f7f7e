"""Every place where the database keeps encrypted values is listed, and rotated with care."""

from base64 import b64encode
from collections.abc import Callable

import asyncpg
import psycopg
import pytest
from sqlalchemy import ARRAY, LargeBinary

from persistence.access import AccessScope
from persistence.checkpoints import open_checkpointer
from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.errors import DatabaseUnavailable
from persistence.key_rotation import rotate_column
from persistence.models import metadata
from persistence.token_columns import CHECKPOINT_COLUMNS, TOKEN_COLUMNS

IMAGES = next(place for place in TOKEN_COLUMNS if place.table == "message_images")
TITLES = next(place for place in TOKEN_COLUMNS if str(place) == "chat_sessions.title")
KEY, NEW_KEY = KeyRing.generate_key(), KeyRing.generate_key()
IN_CLEAR = {"checkpoints.checkpoint"}
"""Ids, versions and names of channels."""
DIGESTS = {"audit_seals.entry_digests", "audit_seals.digest"}
"""Binary and not encrypted: digests that only the keys' owner can make."""


@pytest.fixture
def key_ring() -> KeyRing:
    return KeyRing([KEY])


async def rename(database: Database, scope: AccessScope, session: ChatSession, title: str) -> None:
    async with database.unit_of_work(scope) as uow:
        await uow.sessions.rename(session.session_id, title)
        await uow.commit()


def test_every_binary_column_is_known_as_encrypted_or_as_a_digest() -> None:
    binary = {
        f"{column.table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary)
        or (isinstance(column.type, ARRAY) and isinstance(column.type.item_type, LargeBinary))
    }
    encrypted = {str(place) for place in TOKEN_COLUMNS if place not in CHECKPOINT_COLUMNS}
    assert binary == encrypted | DIGESTS


async def test_every_column_of_the_checkpoints_that_could_hold_a_value_is_known(
    database: Database, database_url: str
) -> None:
    async with open_checkpointer(database_url, database.key_ring):
        connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(
        "SELECT table_name || '.' || column_name AS name FROM information_schema.columns "
        "WHERE table_name LIKE 'checkpoint%' AND data_type IN ('bytea', 'jsonb', 'json')"
    )
    await connection.close()
    assert {row["name"] for row in rows} == IN_CLEAR | {str(each) for each in CHECKPOINT_COLUMNS}


class SlowRing(KeyRing):
    """A key ring that lets somebody else write between reading and writing."""

    def __init__(self, keys: list[str], meanwhile: Callable[[], None]) -> None:
        super().__init__(keys)
        self._meanwhile = meanwhile

    def rotate(self, token: bytes) -> bytes:
        self._meanwhile()
        return super().rotate(token)


async def test_a_row_that_changes_meanwhile_is_not_overwritten(
    database: Database, database_url: str, scope: AccessScope, chat_session: ChatSession
) -> None:
    await rename(database, scope, chat_session, "before")
    token = KeyRing([NEW_KEY]).encrypt_json("after")

    def write() -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE chat_sessions SET title = %s", [token])

    found = await rotate_column(database_url, TITLES, SlowRing([NEW_KEY, KEY], write))
    assert (found.changed, found.unreadable) == (0, [])
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT title FROM chat_sessions") == token
    await connection.close()


async def test_rows_that_somebody_holds_are_waited_for_and_nobody_waits_for_the_rotation(
    database: Database,
    database_url: str,
    scope: AccessScope,
    chat_session: ChatSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await rename(database, scope, chat_session, "held")
    both = KeyRing([NEW_KEY, KEY])
    monkeypatch.setattr("persistence.key_rotation.PASS_PAUSE_SECONDS", 0)
    holder = await asyncpg.connect(database_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM chat_sessions FOR UPDATE")
        with pytest.raises(DatabaseUnavailable, match=r"chat_sessions\.title"):
            await rotate_column(database_url, TITLES, both)
    await holder.close()
    assert (await rotate_column(database_url, TITLES, both)).changed == 1
    assert (await rotate_column(database_url, TITLES, both)).changed == 0


async def test_large_values_are_rotated_a_few_at_a_time(
    database: Database,
    database_url: str,
    scope: AccessScope,
    chat_session: ChatSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("persistence.key_rotation.BATCH_BYTES", 100_000)
    pictures = [b"%d" % number * size for number, size in enumerate((30_000, 30_000, 9, 90_000, 9))]
    async with database.unit_of_work(scope) as uow:
        message = await uow.messages.add(
            chat_session.id,
            role="user",
            content="Look",
            images=[{"data_b64": b64encode(picture).decode()} for picture in pictures],
        )
        await uow.commit()
    told: list[int] = []
    both = KeyRing([NEW_KEY, KEY])
    found = await rotate_column(database_url, IMAGES, both, tell=lambda _, seen: told.append(seen))
    assert (found.seen, found.changed, found.unreadable) == (5, 5, [])
    assert told == [3, 4, 5]  # the fourth is larger than all that is read at once
    assert (await rotate_column(database_url, IMAGES, both)).changed == 0
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT number, body FROM message_images ORDER BY number")
    await connection.close()
    place = f"message_images.body/{chat_session.id}/{message.id}"
    opened = [
        KeyRing([NEW_KEY]).decrypt(row["body"], context=f"{place}/{row['number']}") for row in rows
    ]
    assert opened == pictures


async def test_only_the_bodies_of_the_audit_trail_can_be_written_anew(
    database: Database, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url, server_settings={"youworker.new_keys": "on"})
    await connection.execute(
        "INSERT INTO audit_log (action, resource_type, success, body) "
        "VALUES ('a', 'thing', true, 'body')"
    )
    await connection.execute("UPDATE audit_log SET body = 'other'")
    for change in ("UPDATE audit_log SET action = 'b'", "DELETE FROM audit_log"):
        with pytest.raises(asyncpg.RaiseError, match="only ever added to"):
            await connection.execute(change)
    with pytest.raises(asyncpg.RaiseError, match="only ever added to"):
        await connection.execute("UPDATE audit_seals SET digest = ''")
    await connection.execute("RESET youworker.new_keys")
    await connection.execute("SET youworker.new_keys = 'off'")
    with pytest.raises(asyncpg.RaiseError, match="only ever added to"):
        await connection.execute("UPDATE audit_log SET body = 'third'")
    await connection.close()
