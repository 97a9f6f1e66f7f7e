"""Takes what browsers bring back from authorization servers."""

import time
from collections.abc import Callable

from persistence.access import AccessScope
from persistence.account_records import User
from persistence.authorization_records import McpAuthorizationAttempt
from persistence.database import Database
from persistence.errors import NotFound
from persistence.unit_of_work import UnitOfWork
from server.errors import (
    AuthorizationInvalid,
    AuthorizationNotGranted,
    AuthorizationNotUsed,
    McpServerNotFound,
)
from server.mcp_oauth.attempt import Attempt
from server.mcp_oauth.held import end_of, place_of
from server.mcp_oauth.registration import ClientRegistrations
from server.mcp_oauth.trail import entry_for, failure
from server.mcp_oauth.usable import UsableServers
from server.mcp_oauth.values import Arrival, BroughtBack
from server.security.principal import Origin, Principal, scope_of
from tools.authorization.grants import Tokens, redeem_code
from tools.authorization.wire import AuthorizationWire
from tools.errors import AuthorizationFailed, AuthorizationRefused

_SYSTEM = AccessScope.system("an authorization that comes back")


class Arrivals:
    """Exchanges codes for tokens, if they belong to whoever brings them."""

    def __init__(
        self,
        database: Database,
        servers: UsableServers,
        wire: AuthorizationWire,
        clients: ClientRegistrations,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._servers = servers
        self._wire = wire
        self._clients = clients
        self._clock = clock

    async def finish(self, brought: BroughtBack, origin: Origin) -> Arrival:
        """Takes what a browser brings back.

        Raises:
            AuthorizationInvalid: It belongs to nothing that was begun in this browser.
            AuthorizationNotGranted: The person or the authorization server said no.
            AuthorizationServerFailed: There are no tokens for it.
        """
        async with self._database.unit_of_work(_SYSTEM) as uow:
            taken = await uow.mcp_attempts.take(brought.state) if brought.state else None
            await uow.commit()  # whatever comes of it, it was good for this once
            if taken is None:
                raise AuthorizationInvalid
            attempt = Attempt.from_json(taken.body)
            user = await self._user_of(uow, taken, attempt)
        if user is None:
            raise AuthorizationInvalid
        principal = Principal(user=user, scope=scope_of(user))
        self._require_sound(taken, attempt, brought)
        await self._require_usable(principal, taken.server_id, attempt)
        tokens = await self._redeem(attempt, brought, taken.server_id)
        held = attempt.held.with_tokens(tokens)
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                await uow.mcp_authorizations.keep(
                    user.id,
                    taken.server_id,
                    body=held.as_json(),
                    expires_at=end_of(tokens, self._clock()),
                )
            except NotFound as exc:
                raise AuthorizationInvalid from exc
            await uow.audit.record(entry_for("grant", principal, origin, taken.server_id, held))
            await uow.commit()
        return Arrival(server=held.server_name, username=user.username)

    async def _require_usable(self, principal: Principal, server_id: int, attempt: Attempt) -> None:
        """See to it that the tokens are for what the server still is, and for who may use it."""
        try:
            server = await self._servers.require(principal, server_id)
        except (McpServerNotFound, AuthorizationNotUsed) as exc:
            raise AuthorizationInvalid from exc
        if place_of(server.config) != attempt.held.place:
            raise AuthorizationInvalid

    async def _user_of(
        self, uow: UnitOfWork, taken: McpAuthorizationAttempt, attempt: Attempt
    ) -> User | None:
        """Whose attempt it is, if that person may still come in, and the login or key is good."""
        if attempt.key_id is not None and await uow.api_keys.ended({attempt.key_id}):
            return None
        if taken.login_id is not None and await uow.logins.ended({taken.login_id}):
            return None
        try:
            user = await uow.users.get(taken.user_id)
        except NotFound:
            return None
        return user if user.is_active else None

    def _require_sound(
        self, taken: McpAuthorizationAttempt, attempt: Attempt, brought: BroughtBack
    ) -> None:
        is_another = brought.principal is not None and brought.principal.user.id != taken.user_id
        is_late = self._clock() >= taken.expires_at.timestamp()
        if is_another or is_late or not attempt.is_of_browser(brought.browser_secret):
            raise AuthorizationInvalid
        if brought.server_id != taken.server_id or not attempt.held.issuer.spoke(brought.issuer):
            raise AuthorizationInvalid("This answer is from another authorization server.")

    async def _redeem(self, attempt: Attempt, brought: BroughtBack, server_id: int) -> Tokens:
        if brought.error is not None or not brought.code:
            raise AuthorizationNotGranted
        held = attempt.held
        try:
            return await redeem_code(
                self._wire,
                held.grant,
                code=brought.code,
                verifier=attempt.verifier,
                redirect_url=attempt.callback_url,
            )
        except AuthorizationRefused as exc:
            if exc.code == "invalid_client":
                await self._clients.forget(server_id, held.issuer.issuer, attempt.callback_url)
            raise failure(held.server_name, exc) from exc
        except AuthorizationFailed as exc:
            raise failure(held.server_name, exc) from exc
