"""Who may see what: the scope that every repository works under, and how it reads in SQL.

It reads twice: as a clause of every statement, and as the settings by which row-level security
judges the same rows once more (migration 0003).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sqlalchemy import ColumnElement, FromClause, bindparam, exists, false, select, true
from sqlalchemy.sql.expression import ClauseElement
from sqlalchemy.types import BigInteger

from persistence.models import group_members, users
from persistence.statements import Statement

_SYSTEM_USER_ID = 0


@dataclass(frozen=True, kw_only=True)
class AccessScope:
    """The caller, as far as access goes.

    In which groups the user is, is asked of the database when it matters: a membership that ended
    gives nothing from that moment on, whatever was begun under it.
    """

    user_id: int
    group_ids: frozenset[int] = frozenset()
    """Groups whose documents the vector index may look at; only `Retriever` fills this in."""
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

    def owns(self, user_id: int) -> bool:
        """Whether what belongs to a user is in sight because the scope is that user's."""
        return self.sees_all or user_id == self.user_id

    @property
    def administers(self) -> bool:
        """Whether other users' accounts and keys are in reach."""
        return self.is_root or self.sees_all

    @property
    def role(self) -> Literal["user", "root", "system"]:
        """What row-level security takes the scope for."""
        if self.sees_all:
            return "system"
        return "root" if self.is_root else "user"

    @property
    def sql_parameters(self) -> dict[str, Any]:
        """The values behind the clauses below."""
        return {"scope_user_id": self.user_id}

    @property
    def sql_settings(self) -> str:
        """Statements that tell row-level security, until the transaction ends, who acts."""
        return (
            f"SET LOCAL youworker.user_id = '{int(self.user_id)}';"
            f"SET LOCAL youworker.role = '{self.role}'"
        )


class Guard(Protocol):
    """Gives the clause that guards a row; the one place where access is rendered to SQL."""

    def owned(self, owner_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Let pass what the scope's user owns."""
        ...

    def mine(self, owner_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Let pass what the scope's user owns, and to the system nothing."""
        ...

    def readable(self, documents: FromClause) -> ColumnElement[bool]:
        """Let pass documents that the user owns or that are shared with a group of the user's."""
        ...

    def member(self, group_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Let pass what belongs to a group that the user is in."""
        ...

    def group_admin(self, group_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Let pass what belongs to a group that the user administers."""
        ...

    def approval(self, approvals: FromClause) -> ColumnElement[bool]:
        """Let pass what the user was asked, and what admins of the user's groups may answer."""
        ...

    def may_answer(self, approvals: FromClause) -> ColumnElement[bool]:
        """Let pass what the user may answer.

        Where an approval is for a group's admins, they may as long as whoever asks is in the group.
        When the group has ended, or the asking user has left it, its rule binds that user no more
        and the approval is the user's own to answer. Nobody answers who was locked out.
        """
        ...

    def sets_policy(self, policies: FromClause) -> ColumnElement[bool]:
        """Let pass the rules that the user may make, change and delete.

        Those are the rules of groups that the user administers, as far as they only make more
        careful: anybody may make a group and take people in, and such a group must neither loosen
        a rule nor show its members' calls to its admins.
        """
        ...

    def installation(self) -> ColumnElement[bool]:
        """Let pass what belongs to the installation, and so to no user."""
        ...


class _UserGuard:
    """Restricts to the scope's user and groups."""

    def owned(self, owner_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return owner_id == _user_id()

    def mine(self, owner_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return owner_id == _user_id()

    def readable(self, documents: FromClause) -> ColumnElement[bool]:
        return self.owned(documents.c.owner_id) | self.member(documents.c.group_id)

    def member(self, group_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return group_id.in_(_groups())

    def group_admin(self, group_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return group_id.in_(_groups().where(_MINE.c.role == "admin"))

    def approval(self, approvals: FromClause) -> ColumnElement[bool]:
        return self.owned(approvals.c.user_id) | self._for_admin(approvals)

    def may_answer(self, approvals: FromClause) -> ColumnElement[bool]:
        own = self.owned(approvals.c.user_id) & (
            (approvals.c.approver != "group_admin") | ~_bound(approvals)
        )
        return (own | self._for_admin(approvals)) & _let_in()

    def sets_policy(self, policies: FromClause) -> ColumnElement[bool]:
        return (
            self.group_admin(policies.c.group_id)
            & (policies.c.verdict != "allow")
            & (policies.c.approver == "user")
        )

    def installation(self) -> ColumnElement[bool]:
        return false()

    def _for_admin(self, approvals: FromClause) -> ColumnElement[bool]:
        return (
            (approvals.c.approver != "user")
            & self.group_admin(approvals.c.group_id)
            & _bound(approvals)
        )


class _SystemGuard:
    """Restricts nothing."""

    def owned(self, owner_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return true()

    def mine(self, owner_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return owner_id == _user_id()

    def readable(self, documents: FromClause) -> ColumnElement[bool]:
        return true()

    def member(self, group_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return true()

    def group_admin(self, group_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return true()

    def approval(self, approvals: FromClause) -> ColumnElement[bool]:
        return true()

    def may_answer(self, approvals: FromClause) -> ColumnElement[bool]:
        return true()

    def sets_policy(self, policies: FromClause) -> ColumnElement[bool]:
        return true()

    def installation(self) -> ColumnElement[bool]:
        return true()


_MINE = group_members.alias("my_memberships")
_ASKER = group_members.alias("asking_member")
_ACTOR = users.alias("acting_user")


def _user_id() -> ColumnElement[int]:
    return bindparam("scope_user_id", type_=BigInteger)


def _groups() -> Any:
    return select(_MINE.c.group_id).where(_MINE.c.user_id == _user_id())


def _bound(approvals: FromClause) -> ColumnElement[bool]:
    """Whether who asks is in the group whose admins may answer."""
    return exists().where(
        _ASKER.c.group_id == approvals.c.group_id, _ASKER.c.user_id == approvals.c.user_id
    )


def _let_in() -> ColumnElement[bool]:
    """Whether the user may come in, now that the statement runs."""
    return exists().where(
        _ACTOR.c.id == _user_id(), _ACTOR.c.is_active, _ACTOR.c.closing_at.is_(None)
    )


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
