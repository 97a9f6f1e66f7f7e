"""Groups and memberships: who may change what, and who stays when two act at once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import (
    AccessDenied,
    GroupNameTaken,
    LastGroupAdmin,
    MembershipExists,
    NotFound,
)
from persistence.records import Group, GroupRole
from persistence.unit_of_work import UnitOfWork
from tests.fixtures.plaintext_scan import find_in_database
from tests.fixtures.rows import SYSTEM


async def make_group(database: Database, scope: AccessScope, name: str = "Crew") -> Group:
    async with database.unit_of_work(scope) as uow:
        group = await uow.groups.create(name, "What we do")
        await uow.commit()
    return group


async def take_in(
    database: Database,
    admin: AccessScope,
    group: Group,
    member: AccessScope,
    role: GroupRole = "member",
) -> None:
    async with database.unit_of_work(admin) as uow:
        await uow.memberships.add(group.id, member.user_id, role)
        await uow.commit()


async def act(
    database: Database, scope: AccessScope, work: Callable[[UnitOfWork], Awaitable[object]]
) -> object:
    async with database.unit_of_work(scope) as uow:
        result = await work(uow)
        await uow.commit()
    return result


async def test_who_makes_a_group_administers_it(database: Database, scope: AccessScope) -> None:
    made = await make_group(database, scope)
    assert (made.name, made.description) == ("Crew", "What we do")
    assert (made.role, made.member_count) == ("admin", 1)
    async with database.unit_of_work(scope) as uow:
        assert await uow.groups.get(made.id) == made
        assert (await uow.groups.list()).items == [made]
        assert await uow.groups.ids() == {made.id}
        [member] = await uow.memberships.list(made.id)
    assert (member.user_id, member.role) == (scope.user_id, "admin")


@pytest.mark.parametrize("name", ["crew", "  CREW\t", "\uff43\uff52\uff45\uff57"])
async def test_a_name_is_taken_once_however_it_is_written(
    database: Database, scope: AccessScope, other_scope: AccessScope, name: str
) -> None:
    await make_group(database, scope)
    with pytest.raises(GroupNameTaken):
        await make_group(database, other_scope, name)
    other = await make_group(database, other_scope, "Other")
    with pytest.raises(GroupNameTaken):
        await act(database, other_scope, lambda uow: uow.groups.update(other.id, name=name))


async def test_two_who_take_a_name_at_once_end_with_one_group(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    made = await asyncio.gather(
        *(make_group(database, each) for each in (scope, other_scope) * 3), return_exceptions=True
    )
    assert sum(isinstance(each, Group) for each in made) == 1
    assert sum(isinstance(each, GroupNameTaken) for each in made) == 5


async def test_a_renamed_group_keeps_its_text_and_frees_its_name(
    database: Database, scope: AccessScope
) -> None:
    group = await make_group(database, scope)
    async with database.unit_of_work(scope) as uow:
        renamed = await uow.groups.update(group.id, name=" Équipe 👍 ")
        await uow.commit()
    assert (renamed.name, renamed.description) == ("Équipe 👍", "What we do")
    await make_group(database, scope)


async def test_an_outsider_sees_no_group_and_changes_none(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    group = await make_group(database, scope)
    root = AccessScope(user_id=other_scope.user_id, is_root=True)
    for outsider in (other_scope, root):
        async with database.unit_of_work(outsider) as uow:
            assert (await uow.groups.list()).items == []
            assert await uow.groups.ids() == frozenset()
            assert await uow.memberships.list(group.id) == []
            for work in (
                uow.groups.get(group.id),
                uow.groups.update(group.id, name="Mine"),
                uow.groups.delete(group.id),
                uow.memberships.add(group.id, outsider.user_id, "admin"),
                uow.memberships.change_role(group.id, scope.user_id, "member"),
                uow.memberships.remove(group.id, scope.user_id),
                uow.memberships.remove(group.id, outsider.user_id),
            ):
                with pytest.raises(NotFound):
                    await work


async def test_a_member_sees_the_group_and_may_only_leave_it(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    group = await make_group(database, scope)
    await take_in(database, scope, group, other_scope)
    async with database.unit_of_work(other_scope) as uow:
        seen = await uow.groups.get(group.id)
        assert (seen.role, seen.member_count) == ("member", 2)
        assert len(await uow.memberships.list(group.id)) == 2
        for work in (
            uow.groups.update(group.id, name="Mine"),
            uow.groups.delete(group.id),
            uow.memberships.add(group.id, scope.user_id),
            uow.memberships.change_role(group.id, other_scope.user_id, "admin"),
            uow.memberships.remove(group.id, scope.user_id),
        ):
            with pytest.raises(AccessDenied):
                await work
        assert await uow.memberships.remove(group.id, other_scope.user_id) == "member"
        with pytest.raises(NotFound):
            await uow.groups.get(group.id)


async def test_nobody_is_taken_in_twice_or_who_cannot_call(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    group = await make_group(database, scope)
    await take_in(database, scope, group, other_scope)
    with pytest.raises(MembershipExists):
        await take_in(database, scope, group, other_scope)
    with pytest.raises(NotFound):
        await take_in(database, scope, group, AccessScope(user_id=10**9))
    await act(database, scope, lambda uow: uow.memberships.remove(group.id, other_scope.user_id))
    await act(database, SYSTEM, lambda uow: uow.users.set_active(other_scope.user_id, active=False))
    with pytest.raises(NotFound):
        await take_in(database, scope, group, other_scope)


async def test_the_last_admin_who_can_act_stays_one(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    group = await make_group(database, scope)
    await take_in(database, scope, group, other_scope)
    me = scope.user_id

    async def expect_last() -> None:
        async with database.unit_of_work(scope) as uow:
            with pytest.raises(LastGroupAdmin):
                await uow.memberships.remove(group.id, me)
            with pytest.raises(LastGroupAdmin):
                await uow.memberships.change_role(group.id, me, "member")

    await expect_last()
    await act(
        database,
        scope,
        lambda uow: uow.memberships.change_role(group.id, other_scope.user_id, "admin"),
    )
    await act(database, SYSTEM, lambda uow: uow.users.set_active(other_scope.user_id, active=False))
    await expect_last()
    await act(database, SYSTEM, lambda uow: uow.users.set_active(other_scope.user_id, active=True))
    was = await act(
        database, scope, lambda uow: uow.memberships.change_role(group.id, me, "member")
    )
    assert was == "admin"


async def test_of_two_admins_who_leave_at_once_one_stays(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    group = await make_group(database, scope)
    await take_in(database, scope, group, other_scope, "admin")

    async def leave(user: AccessScope) -> object:
        return await act(database, user, lambda uow: uow.memberships.remove(group.id, user.user_id))

    left = await asyncio.gather(leave(scope), leave(other_scope), return_exceptions=True)
    assert sorted(map(str, left)) == ["a group keeps at least one admin who can act", "admin"]


async def test_of_two_admins_who_demote_each_other_one_stays(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    group = await make_group(database, scope)
    await take_in(database, scope, group, other_scope, "admin")
    one, other = scope.user_id, other_scope.user_id
    done = await asyncio.gather(
        act(database, scope, lambda uow: uow.memberships.change_role(group.id, other, "member")),
        act(
            database, other_scope, lambda uow: uow.memberships.change_role(group.id, one, "member")
        ),
        return_exceptions=True,
    )
    assert sum(each == "admin" for each in done) == 1
    assert sum(isinstance(each, AccessDenied) for each in done) == 1


async def test_a_deleted_group_is_gone_for_its_members(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    group = await make_group(database, scope)
    await take_in(database, scope, group, other_scope)
    await act(database, scope, lambda uow: uow.groups.delete(group.id))
    for each in (scope, other_scope):
        async with database.unit_of_work(each) as uow:
            assert (await uow.groups.list()).total == 0
            with pytest.raises(NotFound):
                await uow.groups.get(group.id)


async def test_a_provider_puts_users_into_the_groups_it_names_and_takes_them_out(
    database: Database, scope: AccessScope
) -> None:
    async def sync(*names: str) -> tuple[int, int, int]:
        async with database.unit_of_work(SYSTEM) as uow:
            done = await uow.groups.sync_from_provider(scope.user_id, names)
            await uow.commit()
        return len(done.made), len(done.joined), len(done.left)

    async def mine() -> set[tuple[str, str | None]]:
        async with database.unit_of_work(scope) as uow:
            return {(each.name, each.role) for each in (await uow.groups.list()).items}

    local = await make_group(database, scope, "Local")
    assert await sync("Sales", " sales", "Ops", "  ") == (2, 2, 0)
    assert await sync("Sales", "Ops") == (0, 0, 0)
    assert await mine() == {("Local", "admin"), ("Sales", "member"), ("Ops", "member")}
    assert await sync("ops", "Board") == (1, 1, 1)
    assert await mine() == {("Local", "admin"), ("Ops", "member"), ("Board", "member")}
    assert await sync() == (0, 0, 2)
    assert await mine() == {(local.name, "admin")}


async def test_who_takes_a_name_before_the_provider_gets_nobody_by_it(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    squat = await make_group(database, scope, "Board")
    async with database.unit_of_work(SYSTEM) as uow:
        done = await uow.groups.sync_from_provider(other_scope.user_id, ["board", "Sales"])
        await uow.commit()
    assert (len(done.made), len(done.joined)) == (2, 2)
    async with database.unit_of_work(scope) as uow:
        assert (await uow.groups.get(squat.id)).member_count == 1
    async with database.unit_of_work(other_scope) as uow:
        given = {each.name: each.from_provider for each in (await uow.groups.list()).items}
    assert given == {"board": True, "Sales": True}
    assert not squat.from_provider


@pytest.mark.parametrize(
    "lookalike", ["finance", "Fin\u00adance", "Finance\u200b", " FINANCE\u200e "]
)
async def test_a_name_that_looks_like_another_is_taken(
    database: Database, scope: AccessScope, lookalike: str
) -> None:
    await make_group(database, scope, "Finance")
    with pytest.raises(GroupNameTaken):
        await make_group(database, scope, lookalike)


async def test_logins_at_once_make_each_group_once(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    names = ["Sales", "Ops", "Board", "Crew"]

    async def sync(user: AccessScope, order: list[str]) -> int:
        async with database.unit_of_work(SYSTEM) as uow:
            done = await uow.groups.sync_from_provider(user.user_id, order)
            await uow.commit()
        return len(done.made)

    made = await asyncio.gather(sync(scope, names), sync(other_scope, names[::-1]))
    assert sum(made) == 4
    for each in (scope, other_scope):
        async with database.unit_of_work(each) as uow:
            assert (await uow.groups.list()).total == 4


async def test_only_the_system_speaks_for_a_provider(
    database: Database, scope: AccessScope
) -> None:
    async with database.unit_of_work(scope) as uow:
        with pytest.raises(AccessDenied):
            await uow.groups.sync_from_provider(scope.user_id, ["Board"])


async def test_no_name_of_a_group_is_in_the_database_in_clear(
    database: Database, scope: AccessScope, database_url: str
) -> None:
    await make_group(database, scope, "Zeppelin builders")
    assert await find_in_database(database_url, "Zeppelin builders") == []
    assert await find_in_database(database_url, "What we do") == []
