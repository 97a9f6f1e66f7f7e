"""Authorizations at MCP servers that people have begun, and what the product is to those."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Text, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from persistence.access import ScopedStatement
from persistence.authorization_records import McpAuthorizationAttempt
from persistence.errors import AccessDenied, Conflict, NotFound
from persistence.models import mcp_authorization_attempts, mcp_clients
from persistence.repositories.base import Repository
from persistence.statements import Statement

_TABLE = mcp_authorization_attempts
_ADD = Statement(  # for whom, `begin` makes sure of
    insert(_TABLE),
    columns=("state_hash", "user_id", "server_id", "login_id", "body", "expires_at"),
)
_DROP = ScopedStatement(
    lambda guard: delete(_TABLE).where(
        _TABLE.c.user_id == bindparam("of_user_id", type_=BigInteger),
        (_TABLE.c.server_id == bindparam("server", type_=BigInteger))
        | (_TABLE.c.expires_at < func.now()),
        guard.owned(_TABLE.c.user_id),
    )
)
_TAKE = ScopedStatement(
    lambda guard: (
        delete(_TABLE)
        .where(
            _TABLE.c.state_hash == bindparam("state", type_=Text),
            guard.owned(_TABLE.c.user_id),
        )
        .returning(_TABLE)
    )
)
_PLACE = (mcp_clients.c.server_id == bindparam("server", type_=BigInteger)) & (
    mcp_clients.c.place_hash == bindparam("place", type_=Text)
)
_CLIENT = ScopedStatement(
    lambda guard: select(mcp_clients.c.body).where(_PLACE, guard.installation())
)
_FORGET_CLIENT = ScopedStatement(
    lambda guard: delete(mcp_clients).where(_PLACE, guard.installation())
)
_INSERT_CLIENT = insert(mcp_clients)
_KEEP_CLIENT = Statement(  # only ever run by the system, which `keep_client` makes sure of
    _INSERT_CLIENT.on_conflict_do_update(
        index_elements=["server_id", "place_hash"],
        set_={"body": _INSERT_CLIENT.excluded.body, "created_at": func.now()},
    ),
    columns=("server_id", "place_hash", "body"),
)


class McpAttemptRepository(Repository):
    """A user begins; the system takes what a browser brings back, and keeps registrations."""

    async def begin(
        self,
        state: str,
        *,
        user_id: int,
        server_id: int,
        login_id: UUID | None,
        body: Mapping[str, Any],
        expires_at: datetime,
    ) -> None:
        """Keep an attempt in the place of the user's last one at the server.

        Raises:
            AccessDenied: The scope is another user's.
            NotFound: The server or the login is gone.
        """
        if not self._scope.owns(user_id):
            raise AccessDenied("nobody authorizes for another")
        state_hash = self._hash(state)
        await self.drop(user_id, server_id)
        values = {
            "state_hash": state_hash,
            "user_id": user_id,
            "server_id": server_id,
            "login_id": login_id,
            "body": self._key_ring.encrypt_json(dict(body), context=_attempt_context(state_hash)),
            "expires_at": expires_at,
        }
        try:
            await self._change(_ADD, values)
        except Conflict as exc:
            raise NotFound(f"no MCP server {server_id!r}") from exc

    async def drop(self, user_id: int, server_id: int) -> None:
        """Forget what a user has begun at a server, and all of theirs that is over."""
        await self._change(_DROP.under(self._scope), {"of_user_id": user_id, "server": server_id})

    async def take(self, state: str) -> McpAuthorizationAttempt | None:
        """Return the attempt that a browser answers, and forget it: it is good for one answer."""
        state_hash = self._hash(state)
        row = await self._first(_TAKE.under(self._scope), {"state": state_hash})
        if row is None:
            return None
        return McpAuthorizationAttempt(
            user_id=row["user_id"],
            server_id=row["server_id"],
            login_id=row["login_id"],
            body=self._key_ring.decrypt_json(row["body"], context=_attempt_context(state_hash)),
            expires_at=row["expires_at"],
        )

    async def client(self, server_id: int, place: str) -> Mapping[str, Any] | None:
        """Return what the product is to the authorization server of a place, if it is anything."""
        values = self._place(server_id, place)
        row = await self._first(_CLIENT.under(self._scope), values)
        if row is None:
            return None
        found: Mapping[str, Any] = self._key_ring.decrypt_json(
            row["body"], context=_client_context(server_id, values["place"])
        )
        return found

    async def keep_client(self, server_id: int, place: str, body: Mapping[str, Any]) -> None:
        """Keep what the product has become there.

        Raises:
            AccessDenied: The scope is not the system's.
            NotFound: The server is gone.
        """
        if not self._scope.sees_all:
            raise AccessDenied("only the system registers the product")
        place_hash = self._place(server_id, place)["place"]
        sealed = self._key_ring.encrypt_json(
            dict(body), context=_client_context(server_id, place_hash)
        )
        values = {"server_id": server_id, "place_hash": place_hash, "body": sealed}
        try:
            await self._change(_KEEP_CLIENT, values)
        except Conflict as exc:
            raise NotFound(f"no MCP server {server_id!r}") from exc

    async def forget_client(self, server_id: int, place: str) -> None:
        """Forget it, as where it is not known there any more."""
        await self._change(_FORGET_CLIENT.under(self._scope), self._place(server_id, place))

    def _hash(self, state: str) -> str:
        return self._key_ring.keyed_hash(f"mcp_authorization_attempts/{state}")

    def _place(self, server_id: int, place: str) -> dict[str, Any]:
        return {
            "server": server_id,
            "place": self._key_ring.keyed_hash(f"mcp_clients/{place}"),
        }


def _attempt_context(state_hash: str) -> str:
    return f"mcp_authorization_attempts.body/{state_hash}"


def _client_context(server_id: int, place_hash: str) -> str:
    return f"mcp_clients.body/{server_id}/{place_hash}"
