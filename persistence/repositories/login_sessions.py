"""The login sessions."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.types import BigInteger, DateTime, Text, TypeEngine, Uuid

from persistence.access import Guard, ScopedStatement
from persistence.account_records import Login
from persistence.credentials import read_login
from persistence.errors import NotFound
from persistence.identifiers import new_uuid7, plain_uuid
from persistence.models import api_keys, login_sessions, users
from persistence.notifications import Channel
from persistence.repositories.base import Repository


def _build_open(guard: Guard) -> Any:
    """Insert for a user in scope who may come in, with a key of theirs that is good, or with none.

    Locked, the user's row makes a lock-out wait: it finds the login, or the login finds it. A key
    that is revoked in the same moment needs no lock: no login of it counts, whenever it was opened.
    """
    columns: dict[str, TypeEngine[Any]] = {
        "id": Uuid(),
        "api_key_id": BigInteger(),
        "root_key_hash": Text(),
        "method": Text(),
        "scopes": ARRAY(Text),
        "expires_at": DateTime(timezone=True),
    }
    values = {name: bindparam(name, type_=type_) for name, type_ in columns.items()}
    good_key = exists().where(
        api_keys.c.id == values["api_key_id"],
        api_keys.c.user_id == users.c.id,
        api_keys.c.revoked_at.is_(None),
        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > func.now()),
    )
    owner = (
        select(users.c.id, *values.values())
        .where(
            users.c.id == bindparam("of_user_id"),
            users.c.is_active,
            users.c.closing_at.is_(None),
            or_(values["api_key_id"].is_(None), good_key),
            guard.owned(users.c.id),
        )
        .with_for_update(read=True, of=users)
    )
    return (
        insert(login_sessions).from_select(["user_id", *columns], owner).returning(login_sessions)
    )


_OPEN = ScopedStatement(_build_open)
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
_REVOKE_OF_KEY = ScopedStatement(
    lambda guard: (
        update(login_sessions)
        .where(
            login_sessions.c.api_key_id == bindparam("key_id"),
            login_sessions.c.revoked_at.is_(None),
            guard.owned(login_sessions.c.user_id),
        )
        .values(revoked_at=func.now())
        .returning(login_sessions.c.id)
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
        root_key_hash: str | None = None,
        scopes: Sequence[str] = (),
    ) -> Login:
        """Begin a login, at generation 0; until the end of the transaction no lock-out passes it.

        Raises:
            NotFound: The scope does not administer that user's logins, the user is not there or may
                not come in, or the key is none of the user's or not good any more.
        """
        values = {
            "id": new_uuid7(),
            "of_user_id": user_id,
            "api_key_id": api_key_id,
            "root_key_hash": root_key_hash,
            "method": method,
            "scopes": scopes,
            "expires_at": expires_at,
        }
        row = await self._first(_OPEN.administered_by(self._scope), values)
        if row is None:
            raise NotFound(f"no user {user_id!r} who may come in")
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

    async def revoke_of_key(self, key_id: int) -> None:
        """End at once the logins that were opened with a key."""
        statement = _REVOKE_OF_KEY.administered_by(self._scope)
        for row in await self._all(statement, {"key_id": key_id}):
            await self._notify(Channel.LOGIN_ENDED, str(row["id"]))

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
