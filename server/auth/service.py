"""Logging in by what a request proves, staying logged in, logging out."""

from collections.abc import Mapping
from dataclasses import dataclass

from server.errors import BadRequest, InvalidApiKey, NotAuthenticated
from server.security.credentials import Authenticator
from server.security.csrf import CsrfTokens
from server.security.forward_auth import ForwardedUsers
from server.security.local_login import LocalLogin
from server.security.login_tokens import IssuedLogin
from server.security.logins import LoginService
from server.security.presented import Credential
from server.security.principal import Origin, Principal


@dataclass(frozen=True, kw_only=True)
class Approach:
    """What a request without a body says about who makes it."""

    credential: Credential | None
    headers: Mapping[str, str]
    """By names in lower case."""
    peer_ip: str | None
    """Who holds the other end of the connection, a proxy perhaps."""


class AuthService:
    """Logs in by an API key, by a proxy's signed word, or in development by a name."""

    def __init__(
        self,
        authenticator: Authenticator,
        logins: LoginService,
        csrf: CsrfTokens,
        *,
        forwarded: ForwardedUsers,
        local: LocalLogin | None,
    ) -> None:
        """Puts it together.

        Args:
            authenticator: Judges keys.
            logins: Opens, refreshes and closes logins.
            csrf: Makes another CSRF token for a login.
            forwarded: Knows whom a trusted proxy vouches for.
            local: Lets names in; None outside development.
        """
        self._authenticator = authenticator
        self._logins = logins
        self._csrf = csrf
        self._forwarded = forwarded
        self._local = local

    async def log_in(self, api_key: str, origin: Origin) -> IssuedLogin:
        """Opens a login with what the key gives: its user, its scopes, its end.

        Raises:
            InvalidApiKey: The key is not good.
        """
        try:
            proved = await self._authenticator.authenticate_key(api_key)
        except InvalidApiKey as exc:
            await self._logins.refuse(method="api_key", origin=origin, code=exc.code)
            raise
        return await self._logins.open(
            proved.user,
            method="api_key",
            origin=origin,
            api_key_id=proved.api_key_id,
            scopes=proved.scopes,
        )

    async def log_in_automatically(
        self, approach: Approach, origin: Origin, *, username: str | None
    ) -> IssuedLogin:
        """Opens a login by what a request proves, without a question to anybody.

        A login's own token opens no other one: who copied it could stay for ever.

        Raises:
            NotAuthenticated: The request proves nothing, or something that is not good.
        """
        if approach.credential is not None and approach.credential.source == "header":
            return await self.log_in(approach.credential.text, origin)
        user = await self._forwarded.user_for(
            approach.headers, peer_ip=approach.peer_ip, origin=origin
        )
        if user is not None:
            return await self._logins.open(user, method="forwarded", origin=origin)
        if username is None:
            raise NotAuthenticated("This request does not prove who makes it.")
        return await self._log_in_locally(username, approach, origin)

    async def refresh(
        self, refresh_token: str | None, csrf_token: str | None, origin: Origin
    ) -> IssuedLogin:
        """Gives fresh tokens for a refresh token; see `LoginService.refresh`.

        Raises:
            NotAuthenticated: There is no refresh token, or it is not good any more.
            CsrfRefused: The CSRF token is not the login's.
        """
        if not refresh_token:
            raise NotAuthenticated("There is no login to refresh.")
        return await self._logins.refresh(refresh_token, csrf_token, origin=origin)

    async def log_out(
        self,
        caller: Principal | None,
        refresh_token: str | None,
        csrf_token: str | None,
        origin: Origin,
    ) -> None:
        """Ends the caller's login, or the refresh token's if the access token is over already.

        Raises:
            CsrfRefused: Only the refresh token is there, and the CSRF token is not its login's.
        """
        if caller is not None and caller.login_id is not None:
            await self._logins.close(caller.user, caller.login_id, origin=origin)
        elif refresh_token:
            await self._logins.close_with(refresh_token, csrf_token, origin=origin)

    def csrf_token(self, caller: Principal, known: str | None) -> str:
        """The CSRF token that the browser has, or another one if that is not good.

        Other pages of the same login go on with the one that they know.

        Raises:
            BadRequest: The caller uses an API key, which needs none.
        """
        if caller.login_id is None:
            raise BadRequest("An API key needs no CSRF token; only a login has one.")
        if known and self._csrf.verify(known, caller.login_id):
            return known
        return self._csrf.issue(caller.login_id)

    async def _log_in_locally(
        self, username: str, approach: Approach, origin: Origin
    ) -> IssuedLogin:
        try:
            if self._local is None:
                raise NotAuthenticated("A username alone logs nobody in.")
            user = await self._local.user_for(username, headers=approach.headers, origin=origin)
        except NotAuthenticated as exc:
            await self._logins.refuse(method="username", origin=origin, code=exc.code)
            raise
        return await self._logins.open(user, method="username", origin=origin)
