"""The groups."""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    LargeBinary,
    Select,
    Text,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from persistence.access import Guard, ScopedStatement
from persistence.errors import AccessDenied, Conflict, GroupNameTaken, NotFound
from persistence.models import group_members, groups
from persistence.records import Group, Page
from persistence.repositories.base import Repository
from persistence.statements import Statement
from persistence.transaction import Row

_GROUP = groups.c.id == bindparam("group", type_=BigInteger)
_MINE = group_members.alias("mine")
_EACH = group_members.alias("each_member")


def _select_groups(guard: Guard) -> Select[Any]:
    member_count = (
        select(func.count()).select_from(_EACH).where(_EACH.c.group_id == groups.c.id)
    ).scalar_subquery()
    of_caller = (_MINE.c.group_id == groups.c.id) & guard.mine(_MINE.c.user_id)
    return (
        select(groups, _MINE.c.role, member_count.label("member_count"))
        .outerjoin(_MINE, of_caller)
        .where(guard.member(groups.c.id))
    )


_CREATE = Statement(
    select(
        func.youworker_create_group(
            bindparam("name_hash", type_=Text), bindparam("body", type_=LargeBinary)
        ).label("id")
    )
)
_GET = ScopedStatement(lambda guard: _select_groups(guard).where(_GROUP))
_LIST = ScopedStatement(
    lambda guard: (
        _select_groups(guard)
        .order_by(groups.c.id)
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )
)
_COUNT = ScopedStatement(
    lambda guard: select(func.count()).select_from(groups).where(guard.member(groups.c.id))
)
_IDS = ScopedStatement(
    lambda guard: select(group_members.c.group_id).where(guard.mine(group_members.c.user_id))
)
_LOCK = ScopedStatement(
    lambda guard: (
        select(groups.c.id)
        .where(_GROUP, guard.group_admin(groups.c.id))
        .with_for_update(key_share=True)
    )
)
_UPDATE = ScopedStatement(
    lambda guard: (
        update(groups)
        .where(_GROUP, guard.group_admin(groups.c.id))
        .values(
            name_hash=bindparam("new_name_hash"),
            body=bindparam("new_body"),
            updated_at=func.now(),
        )
    )
)
_DELETE = ScopedStatement(
    lambda guard: delete(groups).where(_GROUP, guard.group_admin(groups.c.id))
)
_NAMED = groups.c.name_hash == bindparam("name_hashes", type_=ARRAY(Text)).any_()
_HOLDERS = ScopedStatement(
    lambda guard: select(groups.c.name_hash).where(_NAMED, guard.member(groups.c.id))
)
_JOIN_NAMED = ScopedStatement(
    lambda guard: (
        insert(group_members)
        .from_select(
            ["group_id", "user_id", "role", "from_provider"],
            select(
                groups.c.id,
                bindparam("member", type_=BigInteger),
                bindparam("new_role", type_=Text),
                groups.c.from_provider,
            )
            .where(_NAMED, groups.c.from_provider, guard.group_admin(groups.c.id))
            .order_by(groups.c.id),
        )
        .on_conflict_do_nothing()
        .returning(group_members.c.group_id)
    )
)
_LEAVE_UNNAMED = ScopedStatement(
    lambda guard: (
        delete(group_members)
        .where(
            group_members.c.user_id == bindparam("member", type_=BigInteger),
            group_members.c.from_provider,
            group_members.c.group_id == groups.c.id,
            groups.c.name_hash != bindparam("name_hashes", type_=ARRAY(Text)).all_(),
            guard.group_admin(group_members.c.group_id),
        )
        .returning(group_members.c.group_id)
    )
)


@dataclass(frozen=True, kw_only=True)
class ProviderSync:
    """What changed when an identity provider named a user's groups; ids of groups."""

    made: tuple[int, ...]
    """Groups that there were not; nobody administers them but the provider."""
    joined: tuple[int, ...]
    left: tuple[int, ...]


class GroupRepository(Repository):
    """One sees the groups that one is in, and changes those that one administers."""

    async def create(self, name: str, description: str = "") -> Group:
        """Make a group, with the scope's user as its admin.

        Raises:
            GroupNameTaken: There is a group of that name, whoever may see it.
        """
        group_id = await self._create(name, description)
        if group_id is None:
            raise GroupNameTaken("the group name is taken")
        return await self.get(group_id)

    async def get(self, group_id: int) -> Group:
        """Return a group.

        Raises:
            NotFound: There is none that the scope's user is in.
        """
        row = await self._first(_GET.under(self._scope), {"group": group_id})
        if row is None:
            raise NotFound(f"no group {group_id!r}")
        return self._read(row)

    async def list(self, *, limit: int = 50, offset: int = 0) -> Page[Group]:
        """Return the groups that the user is in, oldest first."""
        return await self._page(
            _LIST.under(self._scope),
            _COUNT.under(self._scope),
            {},
            limit=limit,
            offset=offset,
            read=self._read,
        )

    async def ids(self) -> frozenset[int]:
        """Return the ids of the groups that the user is in, the system being in none."""
        rows = await self._all(_IDS.under(self._scope), {})
        return frozenset(row["group_id"] for row in rows)

    async def administer(self, group_id: int) -> Group:
        """Return a group and let nobody else change it until the unit of work ends.

        Raises:
            NotFound: There is no such group that the scope's user is in.
            AccessDenied: The user does not administer it, or does no more after the wait.
        """
        await self._first(_LOCK.under(self._scope), {"group": group_id})
        group = await self.get(group_id)
        if group.role != "admin" and not self._scope.sees_all:
            raise AccessDenied("only an admin changes a group")
        return group

    async def update(
        self, group_id: int, *, name: str | None = None, description: str | None = None
    ) -> Group:
        """Change what is given.

        Raises:
            NotFound: There is no such group that the scope's user is in.
            AccessDenied: The user does not administer it.
            GroupNameTaken: There is another group of that name.
        """
        before = await self.administer(group_id)
        name = before.name if name is None else name.strip()
        description = before.description if description is None else description
        name_hash = self._hash(name, from_provider=before.from_provider)
        parameters = {
            "group": group_id,
            "new_name_hash": name_hash,
            "new_body": self._seal(name, description, name_hash),
        }
        try:
            await self._change(_UPDATE.under(self._scope), parameters)
        except Conflict as exc:
            raise GroupNameTaken("the group name is taken") from exc
        return await self.get(group_id)

    async def delete(self, group_id: int) -> None:
        """Delete a group; what was shared with it is its owners' alone again.

        Raises:
            NotFound: There is no such group that the scope's user is in.
            AccessDenied: The user does not administer it.
        """
        await self.administer(group_id)
        await self._change(_DELETE.under(self._scope), {"group": group_id})

    async def sync_from_provider(self, user_id: int, names: Collection[str]) -> ProviderSync:
        """Let a user be in the groups that an identity provider names, as a plain member.

        Groups that there are not are made. Memberships that the provider gave and names no more
        end; those that people gave here stay. The provider's names are apart from those that people
        give: nobody can take one before it, and it puts nobody into a group that people made.

        Raises:
            AccessDenied: The scope is not the system's.
        """
        if not self._scope.sees_all:
            raise AccessDenied("only the system speaks for an identity provider")
        named: dict[str, str] = {}
        for name in filter(_fold, names):
            named.setdefault(self._hash(name, from_provider=True), name)
        parameters = {"member": user_id, "name_hashes": sorted(named), "new_role": "member"}
        held = {
            row["name_hash"] for row in await self._all(_HOLDERS.under(self._scope), parameters)
        }
        # in one order, so that two logins that make the same groups do not wait for each other
        made = [await self._create(named[each]) for each in sorted(named.keys() - held)]
        joined = await self._all(_JOIN_NAMED.under(self._scope), parameters)
        left = await self._all(_LEAVE_UNNAMED.under(self._scope), parameters)
        return ProviderSync(
            made=tuple(each for each in made if each is not None),
            joined=tuple(row["group_id"] for row in joined),
            left=tuple(row["group_id"] for row in left),
        )

    async def _create(self, name: str, description: str = "") -> int | None:
        """Make a group unless its name is taken; return its id."""
        name_hash = self._hash(name, from_provider=self._scope.sees_all)
        body = self._seal(name.strip(), description, name_hash)
        row = await self._first(_CREATE, {"name_hash": name_hash, "body": body})
        return row["id"] if row is not None else None

    def _hash(self, name: str, *, from_provider: bool) -> str:
        space = "groups.provider_name" if from_provider else "groups.name"
        return self._key_ring.keyed_hash(f"{space}/{_fold(name)}")

    def _seal(self, name: str, description: str, name_hash: str) -> bytes:
        body = {"name": name, "description": description}
        return self._key_ring.encrypt_json(body, context=_context(name_hash))

    def _read(self, row: Row) -> Group:
        body = self._key_ring.decrypt_json(row["body"], context=_context(row["name_hash"]))
        return Group(
            id=row["id"],
            name=body["name"],
            description=body["description"],
            member_count=row["member_count"],
            role=row["role"],
            from_provider=row["from_provider"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
        )


def _fold(name: str) -> str:
    """What names have in common that look alike: without letter case, and marks without a shape."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    visible = (each for each in folded if unicodedata.category(each) != "Cf")
    return " ".join("".join(visible).split())


def _context(name_hash: str) -> str:
    """Where a group's text belongs: the database gives the id only once the text is in it."""
    return f"groups.body/{name_hash}"
