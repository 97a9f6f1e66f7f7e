"""Rules about tool calls on PostgreSQL: who sees, makes and changes which."""

from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import AccessDenied, DecryptionError, NotFound, TooManyPolicies
from persistence.pool import APP_ROLE
from persistence.repositories.rules import RULES_OF_GROUP_MAX
from persistence.rule_records import NewToolPolicy

ROOT = AccessScope(user_id=1, is_root=True)


def rule(**values: Any) -> NewToolPolicy:
    return NewToolPolicy(**{"group_id": None, "tool": "mail.*", "verdict": "deny", **values})


async def make(database: Database, scope: AccessScope, policy: NewToolPolicy) -> int:
    async with database.unit_of_work(scope) as uow:
        made = await uow.tool_policies.create(policy)
        await uow.commit()
    return made.id


async def ids(database: Database, scope: AccessScope) -> list[int]:
    async with database.unit_of_work(scope) as uow:
        return [each.id for each in (await uow.tool_policies.list()).items]


async def test_a_rule_is_read_back_as_it_was_made(
    database: Database, scope: AccessScope, crew_id: int
):
    policy = rule(group_id=crew_id, arguments={"to": "*@x", "n": 5, "b": None}, reason="why")
    policy_id = await make(database, scope, policy)
    async with database.unit_of_work(scope) as uow:
        found = await uow.tool_policies.get(policy_id)
    assert {name: getattr(found, name) for name in vars(policy)} == vars(policy)


async def test_one_sees_the_rules_that_bind_one(
    database: Database,
    scope: AccessScope,
    crew_member: AccessScope,
    other_scope: AccessScope,
    crew_id: int,
):
    for_all = await make(database, ROOT, rule())
    of_group = await make(database, scope, rule(group_id=crew_id))
    assert await ids(database, scope) == await ids(database, crew_member) == [for_all, of_group]
    assert await ids(database, ROOT) == [for_all, of_group]
    assert await ids(database, other_scope) == [for_all]
    async with database.unit_of_work(other_scope) as uow:
        with pytest.raises(NotFound):
            await uow.tool_policies.get(of_group)


@pytest.mark.parametrize(
    "values", [{"verdict": "allow"}, {"verdict": "ask", "approver": "either"}, {"group_id": None}]
)
async def test_an_admin_of_a_group_makes_and_changes_only_what_is_more_careful(
    database: Database, scope: AccessScope, crew_id: int, values: dict[str, Any]
):
    policy = rule(**{"group_id": crew_id, **values})
    with pytest.raises(AccessDenied):
        await make(database, scope, policy)
    made_by_root = await make(database, ROOT, policy)
    own = await make(database, scope, rule(group_id=crew_id))
    async with database.unit_of_work(scope) as uow:
        for policy_id, wanted in ((made_by_root, rule(group_id=crew_id)), (own, policy)):
            with pytest.raises(AccessDenied):
                await uow.tool_policies.change(policy_id, wanted)
        with pytest.raises(AccessDenied):
            await uow.tool_policies.delete(made_by_root)


async def test_a_rule_for_everybody_waits_for_no_groups_admins(
    database: Database, scope: AccessScope, crew_member: AccessScope, crew_id: int
):
    policy_id = await make(database, scope, rule(group_id=crew_id))
    for who, missing in ((crew_member, AccessDenied), (AccessScope(user_id=0), NotFound)):
        async with database.unit_of_work(who) as uow:
            with pytest.raises(missing):
                await uow.tool_policies.create(rule(group_id=crew_id))
            with pytest.raises(missing):
                await uow.tool_policies.delete(policy_id)
    async with database.unit_of_work(ROOT) as uow:
        with pytest.raises(NotFound):
            await uow.tool_policies.create(rule(group_id=999_999_999))


async def test_a_change_replaces_all_but_the_group(
    database: Database, scope: AccessScope, crew_id: int
):
    policy_id = await make(database, scope, rule(group_id=crew_id))
    wanted = rule(group_id=None, tool="x", verdict="allow", approver="either", reason="r")
    async with database.unit_of_work(ROOT) as uow:
        changed = await uow.tool_policies.change(policy_id, wanted)
        await uow.commit()
    async with database.unit_of_work(scope) as uow:
        assert await uow.tool_policies.get(policy_id) == changed
    assert replace(wanted, group_id=crew_id) == rule(
        **{name: getattr(changed, name) for name in vars(wanted)}
    )


async def test_a_group_has_only_so_many_rules(database: Database, scope: AccessScope, crew_id: int):
    async with database.unit_of_work(scope) as uow:
        for _ in range(RULES_OF_GROUP_MAX):
            await uow.tool_policies.create(rule(group_id=crew_id))
        with pytest.raises(TooManyPolicies):
            await uow.tool_policies.create(rule(group_id=crew_id))


async def test_a_verdict_that_was_changed_in_the_table_is_not_believed(
    database: Database, database_url: str
):
    await make(database, ROOT, rule())
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE tool_policies SET verdict = 'allow'")
    await connection.close()
    with pytest.raises(DecryptionError):
        await ids(database, ROOT)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tool_policies SET verdict = 'allow'",
        "UPDATE tool_policies SET approver = 'either'",
        "UPDATE tool_policies SET group_id = NULL",
        "INSERT INTO tool_policies (verdict, body) VALUES ('deny', '')",
        "INSERT INTO tool_policies (verdict, body, group_id) SELECT 'allow', '', id FROM groups",
    ],
)
async def test_row_level_security_keeps_an_admin_to_what_is_more_careful(
    database: Database, database_url: str, scope: AccessScope, crew_id: int, change: str
):
    await make(database, scope, rule(group_id=crew_id))
    app = await asyncpg.connect(database_url, server_settings={"role": APP_ROLE})
    await app.execute(f"BEGIN; {scope.sql_settings}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(change)
    await app.close()
