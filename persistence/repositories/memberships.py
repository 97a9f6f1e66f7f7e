"""Who is in which group, and as what."""

from typing import Any

from sqlalchemy import BigInteger, Select, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from persistence.access import AccessScope, Guard, ScopedStatement
from persistence.encryption import KeyRing
from persistence.errors import LastGroupAdmin, MembershipExists, NotFound
from persistence.models import group_members, users
from persistence.records import GroupRole, Member
from persistence.repositories.base import Repository
from persistence.repositories.groups import GroupRepository
from persistence.statements import Statement
from persistence.transaction import Row, Transaction

_OF_GROUP = group_members.c.group_id == bindparam("group", type_=BigInteger)
_OF_MEMBER = group_members.c.user_id == bindparam("member", type_=BigInteger)


def _select_members(guard: Guard) -> Select[Any]:
    return (
        select(group_members, users.c.username)
        .join(users, users.c.id == group_members.c.user_id)
        .where(_OF_GROUP, guard.member(group_members.c.group_id))
    )


_LIST = ScopedStatement(
    lambda guard: _select_members(guard).order_by(
        group_members.c.joined_at, group_members.c.user_id
    )
)
_GET = ScopedStatement(lambda guard: _select_members(guard).where(_OF_MEMBER))
_MAY_JOIN = Statement(
    select(func.youworker_may_join(bindparam("member", type_=BigInteger)).label("may_join"))
)
_ADD = Statement(  # only ever run by who administers the group, which `administer` made sure of
    insert(group_members).on_conflict_do_nothing().returning(group_members.c.user_id),
    columns=("group_id", "user_id", "role"),
)
_SET_ROLE = ScopedStatement(
    lambda guard: (
        update(group_members)
        .where(_OF_GROUP, _OF_MEMBER, guard.group_admin(group_members.c.group_id))
        .values(role=bindparam("new_role"))
    )
)
_REMOVE = ScopedStatement(
    lambda guard: delete(group_members).where(
        _OF_GROUP, _OF_MEMBER, guard.group_admin(group_members.c.group_id)
    )
)
_LEAVE_AS_MEMBER = ScopedStatement(
    lambda guard: delete(group_members).where(
        _OF_GROUP,
        _OF_MEMBER,
        group_members.c.role == "member",  # who was made an admin meanwhile may be the last one
        guard.mine(group_members.c.user_id),
    )
)
_OTHER_ADMINS = ScopedStatement(
    lambda guard: (
        select(func.count())
        .select_from(group_members.join(users, users.c.id == group_members.c.user_id))
        .where(
            _OF_GROUP,
            group_members.c.user_id != bindparam("member", type_=BigInteger),
            group_members.c.role == "admin",
            users.c.is_active,
            users.c.closing_at.is_(None),
            guard.member(group_members.c.group_id),
        )
    )
)


class MembershipRepository(Repository):
    """One sees who else is in one's groups; admins take people in and put them out."""

    @override
    def __init__(
        self,
        transaction: Transaction,
        scope: AccessScope,
        key_ring: KeyRing,
        groups: GroupRepository,
    ) -> None:
        super().__init__(transaction, scope, key_ring)
        self._groups = groups

    async def list(self, group_id: int) -> list[Member]:
        """Return who is in a group, in the order in which they came."""
        rows = await self._all(_LIST.under(self._scope), {"group": group_id})
        return [_read(row) for row in rows]

    async def get(self, group_id: int, user_id: int) -> Member:
        """Return one member.

        Raises:
            NotFound: There is none, or none that the scope sees.
        """
        row = await self._first(_GET.under(self._scope), {"group": group_id, "member": user_id})
        if row is None:
            raise NotFound(f"no member {user_id!r}")
        return _read(row)

    async def add(self, group_id: int, user_id: int, role: GroupRole = "member") -> Member:
        """Take a user in.

        Raises:
            NotFound: There is no such group that the scope's user is in, or no such active user.
            AccessDenied: The scope's user does not administer the group.
            MembershipExists: The other user is in already.
        """
        await self._groups.administer(group_id)
        candidate = await self._first(_MAY_JOIN, {"member": user_id})
        if candidate is None or not candidate["may_join"]:
            raise NotFound(f"no user {user_id!r}")
        parameters = {"group_id": group_id, "user_id": user_id, "role": role}
        if await self._first(_ADD, parameters) is None:
            raise MembershipExists(f"the user {user_id!r} is a member already")
        return await self.get(group_id, user_id)

    async def change_role(self, group_id: int, user_id: int, role: GroupRole) -> GroupRole:
        """Give a member a role; return the one that the member had.

        Raises:
            NotFound: There is no such group that the scope's user is in, or no such member.
            AccessDenied: The user does not administer the group.
            LastGroupAdmin: No admin would be left who can act.
        """
        await self._groups.administer(group_id)
        before = (await self.get(group_id, user_id)).role
        if before == "admin" and role != "admin":
            await self._require_other_admin(group_id, user_id)
        parameters = {"group": group_id, "member": user_id, "new_role": role}
        await self._change(_SET_ROLE.under(self._scope), parameters)
        return before

    async def remove(self, group_id: int, user_id: int) -> GroupRole:
        """End a membership, one's own or as an admin anybody's; return the role that ended.

        What the member shared with the group is the member's alone again.

        Raises:
            NotFound: There is no such group that the scope's user is in, or no such member.
            AccessDenied: It is another's membership, and the user does not administer the group.
            LastGroupAdmin: No admin would be left who can act.
        """
        parameters = {"group": group_id, "member": user_id}
        if await self._change(_LEAVE_AS_MEMBER.under(self._scope), parameters):
            return "member"
        await self._groups.administer(group_id)
        role = (await self.get(group_id, user_id)).role
        if role == "admin":
            await self._require_other_admin(group_id, user_id)
        await self._change(_REMOVE.under(self._scope), parameters)
        return role

    async def _require_other_admin(self, group_id: int, user_id: int) -> None:
        parameters = {"group": group_id, "member": user_id}
        row = await self._first(_OTHER_ADMINS.under(self._scope), parameters)
        if row is None or row[0] == 0:
            raise LastGroupAdmin("a group keeps at least one admin who can act")


def _read(row: Row) -> Member:
    return Member(
        user_id=row["user_id"],
        username=row["username"],
        role=row["role"],
        joined_at=row["joined_at"],
    )
