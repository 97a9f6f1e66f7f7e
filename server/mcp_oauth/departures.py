"""Sends people to the authorization servers of MCP servers."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from persistence.database import Database
from persistence.errors import NotFound
from server.errors import McpServerNotFound, PublicUrlMissing
from server.mcp_oauth.attempt import ATTEMPT_SECONDS, Attempt, new_secret
from server.mcp_oauth.held import HeldAuthorization, place_of
from server.mcp_oauth.registration import ClientRegistrations
from server.mcp_oauth.trail import entry_for, failure
from server.mcp_oauth.usable import UsableServer, UsableServers
from server.mcp_oauth.values import Departure
from server.security.principal import Origin, Principal
from tools.authorization.discovery import Discovered, discover
from tools.authorization.grants import authorization_url
from tools.authorization.wire import AuthorizationWire
from tools.errors import AuthorizationFailed

CALLBACK_PATH = "/v1/mcp/authorization/callback/{server_id}"
"""One for each server: an answer that comes to another's is from elsewhere (RFC 9700, 4.4.2)."""


class Departures:
    """Finds out where a person goes, and remembers what has to come back."""

    def __init__(
        self,
        database: Database,
        servers: UsableServers,
        wire: AuthorizationWire,
        clients: ClientRegistrations,
        *,
        public_url: str | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Args: public_url: where browsers find the product; None if nobody has said so."""
        self._database = database
        self._servers = servers
        self._wire = wire
        self._clients = clients
        self._public_url = public_url
        self._clock = clock

    async def begin(self, principal: Principal, origin: Origin, server_id: int) -> Departure:
        """Begins to let the product in at a server.

        Raises:
            McpServerNotFound: There is none that the caller may use.
            AuthorizationNotUsed: It wants no authorization.
            PublicUrlMissing: Nobody could come back.
            AuthorizationServerFailed: The server or its authorization server does not play along.
        """
        server = await self._servers.require(principal, server_id)
        if self._public_url is None:
            raise PublicUrlMissing
        callback_url = self._public_url.rstrip("/") + CALLBACK_PATH.format(server_id=server_id)
        try:
            held = await self._prepare(principal, server, callback_url)
        except AuthorizationFailed as exc:
            raise failure(server.name, exc) from exc
        except NotFound as exc:
            raise McpServerNotFound from exc
        browser_secret = new_secret() if principal.via == "cookie" else None
        attempt = Attempt.begin(
            held, callback_url, browser_secret=browser_secret, key_id=principal.api_key_id
        )
        return await self._depart(principal, origin, server_id, attempt, browser_secret)

    async def _prepare(
        self, principal: Principal, server: UsableServer, callback_url: str
    ) -> HeldAuthorization:
        found = await discover(self._wire, server.config)
        scopes = await self._scopes_for(principal, server, found)
        client = await self._clients.client_for(
            server.id,
            server.auth,
            found.server,
            callback_url=callback_url,
            scopes=scopes,
            home=str(server.config.url),
        )
        return HeldAuthorization(
            server_name=server.name,
            place=place_of(server.config),
            resource=found.resource.identifier,
            client=client,
            issuer=found.server,
            scopes=scopes,
        )

    async def _scopes_for(
        self, principal: Principal, server: UsableServer, found: Discovered
    ) -> tuple[str, ...]:
        """What is asked for: what root has fixed, or what the server wants and has missed."""
        if server.auth.scopes is not None:
            return tuple(dict.fromkeys(server.auth.scopes))
        async with self._database.unit_of_work(principal.scope) as uow:
            row = await uow.mcp_authorizations.get(principal.user.id, server.id)
        missed = row.body["more_scopes"] if row is not None else []
        # With what was granted before, which the new grant takes the place of.
        before = row.body["scopes"] if row is not None and missed else []
        offline = ["offline_access"] if found.server.offers_offline else []
        return tuple(dict.fromkeys([*found.scopes, *before, *missed, *offline]))

    async def _depart(
        self,
        principal: Principal,
        origin: Origin,
        server_id: int,
        attempt: Attempt,
        browser_secret: str | None,
    ) -> Departure:
        state = new_secret()
        expires_at = datetime.fromtimestamp(self._clock() + ATTEMPT_SECONDS, UTC)
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                await uow.mcp_attempts.begin(
                    state,
                    user_id=principal.user.id,
                    server_id=server_id,
                    login_id=principal.login_id,
                    body=attempt.as_json(),
                    expires_at=expires_at,
                )
            except NotFound as exc:
                raise McpServerNotFound from exc
            await uow.audit.record(entry_for("begin", principal, origin, server_id, attempt.held))
            await uow.commit()
        url = authorization_url(
            attempt.held.grant,
            redirect_url=attempt.callback_url,
            state=state,
            code_challenge=attempt.challenge,
            scopes=attempt.held.scopes,
        )
        return Departure(url=url, state=state, expires_at=expires_at, browser_secret=browser_secret)
