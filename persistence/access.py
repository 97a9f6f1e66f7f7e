"""Who may see what: the scope that every repository works under, and how it reads in SQL."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, FromClause, bindparam, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.expression import ClauseElement
from sqlalchemy.types import BigInteger

from persistence.statements import Statement

_SYSTEM_USER_ID = 0


@dataclass(frozen=True, kw_only=True)
class AccessScope:
    """The caller, as far as access goes."""

    user_id: int
    group_ids: frozenset[int] = frozenset()
    """Groups whose shared documents the user may read."""
    is_root: bool = False
    """May administer users and keys; gives no look into other people's conversations."""
    reason: str | None = None
    """Why the system itself acts; such a scope sees every row."""

    @classmethod
    def system(cls, reason: str) -> "AccessScope":
        """Return the scope of the system itself, for authentication, recovery and the CLI."""
        return cls(user_id=_SYSTEM_USER_ID, reason=reason)

    @property
    def sees_all(self) -> bool:
        """Whether no row is hidden from this scope."""
        return self.reason is not None

    @property
    def administers(self) -> bool:
        """Whether other users' accounts and keys are in reach."""
        return self.is_root or self.sees_all

    @property
    def sql_parameters(self) -> dict[str, Any]:
        """The values behind the clauses below."""
        return {"scope_user_id": self.user_id, "scope_group_ids": self.group_ids}


class Guard(Protocol):
    """Gives the clause that guards a row; the one place where access is rendered to SQL."""

    def owned(self, owner_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Let pass what the scope's user owns."""
        ...

    def readable(self, table: FromClause) -> ColumnElement[bool]:
        """Let pass what the user owns and what is shared with one of the user's groups."""
        ...


class _UserGuard:
    """Restricts to the scope's user and groups."""

    def owned(self, owner_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return owner_id == bindparam("scope_user_id", type_=BigInteger)

    def readable(self, table: FromClause) -> ColumnElement[bool]:
        groups = bindparam("scope_group_ids", type_=ARRAY(BigInteger))
        shared = table.c.is_private.is_(False) & (table.c.group_id == groups.any_())
        return self.owned(table.c.owner_id) | shared


class _SystemGuard:
    """Restricts nothing."""

    def owned(self, owner_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return true()

    def readable(self, table: FromClause) -> ColumnElement[bool]:
        return true()


class ScopedStatement:
    """A statement in two readings: restricted to the scope's user, and unrestricted.

    Both are built once, at import, so that driver and database know them when a request comes.
    """

    def __init__(self, build: Callable[[Guard], ClauseElement]) -> None:
        self._restricted = Statement(build(_UserGuard()))
        self._unrestricted = Statement(build(_SystemGuard()))

    def under(self, scope: AccessScope) -> Statement:
        """Return the reading for rows that belong to one user."""
        return self._unrestricted if scope.sees_all else self._restricted

    def administered_by(self, scope: AccessScope) -> Statement:
        """Return the reading for accounts and keys, where root sees those of all users."""
        return self._unrestricted if scope.administers else self._restricted
