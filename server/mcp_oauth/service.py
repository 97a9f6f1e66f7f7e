"""What somebody has granted at MCP servers: seen, begun, finished, taken back."""

import time
from collections.abc import Callable, Sequence

import structlog

from persistence.authorization_records import McpAuthorization
from persistence.database import Database
from server.errors import McpAuthorizationNotFound
from server.mcp_oauth.arrivals import Arrivals
from server.mcp_oauth.departures import Departures
from server.mcp_oauth.held import HeldAuthorization
from server.mcp_oauth.registration import ClientRegistrations
from server.mcp_oauth.trail import entry_for
from server.mcp_oauth.usable import UsableServers
from server.mcp_oauth.values import Arrival, AuthorizationView, BroughtBack, Departure
from server.observability import describe
from server.security.principal import Origin, Principal
from tools.authorization.grants import revoke_token
from tools.authorization.wire import AuthorizationWire
from tools.catalog import ToolCatalog
from tools.errors import AuthorizationFailed

log = structlog.get_logger(__name__)


class AuthorizationService:
    """All of it is for whoever may use the server, and is about the caller alone."""

    def __init__(
        self,
        database: Database,
        catalog: ToolCatalog,
        wire: AuthorizationWire,
        *,
        public_url: str | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Args: public_url: where browsers find the product; None if nobody has said so."""
        self._database = database
        self._servers = UsableServers(database, catalog)
        self._wire = wire
        clients = ClientRegistrations(database, wire, clock=clock)
        self._departures = Departures(
            database, self._servers, wire, clients, public_url=public_url, clock=clock
        )
        self._arrivals = Arrivals(database, self._servers, wire, clients, clock=clock)

    async def list_own(self, principal: Principal) -> Sequence[AuthorizationView]:
        """What the caller has granted, and may grant."""
        usable = await self._servers.all(principal)
        async with self._database.unit_of_work(principal.scope) as uow:
            rows = await uow.mcp_authorizations.of_user(principal.user.id)
        known = {row.server_id for row in rows}
        missing = [
            AuthorizationView(server_id=server.id, server=server.name, status="missing")
            for server in usable.values()
            if server.id not in known
        ]
        return [*map(_view, rows), *missing]

    async def begin(self, principal: Principal, origin: Origin, server_id: int) -> Departure:
        """Does as `Departures.begin`."""
        return await self._departures.begin(principal, origin, server_id)

    async def finish(self, brought: BroughtBack, origin: Origin) -> Arrival:
        """Does as `Arrivals.finish`."""
        return await self._arrivals.finish(brought, origin)

    async def withdraw(self, principal: Principal, origin: Origin, server_id: int) -> bool:
        """Forgets what the caller has granted; returns whether it was ended at the server as well.

        Raises:
            McpAuthorizationNotFound: There is nothing.
        """
        user_id = principal.user.id
        async with self._database.unit_of_work(principal.scope) as uow:
            row = await uow.mcp_authorizations.lock(user_id, server_id)
            if row is None:
                raise McpAuthorizationNotFound
            held = HeldAuthorization.from_json(row.body)
            await uow.mcp_authorizations.forget(user_id, server_id)
            await uow.mcp_attempts.drop(user_id, server_id)
            await uow.audit.record(entry_for("revoke", principal, origin, server_id, held))
            await uow.commit()
        return await self._revoke(held)

    async def _revoke(self, held: HeldAuthorization) -> bool:
        if not (token := held.refresh or held.access):
            return False
        hint = "access_token" if held.refresh is None else "refresh_token"
        try:
            return await revoke_token(self._wire, held.grant, token, hint=hint)
        except AuthorizationFailed as exc:
            log.warning("mcp_token_not_revoked", server=held.server_name, **describe(exc))
            return False


def _view(row: McpAuthorization) -> AuthorizationView:
    held = HeldAuthorization.from_json(row.body)
    return AuthorizationView(
        server_id=row.server_id,
        server=held.server_name,
        status=row.status,
        scopes=held.scopes,
        since=row.granted_at,
        expires_at=row.expires_at,
        renewable=held.refresh is not None,
    )
