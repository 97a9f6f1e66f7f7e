"""A person's tokens on the way to a tool server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx

from tools.authorization.challenges import Challenge
from tools.errors import AuthorizationNeeded

_AS_IT_IS = httpx.Auth()
"""Else a name in the address would take the token's place."""


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

    async def send(self, client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        """Send a request with a token, and once more with a fresh one if that is refused.

        Nothing is read of what comes with a refusal: an `httpx.Auth` would read all of it. What a
        server says of anything but a message that was posted to it ends no authorization: it need
        not offer more than that.

        Raises:
            AuthorizationNeeded: The person has to authorize first, or to grant more.
            ServerUnavailable: The authorization server cannot be asked now.
        """
        token = await self.authorizations.token(self.user_id)
        answer = await _send(client, request, token)
        if request.method != "POST":
            return answer
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            await answer.aclose()
            token = await self.authorizations.renew(self.user_id, token)
            answer = await _send(client, request, token)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            await answer.aclose()
            raise await self.authorizations.refuse(self.user_id, token)
        if answer.status_code == httpx.codes.FORBIDDEN:
            challenge = Challenge.read(answer.headers.get("WWW-Authenticate", ""))
            if challenge.wants_more:
                await answer.aclose()
                raise await self.authorizations.ask_more(self.user_id, challenge.scopes, token)
        return answer


async def _send(client: httpx.AsyncClient, request: httpx.Request, token: str) -> httpx.Response:
    request.headers["Authorization"] = f"Bearer {token}"
    return await client.send(request, auth=_AS_IT_IS, stream=True)
