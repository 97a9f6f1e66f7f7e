"""API keys: made, hashed, checked."""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

from persistence.access import AccessScope
from persistence.database import Database
from persistence.records import User
from server.errors import InvalidApiKey
from server.security.principal import Principal

KEY_PREFIX = "yw_"
SHOWN_CHARS = 10
"""How much of a key is kept readable, so that its owner can tell it from others."""
TOUCH_INTERVAL = timedelta(minutes=1)


def make_api_key() -> str:
    """A new key; 256 bits of chance, so that a plain hash of it is safe to store."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_api_key(key: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


class Authenticator:
    """Turns an API key into a principal."""

    def __init__(self, database: Database, *, root_key: str, root: User) -> None:
        self._database = database
        self._root_hash = hash_api_key(root_key)
        self._root = Principal(user=root, scope=AccessScope(user_id=root.id, is_root=True))

    async def authenticate(self, key: str) -> Principal:
        """Finds whose key this is.

        Raises:
            InvalidApiKey: Unknown, expired or revoked, or its user is deactivated.
        """
        hashed = hash_api_key(key)
        if hmac.compare_digest(hashed, self._root_hash):
            return self._root
        now = datetime.now(UTC)
        async with self._database.unit_of_work(AccessScope.system("authentication")) as uow:
            found = await uow.api_keys.find(hashed)
            if found is None or found.key.revoked_at is not None or not found.user.is_active:
                raise InvalidApiKey
            if found.key.expires_at is not None and found.key.expires_at <= now:
                raise InvalidApiKey
            used = found.key.last_used_at
            if used is None or now - used > TOUCH_INTERVAL:
                await uow.api_keys.touch(found.key.id, now)
                await uow.commit()
        return Principal(
            user=found.user,
            scope=AccessScope(user_id=found.user.id, is_root=found.user.is_root),
            api_key_id=found.key.id,
        )
