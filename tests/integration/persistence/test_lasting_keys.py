"""The keys of the keyed hash and the seal stay the same while those of encryption change."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from persistence.database import attach_database, open_database
from persistence.encryption import KeyRing, LastingKeys
from persistence.errors import EncryptionKeyError
from persistence.settings import DatabaseSettings
from tests.fixtures.plaintext_scan import find_in_database

FIRST, SECOND = KeyRing.generate_key(), KeyRing.generate_key()


async def lasting_keys(database_url: str, *keys: str, attach: bool = False) -> LastingKeys:
    """What a database hands to a product that is configured with these keys."""
    opener = attach_database if attach else open_database
    settings = DatabaseSettings(url=SecretStr(database_url))
    async with opener(settings, key_ring=KeyRing(keys), data_dir=Path("unused")) as database:
        return database.key_ring.lasting


async def change(database_url: str, statement: str, *values: object) -> str:
    connection = await asyncpg.connect(database_url)
    try:
        return str(await connection.execute(statement, *values))
    finally:
        await connection.close()


async def test_at_first_they_are_those_of_older_versions(database_url: str) -> None:
    expected = KeyRing([FIRST]).lasting
    assert await lasting_keys(database_url, SECOND, FIRST) == expected
    assert await lasting_keys(database_url, SECOND) == expected
    assert await lasting_keys(database_url, SECOND, attach=True) == expected


async def test_they_are_stored_under_the_first_key_and_not_in_clear(database_url: str) -> None:
    keys = await lasting_keys(database_url, SECOND, FIRST)
    with pytest.raises(EncryptionKeyError):
        await lasting_keys(database_url, FIRST)
    for key in (keys.hashing, keys.sealing):
        assert await find_in_database(database_url, key.hex()) == []


async def test_whoever_only_attaches_makes_none(database_url: str) -> None:
    assert await lasting_keys(database_url, FIRST, attach=True) == KeyRing([FIRST]).lasting
    assert await change(database_url, "SELECT * FROM wrapped_keys") == "SELECT 0"


async def test_replicas_that_start_at_once_have_the_same(database_url: str) -> None:
    found = await asyncio.gather(*(lasting_keys(database_url, FIRST) for _ in range(4)))
    assert found == [KeyRing([FIRST]).lasting] * 4


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE wrapped_keys SET token = 'planted'",
        "UPDATE wrapped_keys SET token = (SELECT token FROM wrapped_keys WHERE purpose = 'hash')",
        "DELETE FROM wrapped_keys WHERE purpose = 'seal'",
    ],
)
async def test_changed_ones_stop_the_start(database_url: str, statement: str) -> None:
    await lasting_keys(database_url, FIRST)
    await change(database_url, statement)
    with pytest.raises(EncryptionKeyError):
        await lasting_keys(database_url, FIRST)


@pytest.mark.parametrize("attach", [True, False])
async def test_a_database_of_before_is_opened_only_with_its_own_keys(
    database_url: str, attach: bool
) -> None:
    token = KeyRing([FIRST]).encrypt_json({"resource_id": None})
    await change(
        database_url,
        "INSERT INTO audit_log (action, resource_type, success, body) VALUES ('a', 'b', true, $1)",
        token,
    )
    with pytest.raises(EncryptionKeyError) as raised:
        await lasting_keys(database_url, SECOND, attach=attach)
    assert str(raised.value).count(".") <= 1  # one sentence, and the name of a file
    assert await change(database_url, "SELECT * FROM wrapped_keys") == "SELECT 0"
    assert await lasting_keys(database_url, SECOND, FIRST) == KeyRing([FIRST]).lasting
