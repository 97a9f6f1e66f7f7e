"""Authentik's forward authentication: the proxy in front has logged the user in and says so."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from persistence.account_records import User
from server.errors import LoginFailed, UpstreamFailed
from server.security.logins import LoginService
from server.security.networks import Networks
from server.security.principal import Origin
from server.security.provisioning import Provisioner
from server.security.sso.connection import NOT_PROPER, ProviderConnection, read_object
from server.security.sso.identity import ProviderIdentity, read_identity
from server.security.sso.settings import AuthentikSettings
from server.security.sso.signing_keys import SigningKeys

TOKEN_HEADER = "x-authentik-jwt"  # noqa: S105 - a name, no secret


class ForwardedIdentity:
    """Believes Authentik's signature alone; its other headers anybody could have written."""

    def __init__(
        self,
        settings: AuthentikSettings,
        *,
        trusted_proxies: Networks,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Args: trusted_proxies: who may hand on a token at all. clock: seconds since 1970."""
        self._settings = settings
        self._trusted_proxies = trusted_proxies
        self._clock = clock
        self._connection = ProviderConnection(timeout_seconds=settings.timeout_seconds)
        self._keys = SigningKeys(self._load_keys, timeout_seconds=settings.timeout_seconds)

    async def find(self, headers: Mapping[str, str], peer: str | None) -> ProviderIdentity | None:
        """Who a request comes from, as far as Authentik has signed it.

        Args:
            headers: The request's, found whatever their letter case.
            peer: The address at the other end of the connection, whatever it forwards.

        Returns:
            The identity; None if there is no token, or nobody to believe it from.

        Raises:
            LoginFailed: The token is forged, another's or expired.
            Unavailable, UpstreamFailed: Authentik's keys cannot be had.
        """
        token = headers.get(TOKEN_HEADER)
        if not self._settings.configured or token is None:
            return None
        if peer is None or peer not in self._trusted_proxies:
            return None
        verified = await self._keys.verify(token)
        registry = JWTClaimsRegistry(
            now=int(self._clock()),
            leeway=self._settings.clock_skew_seconds,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            registry.validate(verified.claims)
        except (JoseError, TypeError, ValueError) as exc:
            raise LoginFailed from exc
        return read_identity(verified.claims, self._settings)

    async def _load_keys(self) -> dict[str, Any]:
        path = self._settings.jwks_file
        if path is None:
            return await self._connection.fetch(self._settings.jwks_url)
        try:
            return read_object(await asyncio.to_thread(path.read_bytes))
        except OSError as exc:
            raise UpstreamFailed(NOT_PROPER) from exc


class ForwardedUsers:
    """The accounts of those whom Authentik has logged in."""

    def __init__(
        self, identity: ForwardedIdentity, *, provisioner: Provisioner, logins: LoginService
    ) -> None:
        """Args: logins: writes down what was refused."""
        self._identity = identity
        self._provisioner = provisioner
        self._logins = logins

    async def user_for(
        self, headers: Mapping[str, str], *, peer_ip: str | None, origin: Origin
    ) -> User | None:
        """The user, or None if nobody to believe speaks of one.

        Raises:
            LoginFailed: The token is forged, another's or expired.
            AccountExists, AccountClosed, UsernameUnusable: Authentik's user has no account here
                and gets none.
            Unavailable, UpstreamFailed: Authentik's keys cannot be had.
        """
        try:
            identity = await self._identity.find(headers, peer_ip)
        except LoginFailed as exc:
            await self._logins.refuse(method="forwarded", origin=origin, code=exc.code)
            raise
        return None if identity is None else await self._provisioner.user_for(identity, origin)
