"""What holds for all rules, on PostgreSQL: who sees, makes and changes which."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import (
    AccessDenied,
    DecryptionError,
    NotFound,
    TooManyPolicies,
    TooManyToolLimits,
)
from persistence.pool import APP_ROLE
from persistence.repositories.rules import RULES_OF_GROUP_MAX, RuleRepository
from persistence.rule_records import NewToolLimit, NewToolPolicy
from persistence.unit_of_work import UnitOfWork

ROOT = AccessScope(user_id=1, is_root=True)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of rule."""

    table: str
    new: Callable[..., Any]
    rules: Callable[[UnitOfWork], RuleRepository[Any, Any]]
    too_many: type[Exception]

    def rule(self, group_id: int | None = None) -> Any:
        return self.new(group_id=group_id, tool="mail.*")

    async def make(
        self, database: Database, scope: AccessScope, group_id: int | None = None
    ) -> int:
        async with database.unit_of_work(scope) as uow:
            made = await self.rules(uow).create(self.rule(group_id))
            await uow.commit()
        return int(made.id)

    async def ids(self, database: Database, scope: AccessScope) -> list[int]:
        async with database.unit_of_work(scope) as uow:
            return [each.id for each in (await self.rules(uow).list()).items]


POLICIES = Kind(
    table="tool_policies",
    new=lambda **values: NewToolPolicy(verdict="deny", **values),
    rules=lambda uow: uow.tool_policies,
    too_many=TooManyPolicies,
)
LIMITS = Kind(
    table="tool_limits",
    new=lambda **values: NewToolLimit(max_calls_per_run=1, **values),
    rules=lambda uow: uow.tool_limits,
    too_many=TooManyToolLimits,
)
KINDS = pytest.mark.parametrize("kind", [POLICIES, LIMITS], ids=["policies", "limits"])


@KINDS
async def test_one_sees_the_rules_that_bind_one_and_changes_those_of_ones_group(
    database: Database,
    scope: AccessScope,
    crew_member: AccessScope,
    other_scope: AccessScope,
    crew_id: int,
    kind: Kind,
):
    for_all = await kind.make(database, ROOT)
    of_group = await kind.make(database, scope, crew_id)
    for who in (scope, crew_member, ROOT):
        assert await kind.ids(database, who) == [for_all, of_group]
    assert await kind.ids(database, other_scope) == [for_all]
    async with database.unit_of_work(other_scope) as uow:
        with pytest.raises(NotFound):
            await kind.rules(uow).get(of_group)
    for who, rule_id, refusal in (
        (crew_member, of_group, AccessDenied),
        (other_scope, of_group, NotFound),
        (scope, for_all, AccessDenied),
    ):
        async with database.unit_of_work(who) as uow:
            with pytest.raises(refusal):
                await kind.rules(uow).change(rule_id, kind.rule(crew_id))
            with pytest.raises(refusal):
                await kind.rules(uow).delete(rule_id)


@KINDS
async def test_who_is_not_a_groups_admin_makes_none_for_it_and_root_only_for_groups_that_are(
    database: Database,
    scope: AccessScope,
    crew_member: AccessScope,
    other_scope: AccessScope,
    crew_id: int,
    kind: Kind,
):
    for who, group_id, refusal in (
        (scope, None, AccessDenied),
        (crew_member, crew_id, AccessDenied),
        (other_scope, crew_id, NotFound),
        (ROOT, 999_999_999, NotFound),
    ):
        with pytest.raises(refusal):
            await kind.make(database, who, group_id)


@KINDS
async def test_a_group_has_only_so_many(
    database: Database, scope: AccessScope, crew_id: int, kind: Kind
):
    async with database.unit_of_work(scope) as uow:
        for _ in range(RULES_OF_GROUP_MAX):
            await kind.rules(uow).create(kind.rule(crew_id))
        with pytest.raises(kind.too_many):
            await kind.rules(uow).create(kind.rule(crew_id))


@pytest.mark.parametrize(
    ("kind", "change"),
    [(POLICIES, "verdict = 'allow'"), (POLICIES, "group_id = {}"), (LIMITS, "group_id = {}")],
)
async def test_one_that_was_changed_in_the_table_is_not_believed(
    database: Database, database_url: str, crew_id: int, kind: Kind, change: str
):
    await kind.make(database, ROOT)
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"UPDATE {kind.table} SET {change.format(crew_id)}")
    await connection.close()
    with pytest.raises(DecryptionError):
        await kind.ids(database, ROOT)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (POLICIES, "UPDATE tool_policies SET verdict = 'allow'"),
        (POLICIES, "UPDATE tool_policies SET approver = 'either'"),
        (POLICIES, "UPDATE tool_policies SET group_id = NULL"),
        (POLICIES, "INSERT INTO tool_policies (verdict, body) VALUES ('deny', '')"),
        (POLICIES, "INSERT INTO tool_policies (verdict, body, group_id) VALUES ('allow', '', {})"),
        (LIMITS, "UPDATE tool_limits SET group_id = NULL"),
        (LIMITS, "INSERT INTO tool_limits (body) VALUES ('')"),
    ],
)
async def test_row_level_security_keeps_an_admin_to_the_group_and_to_what_is_more_careful(
    database: Database,
    database_url: str,
    scope: AccessScope,
    crew_id: int,
    kind: Kind,
    change: str,
):
    await kind.make(database, scope, crew_id)
    app = await asyncpg.connect(database_url, server_settings={"role": APP_ROLE})
    await app.execute(f"BEGIN; {scope.sql_settings}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(change.format(crew_id))
    await app.close()
