"""A user's account as a whole: how much there is, and what stands in the way of its end."""

from typing import Any

from sqlalchemy import ScalarSelect, delete, exists, func, select

from persistence.access import Guard, ScopedStatement
from persistence.account_records import AccountCounts
from persistence.models import (
    api_keys,
    chat_sessions,
    documents,
    group_members,
    groups,
    messages,
    users,
)
from persistence.repositories.base import Repository

_OTHER = group_members.alias("other_memberships")


def _count(guard: Guard, owner: Any) -> ScalarSelect[int]:
    return select(func.count()).select_from(owner.table).where(guard.mine(owner)).scalar_subquery()


def _build_counts(guard: Guard) -> Any:
    said = (
        select(func.count())
        .select_from(messages)
        .join(chat_sessions, chat_sessions.c.id == messages.c.chat_session_id)
        .where(guard.mine(chat_sessions.c.user_id))
        .scalar_subquery()
    )
    size = select(func.coalesce(func.sum(documents.c.size_bytes), 0).cast(_BIGINT))
    return select(
        _count(guard, chat_sessions.c.user_id).label("sessions"),
        said.label("messages"),
        _count(guard, documents.c.owner_id).label("documents"),
        size.where(guard.mine(documents.c.owner_id)).scalar_subquery().label("bytes"),
        _count(guard, api_keys.c.user_id).label("api_keys"),
        _count(guard, group_members.c.user_id).label("groups"),
    )


def _others(guard: Guard) -> Any:
    """Whether anybody else is in the group."""
    return exists().where(_OTHER.c.group_id == groups.c.id, ~guard.mine(_OTHER.c.user_id))


def _other_admins(guard: Guard) -> Any:
    """Whether anybody else administers the group and can get in to do it."""
    return _others(guard).where(
        _OTHER.c.role == "admin",
        users.c.id == _OTHER.c.user_id,
        users.c.is_active,
        users.c.closing_at.is_(None),
    )


_BIGINT = documents.c.size_bytes.type
_COUNTS = ScopedStatement(_build_counts)
# Who adds something to the account has to look at its row, and waits.
_LOCK = ScopedStatement(
    lambda guard: select(users.c.id).where(guard.mine(users.c.id)).with_for_update()
)
# Two admins who leave at once would each find the other one there.
_LOCK_GROUPS = ScopedStatement(
    lambda guard: (
        select(groups.c.id)
        .where(guard.group_admin(groups.c.id))
        .order_by(groups.c.id)
        .with_for_update(key_share=True)
    )
)
_HELD_GROUPS = ScopedStatement(
    lambda guard: (
        select(groups.c.id)
        .where(guard.group_admin(groups.c.id), _others(guard), ~_other_admins(guard))
        .order_by(groups.c.id)
    )
)
_DELETE_LONE_GROUPS = ScopedStatement(
    lambda guard: (
        delete(groups)
        .where(
            groups.c.id == group_members.c.group_id,
            guard.mine(group_members.c.user_id),
            ~_others(guard),
        )
        .returning(groups.c.id)
    )
)
_LEAVE_GROUPS = ScopedStatement(
    lambda guard: (
        delete(group_members)
        .where(guard.mine(group_members.c.user_id))
        .returning(group_members.c.group_id)
    )
)


class AccountRepository(Repository):
    """What belongs to the scope's user, whatever else the scope may see."""

    async def counts(self) -> AccountCounts:
        """Return how much the user has."""
        [row] = await self._all(_COUNTS.under(self._scope), {})
        return AccountCounts(**row)

    async def lock(self) -> bool:
        """Keep anything from being added until the unit of work ends; False if it is deleted."""
        return await self._first(_LOCK.under(self._scope), {}) is not None

    async def held_groups(self) -> list[int]:
        """Return the groups that would be left to their members without an admin.

        Their memberships stay as they are until the unit of work ends.
        """
        await self._all(_LOCK_GROUPS.under(self._scope), {})
        return [row["id"] for row in await self._all(_HELD_GROUPS.under(self._scope), {})]

    async def delete_lone_groups(self) -> list[int]:
        """Delete the groups in which the user is alone; return which."""
        return [row["id"] for row in await self._all(_DELETE_LONE_GROUPS.under(self._scope), {})]

    async def leave_groups(self) -> list[int]:
        """End all memberships, and with them what was shared; return in which groups."""
        return [row["group_id"] for row in await self._all(_LEAVE_GROUPS.under(self._scope), {})]
