"""Rules about tool calls on PostgreSQL: what is kept, and what groups' admins may make."""

from dataclasses import replace
from typing import Any

import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import AccessDenied
from persistence.rule_records import NewToolPolicy

ROOT = AccessScope(user_id=1, is_root=True)


def rule(**values: Any) -> NewToolPolicy:
    return NewToolPolicy(**{"group_id": None, "tool": "mail.*", "verdict": "deny", **values})


async def make(database: Database, scope: AccessScope, policy: NewToolPolicy) -> int:
    async with database.unit_of_work(scope) as uow:
        made = await uow.tool_policies.create(policy)
        await uow.commit()
    return made.id


async def test_a_rule_is_read_back_as_it_was_made(
    database: Database, scope: AccessScope, crew_id: int
):
    policy = rule(group_id=crew_id, arguments={"to": "*@x", "n": 5, "b": None}, reason="why")
    policy_id = await make(database, scope, policy)
    async with database.unit_of_work(scope) as uow:
        found = await uow.tool_policies.get(policy_id)
    assert {name: getattr(found, name) for name in vars(policy)} == vars(policy)


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
