"""A person's tokens on the way to a tool server."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx

from tools.authorization.challenges import Challenge
from tools.errors import AuthorizationNeeded


class ServerAuthorizations(Protocol):
    """What people have granted at one server; each person's tokens are used for that one alone."""

    async def token(self, user_id: int | None) -> str:
        """Return a person's access token, a fresh one where the last is about to end.

        Raises:
            AuthorizationNeeded: There is none.
            ServerUnavailable: It ended, and the authorization server cannot be asked now.
        """
        ...

    async def renew(self, user_id: int | None, rejected: str) -> str:
        """Return another token than the one that the server has refused.

        Raises:
            AuthorizationNeeded: There is none, and will not be until the person authorizes again.
            ServerUnavailable: The authorization server cannot be asked now.
        """
        ...

    async def refuse(self, user_id: int | None, token: str) -> AuthorizationNeeded:
        """Let nobody use an authorization whose fresh token is refused, too; return the error."""
        ...

    async def ask_more(
        self, user_id: int | None, scopes: Sequence[str], token: str
    ) -> AuthorizationNeeded:
        """Note what a person has to grant besides; return the error that says so."""
        ...

    async def holders(self) -> Sequence[int]:
        """Return some of those who have authorized and may use the server."""
        ...


@dataclass(frozen=True, kw_only=True)
class Bearer:
    """One person's tokens for one server."""

    authorizations: ServerAuthorizations
    user_id: int | None


class BearerAuth(httpx.Auth):
    """Sends a person's token with each request, and once more with a fresh one if it is refused.

    What cannot be done for want of a token fails with words for that person.
    """

    def __init__(self, bearer: Bearer) -> None:
        self._authorizations = bearer.authorizations
        self._user_id = bearer.user_id

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do what `httpx.Auth` says.

        Raises:
            AuthorizationNeeded: The person has to authorize first, or to grant more.
            ServerUnavailable: The authorization server cannot be asked now.
        """
        token = await self._authorizations.token(self._user_id)
        answer = yield _with(request, token)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            token = await self._authorizations.renew(self._user_id, token)
            answer = yield _with(request, token)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise await self._authorizations.refuse(self._user_id, token)
        challenge = Challenge.read(answer.headers.get("WWW-Authenticate", ""))
        if answer.status_code == httpx.codes.FORBIDDEN and challenge.wants_more:
            raise await self._authorizations.ask_more(self._user_id, challenge.scopes, token)


def _with(request: httpx.Request, token: str) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request
