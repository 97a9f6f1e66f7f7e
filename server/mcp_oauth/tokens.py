"""People's tokens, as sessions with MCP servers ask for them."""

import time
from collections.abc import Callable, Sequence

from persistence.access import AccessScope
from persistence.authorization_records import McpAuthorization
from persistence.database import Database
from persistence.errors import NotFound, PersistenceError
from server.mcp_oauth.held import HeldAuthorization, place_of
from server.mcp_oauth.refreshing import UNKNOWN_NOW, TokenRefresher
from server.mcp_oauth.words import needed, needs_more, refused
from tools.config import HttpServer
from tools.errors import AuthorizationNeeded, ServerUnavailable
from tools.registry import RegisteredServer

EARLY_SECONDS = 60.0
"""How long before its end a token is renewed; one that lasts less than twice as long is used for
the first half of its life."""
HOLDERS_MAX = 20
"""With how many people's sessions tools are looked for, in turn."""

_SYSTEM = AccessScope.system("who has authorized an MCP server")


class StoredAuthorizations:
    """What people have granted at one server, out of the database each time that it is asked for.

    So nothing is sent any more from the moment on in which an authorization is taken back.
    """

    def __init__(
        self,
        server: RegisteredServer,
        config: HttpServer,
        *,
        database: Database,
        refresher: TokenRefresher,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._server = server
        self._config = config
        self._database = database
        self._refresher = refresher
        self._clock = clock

    async def token(self, user_id: int | None) -> str:
        """Does what `ServerAuthorizations` says."""
        row, held = await self._find(user_id)
        left = self._seconds_left(row)
        if left is None or left > _early(held.lifetime):
            return held.access
        if held.refresh is None:
            if left > 0:
                return held.access
            raise needed(self._server)
        try:
            return await self._refresher.refresh(row.user_id, self._server, held.access)
        except ServerUnavailable:
            if left > 0:  # it is good for a little longer
                return held.access
            raise

    async def renew(self, user_id: int | None, rejected: str) -> str:
        """Does what `ServerAuthorizations` says."""
        row, held = await self._find(user_id)
        if held.access != rejected:
            return held.access
        return await self._refresher.refresh(row.user_id, self._server, rejected)

    async def refuse(self, user_id: int | None, token: str) -> AuthorizationNeeded:
        """Does what `ServerAuthorizations` says."""
        if user_id is not None:
            await self._refresher.end(user_id, self._server, token, reason="refused by the server")
        return refused(self._server)

    async def ask_more(
        self, user_id: int | None, scopes: Sequence[str], token: str
    ) -> AuthorizationNeeded:
        """Does what `ServerAuthorizations` says."""
        auth = self._config.auth
        may_ask = auth is None or auth.scopes is None
        if user_id is not None and may_ask and scopes:
            await self._refresher.note_missing(user_id, self._server, token, scopes)
        return needs_more(self._server, scopes, may_ask=may_ask)

    async def holders(self) -> Sequence[int]:
        """Does what `ServerAuthorizations` says."""
        server_id = self._server.id
        if server_id is None:
            return ()
        try:
            async with self._database.unit_of_work(_SYSTEM) as uow:
                groups = (await uow.mcp_servers.get(server_id)).groups
                found = await uow.mcp_authorizations.holders(server_id, limit=HOLDERS_MAX)
            return [each for each in found if await self._is_in(each, groups)]
        except NotFound:
            return ()
        except PersistenceError as exc:
            raise ServerUnavailable(UNKNOWN_NOW) from exc

    async def _is_in(self, user_id: int, groups: frozenset[int] | None) -> bool:
        if groups is None:
            return True
        async with self._database.unit_of_work(AccessScope(user_id=user_id)) as uow:
            return bool(groups & await uow.groups.ids())

    async def _find(self, user_id: int | None) -> tuple[McpAuthorization, HeldAuthorization]:
        if user_id is None or self._server.id is None:
            raise needed(self._server)
        try:
            async with self._database.unit_of_work(AccessScope(user_id=user_id)) as uow:
                row = await uow.mcp_authorizations.get(user_id, self._server.id)
        except PersistenceError as exc:
            raise ServerUnavailable(UNKNOWN_NOW) from exc
        if row is None or row.status == "ended":
            raise needed(self._server)
        held = HeldAuthorization.from_json(row.body)
        if held.place != place_of(self._config):
            raise needed(self._server)
        return row, held

    def _seconds_left(self, row: McpAuthorization) -> float | None:
        return None if row.expires_at is None else row.expires_at.timestamp() - self._clock()


def _early(lifetime: int | None) -> float:
    return EARLY_SECONDS if lifetime is None else min(EARLY_SECONDS, lifetime / 2)
