"""Fresh tokens for those that end: one request at a time for each, over all replicas.

A refresh token may be good for once. The row is locked from before it is used until what came for
it is written, so whoever comes second finds the fresh one. A process that dies in between loses
this one authorization: the person grants it again.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias
from weakref import WeakValueDictionary

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.records import AuditEntry
from persistence.unit_of_work import UnitOfWork
from server.mcp_oauth.held import HeldAuthorization, end_of
from server.mcp_oauth.words import needed
from server.observability import describe
from tools.authorization.grants import refresh_tokens
from tools.authorization.metadata import SCOPES_MAX
from tools.authorization.wire import REQUEST_SECONDS, AuthorizationWire
from tools.errors import AuthorizationFailed, AuthorizationRefused, ServerUnavailable
from tools.registry import RegisteredServer

REFRESHES_AT_ONCE = 3
"""Each holds a connection to the database while an authorization server answers. Of one MCP
server there is never more than one, so that a slow one keeps nobody else waiting."""
UNKNOWN_NOW = "what was granted to it cannot be looked up just now"
NOT_PROPER = "its authorization server does not answer properly"

_FINAL = frozenset({"invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope"})
"""After these answers of an authorization server the same question is not asked again."""
_Key: TypeAlias = tuple[int, int | None]

log = structlog.get_logger(__name__)


class TokenRefresher:
    """Renews and ends what people have granted."""

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
        self._room = asyncio.Semaphore(REFRESHES_AT_ONCE)
        self._places: WeakValueDictionary[int | None, asyncio.Lock] = WeakValueDictionary()
        self._under_way: dict[_Key, asyncio.Task[str]] = {}

    async def refresh(self, user_id: int, server: RegisteredServer, stale: str) -> str:
        """Another access token than this one; goes on to its end whoever gives up waiting.

        Raises:
            AuthorizationNeeded: There is none any more.
            ServerUnavailable: The authorization server or the database does not answer properly.
        """
        key = (user_id, server.id)
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(
                self._refresh(user_id, server, stale), name=f"mcp token for {server.name}"
            )
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._end_task(key, done))
        return await asyncio.shield(task)

    async def end(self, user_id: int, server: RegisteredServer, token: str, *, reason: str) -> None:
        """Ends an authorization, unless it has another token by now; does not raise."""
        try:
            async with self._database.unit_of_work(AccessScope(user_id=user_id)) as uow:
                await self._end_in(uow, user_id, server, token, reason)
                await uow.commit()
        except PersistenceError as exc:
            log.warning("mcp_authorization_not_ended", server=server.name, **describe(exc))

    async def note_missing(
        self, user_id: int, server: RegisteredServer, token: str, scopes: Sequence[str]
    ) -> None:
        """Remembers what the person has to be asked for besides; does not raise."""
        if server.id is None:
            return
        try:
            async with self._database.unit_of_work(AccessScope(user_id=user_id)) as uow:
                row = await uow.mcp_authorizations.lock(user_id, server.id)
                if row is None or row.body["access"] != token:
                    return
                more = dict.fromkeys([*row.body["more_scopes"], *scopes])
                body = {**row.body, "more_scopes": [*more][:SCOPES_MAX]}
                await uow.mcp_authorizations.change(row, body=body, expires_at=row.expires_at)
                await uow.commit()
        except PersistenceError as exc:
            log.warning("mcp_missing_scopes_not_noted", server=server.name, **describe(exc))

    async def settle(self) -> None:
        """Waits for what is under way: its end is written down, or an authorization is lost."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=2 * REQUEST_SECONDS)

    def _end_task(self, key: _Key, task: "asyncio.Task[str]") -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever waited may have given up

    async def _refresh(self, user_id: int, server: RegisteredServer, stale: str) -> str:
        place = self._places.setdefault(server.id, asyncio.Lock())
        try:
            async with (
                place,  # first: who waits for it takes no room
                self._room,
                self._database.unit_of_work(AccessScope(user_id=user_id)) as uow,
            ):
                return await self._refresh_in(uow, user_id, server, stale)
        except PersistenceError as exc:
            raise ServerUnavailable(UNKNOWN_NOW) from exc

    async def _refresh_in(
        self, uow: UnitOfWork, user_id: int, server: RegisteredServer, stale: str
    ) -> str:
        row = None
        if server.id is not None:
            row = await uow.mcp_authorizations.lock(user_id, server.id)
        if row is None or row.status == "ended":
            raise needed(server)
        held = HeldAuthorization.from_json(row.body)
        if held.access != stale:
            return held.access
        if held.refresh is None:
            await self._end_in(uow, user_id, server, stale, "no refresh token")
            await uow.commit()
            raise needed(server)
        try:
            tokens = await refresh_tokens(self._wire, held.grant, held.refresh)
        except AuthorizationFailed as exc:
            log.warning("mcp_token_not_refreshed", server=server.name, **describe(exc))
            if not (isinstance(exc, AuthorizationRefused) and exc.code in _FINAL):
                raise ServerUnavailable(NOT_PROPER) from exc
            await self._end_in(uow, user_id, server, stale, exc.code)
            await uow.commit()
            raise needed(server) from exc
        fresh = held.with_tokens(tokens)
        await uow.mcp_authorizations.change(
            row, body=fresh.as_json(), expires_at=end_of(tokens, self._clock())
        )
        await uow.commit()
        return fresh.access

    async def _end_in(
        self, uow: UnitOfWork, user_id: int, server: RegisteredServer, token: str, reason: str
    ) -> None:
        if server.id is None:
            return
        row = await uow.mcp_authorizations.lock(user_id, server.id)
        if row is None or row.status == "ended" or row.body["access"] != token:
            return
        body = HeldAuthorization.from_json(row.body).ended().as_json()
        await uow.mcp_authorizations.change(row, body=body, expires_at=None, status="ended")
        await uow.audit.record(
            AuditEntry(
                action="mcp_authorization.refresh_failed",
                resource_type="mcp_server",
                resource_id=str(server.id),
                success=False,
                actor_id=user_id,
                details={"name": server.name, "reason": reason},
            )
        )
