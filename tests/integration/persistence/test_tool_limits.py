"""Rules on what tool calls may take, on PostgreSQL: who sees, makes and changes which."""

from typing import Any

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import AccessDenied, DecryptionError, NotFound, TooManyToolLimits
from persistence.pool import APP_ROLE
from persistence.repositories.rules import RULES_OF_GROUP_MAX
from persistence.rule_records import NewToolLimit

ROOT = AccessScope(user_id=1, is_root=True)


def limit(**values: Any) -> NewToolLimit:
    return NewToolLimit(**{"group_id": None, "tool": "mail.*", "max_calls_per_run": 1, **values})


async def make(database: Database, scope: AccessScope, wanted: NewToolLimit) -> int:
    async with database.unit_of_work(scope) as uow:
        made = await uow.tool_limits.create(wanted)
        await uow.commit()
    return made.id


async def ids(database: Database, scope: AccessScope) -> list[int]:
    async with database.unit_of_work(scope) as uow:
        return [each.id for each in (await uow.tool_limits.list()).items]


async def test_a_limit_is_read_back_as_it_was_made_and_as_it_was_changed(
    database: Database, scope: AccessScope, crew_id: int
):
    limit_id = await make(database, scope, limit(group_id=crew_id, max_seconds=0.5))
    wanted = limit(group_id=crew_id, tool="x", max_result_chars=200, max_calls_per_run=None)
    async with database.unit_of_work(scope) as uow:
        made = await uow.tool_limits.get(limit_id)
        changed = await uow.tool_limits.change(limit_id, wanted)
        await uow.commit()
    assert (made.tool, made.max_seconds, made.max_calls_per_run) == ("mail.*", 0.5, 1)
    assert {name: getattr(changed, name) for name in vars(wanted)} == vars(wanted)


async def test_one_sees_the_limits_that_bind_one_and_changes_those_of_ones_group(
    database: Database,
    scope: AccessScope,
    crew_member: AccessScope,
    other_scope: AccessScope,
    crew_id: int,
):
    for_all = await make(database, ROOT, limit())
    of_group = await make(database, scope, limit(group_id=crew_id))
    assert await ids(database, scope) == await ids(database, crew_member) == [for_all, of_group]
    assert await ids(database, ROOT) == [for_all, of_group]
    assert await ids(database, other_scope) == [for_all]
    for who, limit_id, refusal in (
        (crew_member, of_group, AccessDenied),
        (other_scope, of_group, NotFound),
        (scope, for_all, AccessDenied),
    ):
        async with database.unit_of_work(who) as uow:
            with pytest.raises(refusal):
                await uow.tool_limits.change(limit_id, limit(group_id=crew_id))
            with pytest.raises(refusal):
                await uow.tool_limits.delete(limit_id)


async def test_a_limit_for_everybody_is_roots_to_make(database: Database, scope: AccessScope):
    with pytest.raises(AccessDenied):
        await make(database, scope, limit())
    with pytest.raises(NotFound):
        await make(database, ROOT, limit(group_id=999_999_999))


async def test_a_group_has_only_so_many_limits(
    database: Database, scope: AccessScope, crew_id: int
):
    async with database.unit_of_work(scope) as uow:
        for _ in range(RULES_OF_GROUP_MAX):
            await uow.tool_limits.create(limit(group_id=crew_id))
        with pytest.raises(TooManyToolLimits):
            await uow.tool_limits.create(limit(group_id=crew_id))


async def test_a_limit_that_was_moved_to_another_group_in_the_table_is_not_believed(
    database: Database, database_url: str, crew_id: int
):
    await make(database, ROOT, limit())
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"UPDATE tool_limits SET group_id = {crew_id}")
    await connection.close()
    with pytest.raises(DecryptionError):
        await ids(database, ROOT)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tool_limits SET group_id = NULL",
        "INSERT INTO tool_limits (body) VALUES ('')",
    ],
)
async def test_row_level_security_keeps_an_admin_to_the_group(
    database: Database, database_url: str, scope: AccessScope, crew_id: int, change: str
):
    await make(database, scope, limit(group_id=crew_id))
    app = await asyncpg.connect(database_url, server_settings={"role": APP_ROLE})
    await app.execute(f"BEGIN; {scope.sql_settings}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(change)
    await app.close()
