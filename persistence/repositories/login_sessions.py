"""The login sessions."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.types import Uuid

from persistence.access import ScopedStatement
from persistence.credentials import read_login
from persistence.errors import NotFound
from persistence.identifiers import new_uuid7, plain_uuid
from persistence.models import login_sessions
from persistence.notifications import Channel
from persistence.records import Login
from persistence.repositories.base import Repository
from persistence.statements import Statement

_OPEN = Statement(
    insert(login_sessions).returning(login_sessions),
    columns=("id", "user_id", "api_key_id", "method", "scopes", "expires_at"),
)
_LIST = ScopedStatement(
    lambda guard: (
        select(login_sessions)
        .where(
            login_sessions.c.user_id == bindparam("user_id"),
            guard.owned(login_sessions.c.user_id),
        )
        .order_by(login_sessions.c.id)
    )
)
_ADVANCE = ScopedStatement(
    lambda guard: (
        update(login_sessions)
        .where(
            login_sessions.c.id == bindparam("login_id"),
            login_sessions.c.generation == bindparam("current"),
            login_sessions.c.revoked_at.is_(None),
            guard.owned(login_sessions.c.user_id),
        )
        .values(generation=login_sessions.c.generation + 1)
    )
)
_REVOKE = ScopedStatement(
    lambda guard: (
        update(login_sessions)
        .where(
            login_sessions.c.id == bindparam("login_id"),
            login_sessions.c.revoked_at.is_(None),
            guard.owned(login_sessions.c.user_id),
        )
        .values(revoked_at=func.now())
    )
)
_LASTING_AMONG = ScopedStatement(
    lambda guard: select(login_sessions.c.id).where(
        login_sessions.c.id == bindparam("ids", type_=ARRAY(Uuid)).any_(),
        login_sessions.c.revoked_at.is_(None),
        login_sessions.c.expires_at > func.now(),
        guard.owned(login_sessions.c.user_id),
    )
)
_REVOKE_ALL = ScopedStatement(
    lambda guard: (
        update(login_sessions)
        .where(
            login_sessions.c.user_id == bindparam("of_user_id"),
            login_sessions.c.revoked_at.is_(None),
            guard.owned(login_sessions.c.user_id),
        )
        .values(revoked_at=func.now())
    )
)
_FORGET_OVER = ScopedStatement(
    lambda guard: delete(login_sessions).where(
        login_sessions.c.user_id == bindparam("of_user_id"),
        login_sessions.c.expires_at < func.now(),
        guard.owned(login_sessions.c.user_id),
    )
)


class LoginSessionRepository(Repository):
    """Root and the system see the logins of all users, others see their own."""

    async def open(
        self,
        user_id: int,
        *,
        method: str,
        expires_at: datetime,
        api_key_id: int | None = None,
        scopes: Sequence[str] = (),
    ) -> Login:
        """Begin a login, at generation 0.

        Raises:
            NotFound: The scope does not administer that user's logins.
            Conflict: The user or the key is gone.
        """
        if user_id != self._scope.user_id and not self._scope.administers:
            raise NotFound(f"no user {user_id!r}")
        values = {
            "id": new_uuid7(),
            "user_id": user_id,
            "api_key_id": api_key_id,
            "method": method,
            "scopes": scopes,
            "expires_at": expires_at,
        }
        (row,) = await self._all(_OPEN, values)
        return read_login(row)

    async def list(self, user_id: int) -> list[Login]:
        """Return a user's logins, the ended ones too, oldest first."""
        rows = await self._all(_LIST.administered_by(self._scope), {"user_id": user_id})
        return [read_login(row) for row in rows]

    async def advance(self, login_id: UUID, *, generation: int) -> bool:
        """Count a refresh; of many that name the same generation, one gets True.

        False says that the login ended or that the generation was not the current one.
        """
        values = {"login_id": login_id, "current": generation}
        return await self._change(_ADVANCE.administered_by(self._scope), values) == 1

    async def revoke(self, login_id: UUID) -> bool:
        """End a login at once; False if it had been ended, or is none that the scope sees."""
        values = {"login_id": login_id}
        if not await self._change(_REVOKE.administered_by(self._scope), values):
            return False
        await self._notify(Channel.LOGIN_ENDED, str(login_id))
        return True

    async def ended(self, login_ids: Collection[UUID]) -> frozenset[UUID]:
        """Return those of the logins that are over, or are none that the scope sees."""
        statement = _LASTING_AMONG.administered_by(self._scope)
        rows = await self._all(statement, {"ids": list(login_ids)}) if login_ids else []
        return frozenset(login_ids) - {plain_uuid(row["id"]) for row in rows}

    async def revoke_all(self, user_id: int) -> int:
        """End all logins of a user at once; return how many there were."""
        values = {"of_user_id": user_id}
        return await self._change(_REVOKE_ALL.administered_by(self._scope), values)

    async def forget_over(self, user_id: int) -> int:
        """Delete a user's logins that have run out; return how many there were."""
        values = {"of_user_id": user_id}
        return await self._change(_FORGET_OVER.administered_by(self._scope), values)
