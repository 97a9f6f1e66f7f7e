"""Groups and who is in them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from persistence.database import Database
from persistence.errors import AccessDenied, NotFound, PersistenceError
from persistence.records import AuditEntry, Group, GroupRole, Member, Page
from persistence.retrieval import Retriever
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry, record_unsharing
from server.errors import GroupNotFound, NotGroupAdmin, ResourceNotFound, UserNotFound
from server.observability import describe
from server.security.principal import Origin, Principal

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class GroupWithMembers:
    """A group and everybody in it."""

    group: Group
    members: Sequence[Member]


class GroupService:
    """Groups of one principal at a time."""

    def __init__(self, database: Database, retriever: Retriever) -> None:
        self._database = database
        self._retriever = retriever

    async def create(
        self, principal: Principal, origin: Origin, name: str, description: str
    ) -> GroupWithMembers:
        """Makes a group that the principal administers.

        Raises:
            GroupNameTaken: There is a group of that name.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            group = await uow.groups.create(name, description)
            await uow.audit.record(
                _entry("group.create", principal, origin, group.id, after=_shown(group))
            )
            made = await _with_members(uow, group)
            await uow.commit()
        return made

    async def list_groups(self, principal: Principal, *, limit: int, offset: int) -> Page[Group]:
        """The groups that the principal is in, the oldest first."""
        async with self._database.unit_of_work(principal.scope) as uow:
            return await uow.groups.list(limit=limit, offset=offset)

    async def read(self, principal: Principal, group_id: int) -> GroupWithMembers:
        """A group.

        Raises:
            GroupNotFound: There is none that the principal is in.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            return await _with_members(uow, await _find(uow, group_id))

    async def update(
        self,
        principal: Principal,
        origin: Origin,
        group_id: int,
        *,
        name: str | None,
        description: str | None,
    ) -> GroupWithMembers:
        """Renames or describes a group anew.

        Raises:
            GroupNotFound: There is none that the principal is in.
            NotGroupAdmin: The principal does not administer it.
            GroupNameTaken: There is another group of that name.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            before = await _find(uow, group_id)
            with _refusals(missing=GroupNotFound):
                after = await uow.groups.update(group_id, name=name, description=description)
            await uow.audit.record(
                _entry(
                    "group.update",
                    principal,
                    origin,
                    group_id,
                    before=_shown(before),
                    after=_shown(after),
                )
            )
            changed = await _with_members(uow, after)
            await uow.commit()
        return changed

    async def delete(self, principal: Principal, origin: Origin, group_id: int) -> None:
        """Deletes a group; what was shared with it is its owners' alone again.

        Raises:
            GroupNotFound: There is none that the principal is in.
            NotGroupAdmin: The principal does not administer it.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            group = await _find(uow, group_id)
            shares = await uow.documents.shares(group_id=group_id)
            with _refusals(missing=GroupNotFound):
                await uow.groups.delete(group_id)
            await record_unsharing(uow, principal, origin, shares)
            await uow.audit.record(
                _entry("group.delete", principal, origin, group_id, before=_shown(group))
            )
            await uow.commit()
        await self._tidy_index(group_id)

    async def add_member(
        self, principal: Principal, origin: Origin, group_id: int, user_id: int, role: GroupRole
    ) -> Member:
        """Takes a user in.

        Raises:
            GroupNotFound: There is no such group that the principal is in.
            NotGroupAdmin: The principal does not administer it.
            UserNotFound: There is no such user, or none who is let in.
            MembershipExists: The user is in already.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            await _find(uow, group_id)
            with _refusals(missing=UserNotFound):
                member = await uow.memberships.add(group_id, user_id, role)
            await uow.audit.record(
                _entry("membership.create", principal, origin, group_id, user_id, after=role)
            )
            await uow.commit()
        return member

    async def change_member(
        self, principal: Principal, origin: Origin, group_id: int, user_id: int, role: GroupRole
    ) -> Member:
        """Gives a member another role.

        Raises:
            GroupNotFound: There is no such group that the principal is in.
            NotGroupAdmin: The principal does not administer it.
            UserNotFound: There is no such member.
            LastGroupAdmin: No admin would be left.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            await _find(uow, group_id)
            with _refusals(missing=UserNotFound):
                before = await uow.memberships.change_role(group_id, user_id, role)
            member = await uow.memberships.get(group_id, user_id)
            await uow.audit.record(
                _entry(
                    "membership.change",
                    principal,
                    origin,
                    group_id,
                    user_id,
                    before=before,
                    after=role,
                )
            )
            await uow.commit()
        return member

    async def remove_member(
        self, principal: Principal, origin: Origin, group_id: int, user_id: int
    ) -> None:
        """Ends a membership: one's own, or as an admin anybody's.

        Raises:
            GroupNotFound: There is no such group that the principal is in.
            NotGroupAdmin: It is another's, and the principal does not administer the group.
            UserNotFound: There is no such member.
            LastGroupAdmin: No admin would be left.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            await _find(uow, group_id)
            shares = await uow.documents.shares(group_id=group_id, owner_id=user_id)
            with _refusals(missing=UserNotFound):
                role = await uow.memberships.remove(group_id, user_id)
            await record_unsharing(uow, principal, origin, shares)
            await uow.audit.record(
                _entry("membership.delete", principal, origin, group_id, user_id, before=role)
            )
            await uow.commit()
        await self._tidy_index(group_id, owner_id=user_id)

    async def _tidy_index(self, group_id: int, *, owner_id: int | None = None) -> None:
        """Has searches no longer look at what is shared no more.

        What they would find is judged by the database all the same, so this may fail.
        """
        try:
            await self._retriever.unshare(group_id, owner_id=owner_id)
        except PersistenceError as exc:
            log.warning("index_not_tidied", group_id=group_id, **describe(exc))


async def _find(uow: UnitOfWork, group_id: int) -> Group:
    try:
        return await uow.groups.get(group_id)
    except NotFound as exc:
        raise GroupNotFound from exc


async def _with_members(uow: UnitOfWork, group: Group) -> GroupWithMembers:
    return GroupWithMembers(group=group, members=await uow.memberships.list(group.id))


@contextmanager
def _refusals(*, missing: type[ResourceNotFound]) -> Iterator[None]:
    """Translates what is refused to somebody who is in the group."""
    try:
        yield
    except AccessDenied as exc:
        raise NotGroupAdmin from exc
    except NotFound as exc:
        raise missing from exc


def _entry(
    action: str,
    principal: Principal,
    origin: Origin,
    group_id: int,
    user_id: int | None = None,
    *,
    before: object = None,
    after: object = None,
) -> AuditEntry:
    """The entry for what was done to a group, or to a user's membership of it."""
    resource = ("group", str(group_id))
    if user_id is not None:
        resource = ("membership", f"{group_id}/{user_id}")
    return audit_entry(
        action,
        principal,
        origin,
        resource=resource,
        group_id=group_id,
        details={"before": before, "after": after},
    )


def _shown(group: Group) -> dict[str, str]:
    return {"name": group.name, "description": group.description}
