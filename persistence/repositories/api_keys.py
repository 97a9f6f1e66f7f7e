"""The API keys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from persistence.access import ScopedStatement
from persistence.errors import Conflict, NotFound
from persistence.models import api_keys, users
from persistence.records import ApiKey
from persistence.repositories.base import Repository
from persistence.statements import Statement
from persistence.transaction import Row

_INSERT = Statement(
    insert(api_keys).on_conflict_do_nothing(index_elements=["key_hash"]).returning(api_keys),
    columns=("user_id", "name", "key_hash", "prefix", "scopes", "expires_at"),
)
_LIST = ScopedStatement(
    lambda guard: (
        select(api_keys)
        .where(api_keys.c.user_id == bindparam("user_id"), guard.owned(api_keys.c.user_id))
        .order_by(api_keys.c.id)
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
            NotFound: The scope does not administer that user's keys.
            Conflict: The key exists, or the user does not.
        """
        if user_id != self._scope.user_id and not self._scope.administers:
            raise NotFound(f"no user {user_id!r}")
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

    async def list(self, user_id: int) -> list[ApiKey]:
        """Return a user's keys, the revoked ones too, oldest first."""
        rows = await self._all(_LIST.administered_by(self._scope), {"user_id": user_id})
        return [self._read(row) for row in rows]

    async def revoke(self, key_id: int) -> None:
        """Revoke a key at once.

        Raises:
            NotFound: There is none that the scope sees, or it is revoked already.
        """
        if not await self._change(_REVOKE.administered_by(self._scope), {"key_id": key_id}):
            raise NotFound(f"no API key {key_id!r}")

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
