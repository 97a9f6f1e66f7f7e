"""What lets people authorize the product at MCP servers, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from persistence.database import Database
from persistence.notifications import Notifications
from server.mcp_oauth.refreshing import TokenRefresher
from server.mcp_oauth.service import AuthorizationService
from server.mcp_oauth.sessions import keep_ending
from server.mcp_oauth.tokens import StoredAuthorizations
from server.security.identity_tokens import DEFAULT_ISSUER, IdentityTokens
from server.settings import Settings
from tools.authorization.wire import AuthorizationWire
from tools.catalog import ToolCatalog
from tools.config import HttpServer
from tools.registry import RegisteredServer


@dataclass(frozen=True, kw_only=True)
class AuthorizationParts:
    """What stands before there is a catalog."""

    settings: Settings
    database: Database
    wire: AuthorizationWire
    refresher: TokenRefresher

    def authorize(self, server: RegisteredServer) -> StoredAuthorizations:
        """What people have granted at a server."""
        assert isinstance(server.config, HttpServer)  # noqa: S101 - narrows: others have no auth
        return StoredAuthorizations(
            server, server.config, database=self.database, refresher=self.refresher
        )

    @asynccontextmanager
    async def serve(
        self, catalog: ToolCatalog, notifications: Notifications
    ) -> AsyncIterator[AuthorizationService]:
        """Let people authorize, and end their sessions in time."""
        async with keep_ending(self.database, catalog, notifications):
            yield AuthorizationService(
                self.database, catalog, self.wire, public_url=self.settings.public_url
            )

    def identities(self, secret: str) -> IdentityTokens:
        """What tells servers who is asking."""
        issuer = self.settings.api.public_url or DEFAULT_ISSUER
        return IdentityTokens(secret, self.database, issuer=issuer)


@asynccontextmanager
async def open_authorizations(
    settings: Settings, database: Database
) -> AsyncIterator[AuthorizationParts]:
    """Prepare it; what is being renewed in the end is waited for."""
    wire = AuthorizationWire(
        settings.outbound,
        hosts=settings.mcp.authorization_hosts,
        allow_plain=not settings.production,
    )
    refresher = TokenRefresher(database, wire)
    try:
        yield AuthorizationParts(
            settings=settings, database=database, wire=wire, refresher=refresher
        )
    finally:
        await refresher.settle()
