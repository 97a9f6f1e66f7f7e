"""What the rules of an installation and of its groups let calls take."""

import asyncio
from typing import Any

import asyncpg
import pytest

from graph.call_budget import CallBudget, RunLimits
from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import DecryptionError
from persistence.notifications import Channel, Notifications, open_notifications
from persistence.rule_records import NewToolLimit
from server.security.group_memberships import GroupMemberships
from server.security.tool_limits import ToolLimits
from tests.fixtures.rows import create_user
from tests.integration.server.test_tool_policies import ROOT, make_group
from tools.calls import CallLimits

INSTALLATION = CallBudget(id=0, tools="*", most=64)


def limits_in(database: Database, notifications: Notifications | None = None) -> ToolLimits:
    memberships = GroupMemberships(database)
    limits = ToolLimits(database, memberships, calls_per_run=64)
    if notifications is not None:
        memberships.follow(notifications)
        limits.follow(notifications)
    return limits


async def make(database: Database, **values: Any) -> int:
    wanted = NewToolLimit(**{"group_id": None, "tool": "*", **values})
    async with database.unit_of_work(ROOT) as uow:
        made = await uow.tool_limits.create(wanted)
        await uow.commit()
    return made.id


async def look(database: Database, scope: AccessScope) -> RunLimits:
    return await limits_in(database).for_caller(scope)()


async def test_without_rules_the_settings_alone_limit(database: Database, scope: AccessScope):
    found = await look(database, scope)
    assert found.for_call("mail.send") == CallLimits()
    assert found.budgets("mail.send") == [INSTALLATION]


async def test_the_strictest_rule_counts_for_each_limit_by_itself(
    database: Database, scope: AccessScope
):
    await make(database, max_seconds=30, max_result_chars=500)
    await make(database, tool="mail.*", max_seconds=5)
    await make(database, tool="mail.send", max_seconds=7.5, max_result_chars=9_000)
    found = await look(database, scope)
    assert found.for_call("mail.send") == CallLimits(seconds=5, result_chars=500)
    assert found.for_call("web.fetch") == CallLimits(seconds=30, result_chars=500)


async def test_every_rule_counts_calls_by_itself_the_smallest_first(
    database: Database, scope: AccessScope
):
    wide = await make(database, tool="mail.*", max_calls_per_run=99)
    narrow = await make(database, tool="Mail.Send", max_calls_per_run=1)
    await make(database, tool="mail.*", max_seconds=1)
    found = await look(database, scope)
    assert found.budgets("mail.send") == [
        CallBudget(id=narrow, tools="Mail.Send", most=1),
        INSTALLATION,
        CallBudget(id=wide, tools="mail.*", most=99),
    ]


async def test_a_groups_limits_bind_its_members_as_long_as_they_are_in_it(
    database: Database, scope: AccessScope, other_scope: AccessScope
):
    group_id = await make_group(database, other_scope, scope)
    stranger = AccessScope(user_id=(await create_user(database)).id)
    await make(database, group_id=group_id, max_seconds=2)
    async with open_notifications(database.dsn) as notifications:
        limits = limits_in(database, notifications)

        async def seconds(of: AccessScope) -> float | None:
            return (await limits.for_caller(of)()).for_call("mail.send").seconds

        assert await seconds(scope) == await seconds(other_scope) == 2
        assert await seconds(stranger) is None
        heard = asyncio.Event()
        notifications.subscribe(Channel.MEMBERSHIP_CHANGED, lambda _: heard.set())
        async with database.unit_of_work(scope) as uow:
            await uow.memberships.remove(group_id, scope.user_id)
            await uow.commit()
        await asyncio.wait_for(heard.wait(), 10)
        assert await seconds(scope) is None


async def test_a_change_on_any_replica_is_heard_by_all_and_nothing_is_asked_meanwhile(
    database: Database, scope: AccessScope
):
    async with open_notifications(database.dsn) as notifications:
        limits = limits_in(database, notifications)
        look_here = limits.for_caller(scope)
        assert (await look_here()).for_call("mail.send") == CallLimits()
        known = await limits.rules()
        assert await limits.rules() is known
        heard = asyncio.Event()
        notifications.subscribe(Channel.TOOL_LIMIT_CHANGED, lambda _: heard.set())
        await make(database, max_seconds=3)
        await asyncio.wait_for(heard.wait(), 10)
        assert (await look_here()).for_call("mail.send") == CallLimits(seconds=3)


async def test_a_limit_that_was_tampered_with_lets_no_call_through(
    database: Database, database_url: str, scope: AccessScope
):
    group_id = await make_group(database, scope)
    await make(database, max_seconds=3)
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"UPDATE tool_limits SET group_id = {group_id}")
    await connection.close()
    with pytest.raises(DecryptionError):
        await look(database, scope)
