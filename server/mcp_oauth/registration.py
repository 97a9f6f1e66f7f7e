"""What the product is to the authorization servers of MCP servers, kept for the next time."""

import time
from collections.abc import Callable

from persistence.access import AccessScope
from persistence.database import Database
from tools.authorization.clients import Client, configured_client, register_client
from tools.authorization.metadata import AuthorizationServer
from tools.authorization.wire import AuthorizationWire
from tools.config import OAuthEntry

EARLY_SECONDS = 3600.0
"""How long before its secret ends a client is registered anew."""

_SYSTEM = AccessScope.system("clients of authorization servers")


class ClientRegistrations:
    """The client that root has named, or one that is registered once for each place."""

    def __init__(
        self,
        database: Database,
        wire: AuthorizationWire,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._wire = wire
        self._clock = clock

    async def client_for(
        self,
        server_id: int,
        entry: OAuthEntry,
        issuer: AuthorizationServer,
        *,
        callback_url: str,
        scopes: tuple[str, ...],
        home: str,
    ) -> Client:
        """What the product proves itself as.

        Raises:
            AuthorizationFailed: There is none, and none is made.
            NotFound: The server is gone.
        """
        configured = configured_client(entry, issuer)
        if configured is not None:
            return configured
        place = _place(issuer.issuer, callback_url)
        async with self._database.unit_of_work(_SYSTEM) as uow:
            kept = await uow.mcp_attempts.client(server_id, place)
        if kept is not None:
            client = Client.from_json(kept)
            if self._is_good(client) and client.may_ask(scopes):
                return client
        # Two at once register two clients; the later one is kept, and the other one works, too.
        client = await register_client(
            self._wire, issuer, redirect_url=callback_url, scopes=scopes, home=home
        )
        async with self._database.unit_of_work(_SYSTEM) as uow:
            await uow.mcp_attempts.keep_client(server_id, place, client.as_json())
            await uow.commit()
        return client

    def _is_good(self, client: Client) -> bool:
        return client.expires_at is None or client.expires_at - self._clock() > EARLY_SECONDS

    async def forget(self, server_id: int, issuer: str, callback_url: str) -> None:
        """Registers anew the next time, as the client is not known there any more."""
        async with self._database.unit_of_work(_SYSTEM) as uow:
            await uow.mcp_attempts.forget_client(server_id, _place(issuer, callback_url))
            await uow.commit()


def _place(issuer: str, callback_url: str) -> str:
    return f"{issuer}\n{callback_url}"
