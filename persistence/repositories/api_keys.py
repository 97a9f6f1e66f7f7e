"""The API keys."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.types import BigInteger

from persistence.access import ScopedStatement
from persistence.account_records import ApiKey
from persistence.errors import Conflict, NotFound, TooManyKeys
from persistence.models import api_keys, users
from persistence.notifications import Channel
from persistence.records import Page
from persistence.repositories.base import Repository
from persistence.repositories.login_sessions import LoginSessionRepository
from persistence.statements import Statement
from persistence.transaction import Row

GOOD_KEYS_MAX = 100
"""How many keys of one user may be good at a time."""

_IS_GOOD_NOW = api_keys.c.revoked_at.is_(None) & or_(
    api_keys.c.expires_at.is_(None), api_keys.c.expires_at > func.now()
)
# Taken before the keys are counted, in a statement of its own: only the next one sees what whoever
# held the lock before has made.
_LOCK_OWNER = ScopedStatement(
    lambda guard: (
        select(users.c.id)
        .where(users.c.id == bindparam("of_user_id"), guard.owned(users.c.id))
        .with_for_update(key_share=True)
    )
)
_COUNT_GOOD = ScopedStatement(
    lambda guard: (
        select(func.count())
        .select_from(api_keys)
        .where(
            api_keys.c.user_id == bindparam("of_user_id"),
            _IS_GOOD_NOW,
            guard.owned(api_keys.c.user_id),
        )
    )
)
_INSERT = Statement(
    insert(api_keys).on_conflict_do_nothing(index_elements=["key_hash"]).returning(api_keys),
    columns=("user_id", "name", "key_hash", "prefix", "scopes", "expires_at"),
)
_LIST = ScopedStatement(
    lambda guard: (
        select(api_keys)
        .where(api_keys.c.user_id == bindparam("of_user_id"), guard.owned(api_keys.c.user_id))
        .order_by(api_keys.c.id)
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )
)
_COUNT = ScopedStatement(
    lambda guard: (
        select(func.count())
        .select_from(api_keys)
        .where(api_keys.c.user_id == bindparam("of_user_id"), guard.owned(api_keys.c.user_id))
    )
)
_REVOKE = ScopedStatement(
    lambda guard: (
        update(api_keys)
        .where(
            api_keys.c.id == bindparam("key_id"),
            api_keys.c.revoked_at.is_(None),
            guard.owned(api_keys.c.user_id),
        )
        .values(revoked_at=func.now())
    )
)
_GOOD = ScopedStatement(
    lambda guard: (
        select(api_keys.c.id)
        .join(users, users.c.id == api_keys.c.user_id)
        .where(
            api_keys.c.id == bindparam("key_id"),
            api_keys.c.revoked_at.is_(None),
            or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > bindparam("at")),
            users.c.is_active,
            users.c.closing_at.is_(None),
            guard.owned(api_keys.c.user_id),
        )
    )
)
_GOOD_AMONG = ScopedStatement(
    lambda guard: select(api_keys.c.id).where(
        api_keys.c.id == bindparam("ids", type_=ARRAY(BigInteger)).any_(),
        _IS_GOOD_NOW,
        guard.owned(api_keys.c.user_id),
    )
)
_TOUCH = ScopedStatement(
    lambda guard: (
        update(api_keys)
        .where(api_keys.c.id == bindparam("key_id"), guard.owned(api_keys.c.user_id))
        .values(last_used_at=bindparam("at"))
    )
)


class ApiKeyRepository(Repository):
    """Root and the system see the keys of all users, others see their own."""

    async def create(
        self,
        user_id: int,
        *,
        name: str,
        key_hash: str,
        prefix: str,
        scopes: Sequence[str] = (),
        expires_at: datetime | None = None,
    ) -> ApiKey:
        """Keep a key by its hash.

        Raises:
            NotFound: There is no such user, or none whose keys the scope administers.
            TooManyKeys: The user has `GOOD_KEYS_MAX` that are good.
            Conflict: The key exists.
        """
        owner = {"of_user_id": user_id}
        if await self._first(_LOCK_OWNER.administered_by(self._scope), owner) is None:
            raise NotFound(f"no user {user_id!r}")
        (counted,) = await self._all(_COUNT_GOOD.administered_by(self._scope), owner)
        if counted[0] >= GOOD_KEYS_MAX:
            raise TooManyKeys(f"user {user_id!r} has {GOOD_KEYS_MAX} keys")
        row = await self._first(
            _INSERT,
            {
                "user_id": user_id,
                "name": self._key_ring.encrypt_json(name, context=_context(user_id)),
                "key_hash": key_hash,
                "prefix": prefix,
                "scopes": scopes,
                "expires_at": expires_at,
            },
        )
        if row is None:
            raise Conflict("the API key exists")
        return self._read(row)

    async def list(self, user_id: int, *, limit: int = 50, offset: int = 0) -> Page[ApiKey]:
        """Return a user's keys, the revoked ones too, oldest first."""
        return await self._page(
            _LIST.administered_by(self._scope),
            _COUNT.administered_by(self._scope),
            {"of_user_id": user_id},
            limit=limit,
            offset=offset,
            read=self._read,
        )

    async def revoke(self, key_id: int) -> None:
        """End a key at once, and with it the logins that were opened with it, on all replicas.

        Raises:
            NotFound: There is none that the scope sees, or it is revoked already.
        """
        if not await self._change(_REVOKE.administered_by(self._scope), {"key_id": key_id}):
            raise NotFound(f"no API key {key_id!r}")
        logins = LoginSessionRepository(self._transaction, self._scope, self._key_ring)
        await logins.revoke_of_key(key_id)
        await self._notify(Channel.KEY_REVOKED, str(key_id))

    async def ended(self, key_ids: Collection[int]) -> frozenset[int]:
        """Return those of the keys that are over, or are none that the scope sees."""
        statement = _GOOD_AMONG.administered_by(self._scope)
        rows = await self._all(statement, {"ids": list(key_ids)}) if key_ids else []
        return frozenset(key_ids) - {row["id"] for row in rows}

    async def is_good(self, key_id: int, at: datetime) -> bool:
        """Whether a key lets its user in."""
        parameters = {"key_id": key_id, "at": at}
        return await self._first(_GOOD.administered_by(self._scope), parameters) is not None

    async def touch(self, key_id: int, at: datetime) -> None:
        """Note when a key was last used."""
        parameters = {"key_id": key_id, "at": at}
        await self._change(_TOUCH.administered_by(self._scope), parameters)

    def _read(self, row: Row) -> ApiKey:
        return ApiKey(
            id=row["id"],
            user_id=row["user_id"],
            name=self._key_ring.decrypt_json(row["name"], context=_context(row["user_id"])),
            prefix=row["prefix"],
            scopes=tuple(row["scopes"]),
            expires_at=row["expires_at"],
            last_used_at=row["last_used_at"],
            revoked_at=row["revoked_at"],
            created_at=row["created_at"],
        )


def _context(user_id: int) -> str:
    return f"api_keys.name/{user_id}"
