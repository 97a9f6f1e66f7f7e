"""Whom a credential stands for."""

import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from persistence.account_records import KeyOwner, User
from persistence.database import Database
from server.errors import InvalidApiKey
from server.security.api_keys import KEY_PREFIX, hash_api_key
from server.security.presented import Credential
from server.security.principal import Principal, Via, scope_of
from server.security.standing import StandingLogins
from server.security.tokens import AccessClaims, TokenSigner, looks_like_token

TOUCH_INTERVAL = timedelta(minutes=1)
"""How often a key's last use is written down, however often it is used."""


class Authenticator:
    """Turns API keys and logins' tokens into principals.

    Asks the database each time: whatever was revoked is refused on the next request.
    """

    def __init__(
        self,
        database: Database,
        *,
        root_key: str,
        root: User,
        tokens: TokenSigner,
        standing: StandingLogins,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._root_hash = hash_api_key(root_key)
        self._root = Principal(user=root, scope=scope_of(root))
        self._tokens = tokens
        self._standing = standing
        self._clock = clock

    async def authenticate(self, credential: Credential) -> Principal:
        """Finds whose credential this is; a cookie holds a token and nothing else.

        Raises:
            InvalidApiKey, TokenExpired, NotAuthenticated: As below.
        """
        if credential.source == "cookie":
            return await self._by_token(credential.text, via="cookie")
        return await self.authenticate_token(credential.text)

    async def authenticate_token(self, text: str) -> Principal:
        """Finds whose API key or access token this is, as a header or a subprotocol holds it.

        Raises:
            InvalidApiKey: It is no token, and as a key unknown, expired or revoked, or its user
                may not come in.
            TokenExpired: A token that was good once.
            NotAuthenticated: A token that is none of ours, or whose login has ended.
        """
        if looks_like_token(text) and not self._is_root_key(text):
            return await self._by_token(text, via="token")
        return await self.authenticate_key(text)

    async def authenticate_key(self, key: str) -> Principal:
        """Finds whose API key this is.

        Raises:
            InvalidApiKey: Unknown, expired or revoked, or its user may not come in.
        """
        if self._is_root_key(key):
            return self._root
        if not key.startswith(KEY_PREFIX):
            raise InvalidApiKey
        found = await self._database.credentials.find_key(hash_api_key(key))
        now = self._now()
        if found is None or not found.is_good_at(now):
            raise InvalidApiKey
        if found.last_used_at is None or now - found.last_used_at > TOUCH_INTERVAL:
            await self._touch(found, now)
        return Principal(
            user=found.user,
            scope=scope_of(found.user),
            api_key_id=found.key_id,
            scopes=frozenset(found.scopes),
            key_expires_at=found.expires_at,
        )

    async def recheck(self, principal: Principal) -> Principal:
        """Finds a caller anew whose connection has lasted a while.

        A login counts until it ends, whether or not its token has expired meanwhile.

        Raises:
            NotAuthenticated: The login has ended.
            InvalidApiKey: The key is not good any more, or its user may not come in.
        """
        if principal.login_id is not None:
            claims = AccessClaims(user_id=principal.user.id, login_id=principal.login_id)
            return await self._by_claims(claims, via=principal.via)
        if principal.api_key_id is not None:
            async with self._database.unit_of_work(principal.scope) as uow:
                if not await uow.api_keys.is_good(principal.api_key_id, self._now()):
                    raise InvalidApiKey
        return principal

    async def _by_token(self, token: str, *, via: Via) -> Principal:
        return await self._by_claims(self._tokens.read_access(token), via=via)

    async def _by_claims(self, claims: AccessClaims, *, via: Via) -> Principal:
        found = await self._standing.find(claims, now=self._now())
        return Principal(
            user=found.user,
            scope=scope_of(found.user),
            via=via,
            api_key_id=found.login.api_key_id,
            login_id=found.login.id,
            scopes=frozenset(found.login.scopes),
            key_expires_at=found.key_expires_at,
        )

    async def _touch(self, found: KeyOwner, now: datetime) -> None:
        async with self._database.unit_of_work(scope_of(found.user)) as uow:
            await uow.api_keys.touch(found.key_id, now)
            await uow.commit()

    def _is_root_key(self, key: str) -> bool:
        return hmac.compare_digest(hash_api_key(key), self._root_hash)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
