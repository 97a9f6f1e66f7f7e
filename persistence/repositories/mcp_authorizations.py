"""What people have granted at MCP servers: each sees and uses their own."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    LargeBinary,
    Text,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from persistence.access import Guard, ScopedStatement
from persistence.authorization_records import AuthorizationStatus, McpAuthorization
from persistence.errors import AccessDenied, Conflict, NotFound
from persistence.models import mcp_authorizations, users
from persistence.notifications import Channel
from persistence.repositories.base import Repository
from persistence.statements import Statement
from persistence.transaction import Row

_TABLE = mcp_authorizations
_THE_ONE = (_TABLE.c.user_id == bindparam("of_user_id", type_=BigInteger)) & (
    _TABLE.c.server_id == bindparam("server", type_=BigInteger)
)


def _select_one(guard: Guard) -> Any:
    return select(_TABLE).where(_THE_ONE, guard.owned(_TABLE.c.user_id))


_GET = ScopedStatement(_select_one)
_LOCK = ScopedStatement(lambda guard: _select_one(guard).with_for_update())
_OF_USER = ScopedStatement(
    lambda guard: (
        select(_TABLE)
        .where(
            _TABLE.c.user_id == bindparam("of_user_id", type_=BigInteger),
            guard.owned(_TABLE.c.user_id),
        )
        .order_by(_TABLE.c.id)
    )
)
_HOLDERS = ScopedStatement(
    lambda guard: (
        select(_TABLE.c.user_id)
        .join(users, users.c.id == _TABLE.c.user_id)
        .where(
            _TABLE.c.server_id == bindparam("server", type_=BigInteger),
            _TABLE.c.status == "good",
            users.c.is_active,
            users.c.closing_at.is_(None),
            guard.owned(_TABLE.c.user_id),
        )
        .order_by(_TABLE.c.changed_at.desc())
        .limit(bindparam("limit"))
    )
)
_INSERT = insert(_TABLE)
_KEEP = Statement(  # for whom, `_require_own` made sure of
    _INSERT.on_conflict_do_update(
        index_elements=["user_id", "server_id"],
        set_={
            "status": "good",
            "body": _INSERT.excluded.body,
            "expires_at": _INSERT.excluded.expires_at,
            "granted_at": func.now(),
            "changed_at": func.now(),
        },
    ),
    columns=("user_id", "server_id", "body", "expires_at"),
)
_CHANGE = ScopedStatement(
    lambda guard: (
        update(_TABLE)
        .where(_THE_ONE, guard.owned(_TABLE.c.user_id))
        .values(
            status=bindparam("new_status", type_=Text),
            body=bindparam("new_body", type_=LargeBinary),
            expires_at=bindparam("new_expires_at", type_=DateTime(timezone=True)),
            changed_at=func.now(),
        )
    )
)
_FORGET = ScopedStatement(
    lambda guard: delete(_TABLE).where(_THE_ONE, guard.owned(_TABLE.c.user_id))
)


class McpAuthorizationRepository(Repository):
    """A user sees and changes their own; what is encrypted for one opens as nobody else's."""

    async def get(self, user_id: int, server_id: int) -> McpAuthorization | None:
        """Return what a user has granted at a server."""
        return await self._find(_GET, user_id, server_id)

    async def lock(self, user_id: int, server_id: int) -> McpAuthorization | None:
        """Return the same, which nobody else changes until the unit of work ends."""
        return await self._find(_LOCK, user_id, server_id)

    async def of_user(self, user_id: int) -> Sequence[McpAuthorization]:
        """Return all that a user has granted, the oldest first."""
        rows = await self._all(_OF_USER.under(self._scope), {"of_user_id": user_id})
        return [self._read(row) for row in rows]

    async def holders(self, server_id: int, *, limit: int) -> Sequence[int]:
        """Return who has authorized at a server and may come in, the newest first."""
        values = {"server": server_id, "limit": limit}
        rows = await self._all(_HOLDERS.under(self._scope), values)
        return [row["user_id"] for row in rows]

    async def keep(
        self,
        user_id: int,
        server_id: int,
        *,
        body: Mapping[str, Any],
        expires_at: datetime | None,
    ) -> None:
        """Keep what a user has granted just now, in the place of anything before.

        Raises:
            AccessDenied: The scope is another user's.
            NotFound: The server or the user is gone.
        """
        if not self._scope.owns(user_id):
            raise AccessDenied("an authorization is for whoever has given it")
        values = {
            "user_id": user_id,
            "server_id": server_id,
            "body": self._seal(user_id, server_id, body),
            "expires_at": expires_at,
        }
        try:
            await self._change(_KEEP, values)
        except Conflict as exc:
            raise NotFound(f"no MCP server {server_id!r}") from exc
        await self._tell(user_id, server_id)

    async def change(
        self,
        before: McpAuthorization,
        *,
        body: Mapping[str, Any],
        expires_at: datetime | None,
        status: AuthorizationStatus = "good",
    ) -> None:
        """Replace the tokens of one that was locked."""
        values = {
            "of_user_id": before.user_id,
            "server": before.server_id,
            "new_status": status,
            "new_body": self._seal(before.user_id, before.server_id, body),
            "new_expires_at": expires_at,
        }
        await self._change(_CHANGE.under(self._scope), values)
        if status != before.status:
            await self._tell(before.user_id, before.server_id)

    async def forget(self, user_id: int, server_id: int) -> bool:
        """Forget what a user has granted at a server; return whether there was anything."""
        values = {"of_user_id": user_id, "server": server_id}
        if not await self._change(_FORGET.under(self._scope), values):
            return False
        await self._tell(user_id, server_id)
        return True

    async def _find(
        self, statement: ScopedStatement, user_id: int, server_id: int
    ) -> McpAuthorization | None:
        values = {"of_user_id": user_id, "server": server_id}
        row = await self._first(statement.under(self._scope), values)
        return None if row is None else self._read(row)

    async def _tell(self, user_id: int, server_id: int) -> None:
        await self._notify(Channel.MCP_AUTHORIZATION_CHANGED, f"{user_id}:{server_id}")

    def _seal(self, user_id: int, server_id: int, body: Mapping[str, Any]) -> bytes:
        return self._key_ring.encrypt_json(dict(body), context=_context(user_id, server_id))

    def _read(self, row: Row) -> McpAuthorization:
        return McpAuthorization(
            user_id=row["user_id"],
            server_id=row["server_id"],
            status=row["status"],
            body=self._key_ring.decrypt_json(
                row["body"], context=_context(row["user_id"], row["server_id"])
            ),
            expires_at=row["expires_at"],
            granted_at=row["granted_at"],
        )


def _context(user_id: int, server_id: int) -> str:
    return f"mcp_authorizations.body/{user_id}/{server_id}"
