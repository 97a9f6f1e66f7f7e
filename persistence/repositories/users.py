"""The accounts."""

import unicodedata
from collections.abc import Collection

from sqlalchemy import bindparam, delete, func, select, true, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.types import BigInteger

from persistence.access import ScopedStatement
from persistence.account_records import User
from persistence.errors import AccessDenied, NotFound, UsernameTaken
from persistence.models import users
from persistence.notifications import Channel
from persistence.records import Page
from persistence.repositories.base import Repository
from persistence.repositories.login_sessions import LoginSessionRepository
from persistence.statements import Statement
from persistence.transaction import Row

ROOT_USERNAME = "root"

_INSERT = Statement(
    insert(users).on_conflict_do_nothing(index_elements=["username_key"]).returning(users),
    columns=("username", "username_key", "is_root"),
)
_GET = ScopedStatement(
    lambda guard: select(users).where(users.c.id == bindparam("id"), guard.owned(users.c.id))
)
_BY_USERNAME = ScopedStatement(
    lambda guard: select(users).where(
        users.c.username_key == bindparam("username_key"), guard.owned(users.c.id)
    )
)
_ROOT = Statement(select(users).where(users.c.is_root == true()).order_by(users.c.id).limit(1))
_LIST = ScopedStatement(
    lambda guard: (
        select(users)
        .where(guard.owned(users.c.id))
        .order_by(users.c.id)
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )
)
_COUNT = ScopedStatement(
    lambda guard: select(func.count()).select_from(users).where(guard.owned(users.c.id))
)
_SET_ACTIVE = ScopedStatement(
    lambda guard: (
        update(users)
        .where(users.c.id == bindparam("user_id"), guard.owned(users.c.id))
        .values(is_active=bindparam("active"))
    )
)
_BEGIN_CLOSING = ScopedStatement(
    lambda guard: (
        update(users)
        .where(users.c.id == bindparam("user_id"), guard.owned(users.c.id))
        .values(closing_at=func.coalesce(users.c.closing_at, func.now()))
    )
)
_CLOSING = ScopedStatement(
    lambda guard: (
        select(users)
        .where(users.c.closing_at.is_not(None), guard.owned(users.c.id))
        .order_by(users.c.id)
    )
)
_DELETE = ScopedStatement(
    lambda guard: delete(users).where(
        users.c.id == bindparam("user_id"),
        users.c.closing_at.is_not(None),
        guard.owned(users.c.id),
    )
)
_ACTIVE_AMONG = ScopedStatement(
    lambda guard: select(users.c.id).where(
        users.c.id == bindparam("ids", type_=ARRAY(BigInteger)).any_(),
        users.c.is_active,
        users.c.closing_at.is_(None),
        guard.owned(users.c.id),
    )
)


class UserRepository(Repository):
    """Root and the system see every account, others see their own."""

    async def create(self, username: str, *, is_root: bool = False) -> User:
        """Make an account.

        Raises:
            UsernameTaken: There is one of that name, letter case aside.
            AccessDenied: The scope does not administer accounts.
        """
        user = await self._insert(username, is_root=is_root)
        if user is None:
            raise UsernameTaken(f"the username {username!r} is taken")
        return user

    async def get(self, user_id: int) -> User:
        """Return an account.

        Raises:
            NotFound: There is none, or none that the scope sees.
        """
        row = await self._first(_GET.administered_by(self._scope), {"id": user_id})
        if row is None:
            raise NotFound(f"no user {user_id!r}")
        return _read(row)

    async def by_username(self, username: str) -> User | None:
        """Return the account of that name, letter case aside."""
        parameters = {"username_key": _fold(username)}
        row = await self._first(_BY_USERNAME.administered_by(self._scope), parameters)
        return _read(row) if row is not None else None

    async def ensure_root(self) -> User:
        """Return the root account, and make it if there is none yet.

        Raises:
            UsernameTaken: There is no root account, but somebody holds its name.
            AccessDenied: The scope does not administer accounts.
        """
        row = await self._first(_ROOT, {})
        if row is not None:
            return _read(row)
        made = await self._insert(ROOT_USERNAME, is_root=True)
        if made is not None:
            return made
        row = await self._first(_ROOT, {})  # another replica made it meanwhile
        if row is None:
            raise UsernameTaken(f"the user {ROOT_USERNAME!r} exists but is not root")
        return _read(row)

    async def list(self, *, limit: int = 50, offset: int = 0) -> Page[User]:
        """Return accounts, oldest first."""
        return await self._page(
            _LIST.administered_by(self._scope),
            _COUNT.administered_by(self._scope),
            {},
            limit=limit,
            offset=offset,
            read=_read,
        )

    async def set_active(self, user_id: int, *, active: bool) -> None:
        """Open or close an account; a user who is locked out loses whatever goes on, anywhere.

        Logins end with it for good; keys let in again when the account is opened again.

        Raises:
            NotFound: There is none.
            AccessDenied: The scope does not administer accounts.
        """
        self._require_administration()
        parameters = {"user_id": user_id, "active": active}
        if not await self._change(_SET_ACTIVE.administered_by(self._scope), parameters):
            raise NotFound(f"no user {user_id!r}")
        if not active:
            await self._lock_out(user_id)

    async def begin_closing(self, user_id: int) -> None:
        """Close an account for good: nobody gets in any more while it is being deleted.

        Raises:
            NotFound: There is none, or none that the scope may close.
        """
        statement = _BEGIN_CLOSING.administered_by(self._scope)
        if not await self._change(statement, {"user_id": user_id}):
            raise NotFound(f"no user {user_id!r}")
        await self._lock_out(user_id)

    async def closing(self) -> tuple[User, ...]:
        """Return the accounts whose deletion has begun."""
        rows = await self._all(_CLOSING.administered_by(self._scope), {})
        return tuple(_read(row) for row in rows)

    async def delete(self, user_id: int) -> None:
        """Delete an account that is closing, with all rows that belong to it alone.

        Raises:
            NotFound: There is none, or its deletion has not begun.
            Conflict: It still has documents.
        """
        if not await self._change(_DELETE.administered_by(self._scope), {"user_id": user_id}):
            raise NotFound(f"no user {user_id!r} that is closing")

    async def locked_out(self, user_ids: Collection[int]) -> frozenset[int]:
        """Return those of the users who may not come in, or are there no more.

        To a scope that does not administer accounts, all others are.
        """
        statement = _ACTIVE_AMONG.administered_by(self._scope)
        rows = await self._all(statement, {"ids": list(user_ids)}) if user_ids else []
        return frozenset(user_ids) - {row["id"] for row in rows}

    async def _lock_out(self, user_id: int) -> None:
        logins = LoginSessionRepository(self._transaction, self._scope, self._key_ring)
        await logins.revoke_all(user_id)
        await self._notify(Channel.USER_LOCKED_OUT, str(user_id))

    async def _insert(self, username: str, *, is_root: bool) -> User | None:
        self._require_administration()
        values = {"username": username, "username_key": _fold(username), "is_root": is_root}
        row = await self._first(_INSERT, values)
        return _read(row) if row is not None else None

    def _require_administration(self) -> None:
        if not self._scope.administers:
            raise AccessDenied("only root and the system administer accounts")


def _fold(username: str) -> str:
    return unicodedata.normalize("NFKC", username).casefold()


def _read(row: Row) -> User:
    return User(
        id=row["id"],
        username=row["username"],
        is_root=row["is_root"],
        is_active=row["is_active"] and row["closing_at"] is None,
        created_at=row["created_at"],
    )
