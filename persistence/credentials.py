"""Whose a credential is: asked once for each request, before there is anybody to act for."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, bindparam, text

from persistence.account_records import KeyOwner, Login, LoginOwner, User
from persistence.autocommit import Autocommit
from persistence.identifiers import plain_uuid
from persistence.statements import Statement
from persistence.transaction import Row

# The application's role sees no row without a principal; these functions find one row for whoever
# knows its secret.
_FIND_KEY = Statement(
    text("SELECT * FROM youworker_find_key(:key_hash)").bindparams(
        bindparam("key_hash", type_=Text)
    )
)
_FIND_LOGIN = Statement(
    text("SELECT * FROM youworker_find_login(:login_id)").bindparams(
        bindparam("login_id", type_=Uuid)
    )
)


class CredentialStore:
    """Finds keys and logins in one round trip each, without a transaction around it."""

    def __init__(self, database: Autocommit) -> None:
        self._database = database

    async def find_key(self, key_hash: str) -> KeyOwner | None:
        """Return the key of that hash and its user; whether it is good is not judged.

        Raises:
            DatabaseUnavailable: The database cannot be reached or broke off.
        """
        row = await self._first(_FIND_KEY, {"key_hash": key_hash})
        if row is None:
            return None
        return KeyOwner(
            key_id=row["id"],
            user=_user(row),
            scopes=tuple(row["scopes"]),
            expires_at=row["expires_at"],
            last_used_at=row["last_used_at"],
            revoked_at=row["revoked_at"],
        )

    async def find_login(self, login_id: UUID) -> LoginOwner | None:
        """Return a login and its user; whether it is good is not judged.

        Raises:
            DatabaseUnavailable: The database cannot be reached or broke off.
        """
        row = await self._first(_FIND_LOGIN, {"login_id": login_id})
        if row is None:
            return None
        login = read_login(row)
        return LoginOwner(login=login, user=_user(row), key_expires_at=row["key_expires_at"])

    async def _first(self, statement: Statement, values: Mapping[str, Any]) -> Row | None:
        rows = await self._database.fetch(statement, values)
        return rows[0] if rows else None


def read_login(row: Row) -> Login:
    """Return the login that a row of its table, or of the function above, holds."""
    return Login(
        id=plain_uuid(row["id"]),
        user_id=row["user_id"],
        api_key_id=row["api_key_id"],
        root_key_hash=row["root_key_hash"],
        method=row["method"],
        scopes=tuple(row["scopes"]),
        generation=row["generation"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        created_at=row["created_at"],
    )


def _user(row: Row) -> User:
    return User(
        id=row["user_id"],
        username=row["username"],
        is_root=row["is_root"],
        is_active=row["is_active"],
        created_at=row["user_created_at"],
    )
