"""The public keys by which a provider's tokens are verified."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import ECKey, KeySet, KeySetSerialization, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import Token, decode

from server.errors import LoginFailed, UpstreamFailed
from server.security.sso.connection import NOT_PROPER, provider_errors

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures with a private key, whatever a token or a key set asks for."""
RSA_MIN_BITS = 2048
FRESH_SECONDS = 3600.0
REFETCH_SECONDS = 30.0
"""How often at most a token with an unknown key id has the keys fetched anew."""

LoadKeys = Callable[[], Awaitable[dict[str, Any]]]


class SigningKeys:
    """A provider's key set, fetched when it is needed and again when the provider has new keys."""

    def __init__(
        self,
        load: LoadKeys,
        *,
        timeout_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args: load: gets the key set. clock: seconds from any start."""
        self._load = load
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._keys: KeySet | None = None
        self._stale_at = 0.0
        self._refetch_at = 0.0
        self._loading = asyncio.Lock()

    async def verify(self, token: str) -> Token:
        """Opens a token; only its signature is judged.

        Raises:
            LoginFailed: It is not signed by one of these keys in one of the ways above.
            Unavailable, UpstreamFailed: The keys cannot be had.
        """
        keys = await self._current()
        try:
            try:
                return _open(token, keys)
            except InvalidKeyIdError:
                return _open(token, await self._renewed(keys))
        except (JoseError, ValueError, TypeError, KeyError) as exc:
            raise LoginFailed from exc

    async def _current(self) -> KeySet:
        async with provider_errors(self._timeout_seconds), self._loading:
            if self._keys is None or self._clock() >= self._stale_at:
                self._keys = await self._fetched()
            return self._keys

    async def _renewed(self, known: KeySet) -> KeySet:
        """Fetches the keys anew, unless another token had that done just now."""
        async with provider_errors(self._timeout_seconds), self._loading:
            if self._keys is known and self._clock() >= self._refetch_at:
                self._refetch_at = self._clock() + REFETCH_SECONDS
                self._keys = await self._fetched()
            return self._keys or known

    async def _fetched(self) -> KeySet:
        document = await self._load()
        self._stale_at = self._clock() + FRESH_SECONDS
        try:
            found = KeySet.import_key_set(cast("KeySetSerialization", document))
            return KeySet([key for key in found if _is_strong(key)])
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as exc:
            raise UpstreamFailed(NOT_PROPER) from exc


def _is_strong(key: object) -> bool:
    if isinstance(key, RSAKey):
        return key.raw_value.key_size >= RSA_MIN_BITS
    return isinstance(key, ECKey)


def _open(token: str, keys: KeySet) -> Token:
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    return decode(token, keys, registry=registry)
