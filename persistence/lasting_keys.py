"""The keys of the keyed hash and of the audit seal, kept encrypted in the database.

What they made is compared and never decrypted, so it could not follow a change of keys: hashes by
which rows are found, and the chain of seals. So they stay the same when the keys of encryption are
exchanged. At the first start they are what older versions derived from the last configured key.
"""

from collections.abc import Mapping

import asyncpg

from persistence.encryption import KeyRing, LastingKeys
from persistence.errors import DecryptionError, EncryptionKeyError
from persistence.pool import CONNECT_TIMEOUT_SECONDS
from persistence.token_columns import CHECKPOINT_COLUMNS, TOKEN_COLUMNS
from persistence.transaction import Row, errors_made_ours

HASHING, SEALING = "hash", "seal"
_READ = "SELECT purpose, token FROM wrapped_keys"
_KEEP = """
INSERT INTO wrapped_keys (purpose, token) SELECT * FROM unnest($1::text[], $2::bytea[])
ON CONFLICT (purpose) DO NOTHING
"""
_ANY_VALUE_OF = "SELECT {0.column} FROM {0.table} WHERE {0.column} IS NOT NULL LIMIT 1"
_PROBED = [place for place in TOKEN_COLUMNS if place not in CHECKPOINT_COLUMNS]
"""The tables of checkpoints are made later."""
_FOREIGN = (
    "the database was written with other keys than those that are configured: put the key that it"
    " was written with behind any newer ones (SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET, or"
    " secrets.json in the data folder)"
)


async def take_lasting_keys(dsn: str, key_ring: KeyRing, *, create: bool) -> KeyRing:
    """Return the key ring with the database's lasting keys.

    Args:
        dsn: A migrated database, as libpq reads it.
        key_ring: The configured keys.
        create: Whether those that are not there yet are put there.

    Raises:
        EncryptionKeyError: The database was written with other keys.
        DatabaseUnavailable: The database cannot be reached.
    """
    with errors_made_ours():
        connection = await asyncpg.connect(
            dsn, timeout=CONNECT_TIMEOUT_SECONDS, command_timeout=CONNECT_TIMEOUT_SECONDS
        )
        try:
            tokens = await _read(connection)
            if not tokens:
                await _require_own(connection, key_ring)
                if not create:
                    return key_ring
                await _keep(connection, key_ring)
                tokens = await _read(connection)  # another replica may have been quicker
        finally:
            await connection.close()
    return key_ring.with_lasting(_open(tokens, key_ring))


def _open(tokens: Mapping[str, bytes], key_ring: KeyRing) -> LastingKeys:
    try:
        keys = {
            purpose: key_ring.decrypt(token, context=_context(purpose))
            for purpose, token in tokens.items()
        }
        return LastingKeys(hashing=keys[HASHING], sealing=keys[SEALING])
    except (DecryptionError, KeyError) as exc:
        raise EncryptionKeyError(_FOREIGN) from exc


async def _read(connection: "asyncpg.Connection[Row]") -> dict[str, bytes]:
    return {row["purpose"]: row["token"] for row in await connection.fetch(_READ)}


async def _keep(connection: "asyncpg.Connection[Row]", key_ring: KeyRing) -> None:
    keys = {HASHING: key_ring.lasting.hashing, SEALING: key_ring.lasting.sealing}
    tokens = [key_ring.encrypt(key, context=_context(name)) for name, key in keys.items()]
    await connection.execute(_KEEP, list(keys), tokens)


async def _require_own(connection: "asyncpg.Connection[Row]", key_ring: KeyRing) -> None:
    """Look whether a database of before has values that these keys open, if it has any.

    Raises:
        EncryptionKeyError: It has values, and they open none of them.
    """
    tokens = [await connection.fetchval(_ANY_VALUE_OF.format(place)) for place in _PROBED]
    tokens = [token for token in tokens if token is not None]
    if tokens and not any(map(key_ring.opens, tokens)):
        raise EncryptionKeyError(_FOREIGN)


def _context(purpose: str) -> str:
    return f"wrapped_keys.token/{purpose}"
