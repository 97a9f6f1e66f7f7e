"""How calls are judged by the rules of an installation and of its groups."""

import asyncio
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from graph.approvals import ProposedCall, Verdict
from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import DecryptionError
from persistence.notifications import Channel, open_notifications
from persistence.rule_records import NewToolPolicy
from server.security.tool_defaults import OPEN_WORLD, UNMARKED, UnruledCalls
from server.security.tool_policies import ToolPolicies
from server.security.tool_rules import FORBIDDEN
from tests.fixtures.rows import create_user

ROOT = AccessScope(user_id=1, is_root=True)


def call(tool: str = "mail.send", *, read_only: bool = False, **args: Any) -> ProposedCall:
    return ProposedCall(
        call_id="1", tool=tool, args=args, read_only=read_only, repeatable=read_only
    )


async def make(database: Database, **values: Any) -> int:
    policy = NewToolPolicy(**{"group_id": None, "tool": "*", "verdict": "ask", **values})
    async with database.unit_of_work(ROOT) as uow:
        made = await uow.tool_policies.create(policy)
        await uow.commit()
    return made.id


async def make_group(database: Database, admin: AccessScope, *members: AccessScope) -> int:
    async with database.unit_of_work(admin) as uow:
        group = await uow.groups.create(f"crew of {admin.user_id}", "")
        for member in members:
            await uow.memberships.add(group.id, member.user_id)
        await uow.commit()
    return group.id


async def judge(
    database: Database, scope: AccessScope, *calls: ProposedCall, unmarked: Any = "allow"
) -> list[Verdict]:
    return list(
        await ToolPolicies(database, unruled=UnruledCalls(unmarked=unmarked)).for_caller(scope)(
            calls
        )
    )


@pytest.mark.parametrize("unmarked", ["allow", "ask", "deny"])
async def test_without_a_rule_a_tool_that_only_reads_is_allowed_and_the_setting_is_for_others(
    database: Database, scope: AccessScope, unmarked: str
):
    reading, other = await judge(database, scope, call(read_only=True), call(), unmarked=unmarked)
    assert reading == Verdict(decision="allow")
    assert other.decision == unmarked
    assert other.reason == ("" if unmarked == "allow" else UNMARKED)


@pytest.mark.parametrize(
    ("unmarked", "open_world", "verdicts"),
    [
        ("ask", "allow", ["allow", "allow", "ask", "ask"]),
        ("ask", "ask", ["allow", "ask", "ask", "ask"]),
        ("ask", "deny", ["allow", "deny", "ask", "deny"]),
        ("allow", "ask", ["allow", "ask", "allow", "ask"]),
        ("deny", "ask", ["allow", "ask", "deny", "deny"]),
    ],
)
async def test_of_the_two_settings_the_stricter_counts(
    database: Database, scope: AccessScope, unmarked: Any, open_world: Any, verdicts: list[str]
):
    calls = [
        replace(call(read_only=read_only), open_world=reaches_out)
        for read_only in (True, False)
        for reaches_out in (False, True)
    ]
    unruled = UnruledCalls(unmarked=unmarked, open_world=open_world)
    found = await ToolPolicies(database, unruled=unruled).for_caller(scope)(calls)
    assert [each.decision for each in found] == verdicts


async def test_who_is_asked_about_a_tool_that_only_reads_hears_that_it_reaches_out(
    database: Database, scope: AccessScope
):
    unruled = UnruledCalls(unmarked="allow", open_world="ask")
    policies = ToolPolicies(database, unruled=unruled)
    [asked] = await policies.for_caller(scope)([call(read_only=True)])
    assert asked == Verdict(decision="ask", reason=OPEN_WORLD)
    await make(database, tool="mail.*", verdict="allow")
    policies.forget()
    assert (await policies.for_caller(scope)([call()]))[0].decision == "allow"


async def test_a_tool_that_a_setting_denies_is_not_offered_unless_some_of_its_calls_are_allowed(
    database: Database,
):
    unruled = UnruledCalls(unmarked="allow", open_world="deny")
    policies = ToolPolicies(database, unruled=unruled)
    fetch = call("web.fetch", read_only=True)

    async def standing() -> Verdict:
        return policies.standing(await policies.rules(), fetch.tool, (), fetch)

    assert policies.denies_unruled
    assert await standing() == Verdict(decision="deny", reason=OPEN_WORLD)
    inside = {"url": "https://intranet.example.org/*"}
    await make(database, tool="web.fetch", verdict="allow", arguments=inside)
    policies.forget()
    assert (await standing()).decision == "ask"


async def test_a_rule_takes_the_place_of_the_setting(database: Database, scope: AccessScope):
    await make(database, tool="mail.*", verdict="allow")
    mail, other = await judge(database, scope, call(), call("files.delete"), unmarked="deny")
    assert (mail.decision, other.decision) == ("allow", "deny")


async def test_the_strictest_rule_counts_whatever_the_order(database: Database, scope: AccessScope):
    await make(database, verdict="deny", tool="mail.send", reason="no mail")
    await make(database, verdict="allow")
    await make(database, verdict="ask", tool="mail.*", reason="sure?")
    denied, asked, allowed = await judge(
        database, scope, call(), call("mail.read", read_only=True), call("files.read")
    )
    assert denied == Verdict(decision="deny", reason="no mail")
    assert asked == Verdict(decision="ask", reason="sure?")
    assert allowed == Verdict(decision="allow")


async def test_who_is_denied_without_a_reason_hears_one(database: Database, scope: AccessScope):
    await make(database, verdict="deny")
    assert (await judge(database, scope, call()))[0].reason == FORBIDDEN


@pytest.mark.parametrize(
    ("arguments", "args", "fits"),
    [
        ({"to": "*@example.com"}, {"to": "ada@example.com"}, True),
        ({"to": "*@example.com"}, {"to": "ada@example.org"}, False),
        ({"to": "*@example.com"}, {}, False),
        ({"to": "*"}, {}, False),
        ({"amount": 5}, {"amount": 5.0}, True),
        ({"amount": 5}, {"amount": "5"}, True),
        ({"amount": 5}, {"amount": 50}, False),
        ({"force": True}, {"force": True}, True),
        ({"force": True}, {"force": 1}, False),
        ({"since": None}, {"since": None}, True),
        ({"a": "x", "b": "y"}, {"a": "x", "b": "y", "c": "z"}, True),
        ({"a": "x", "b": "y"}, {"a": "x", "b": "z"}, False),
        ({"people.*.mail": "*@example.org"}, {"people": [{"mail": "a@example.org"}]}, True),
    ],
)
async def test_a_rule_is_about_the_arguments_that_it_names(
    database: Database, scope: AccessScope, arguments: Any, args: Any, fits: bool
):
    await make(database, arguments=arguments)
    [verdict] = await judge(database, scope, call(**args))
    assert verdict.decision == ("ask" if fits else "allow")


async def test_of_several_values_one_is_enough_to_deny_and_all_are_needed_to_allow(
    database: Database, scope: AccessScope
):
    await make(database, tool="mail.*", arguments={"to": "*@example.com"}, verdict="allow")
    await make(database, tool="post.*", arguments={"to": "*@example.com"}, verdict="deny")
    both, inside = ["a@example.com", "b@evil.org"], ["a@example.com", "b@example.com"]
    verdicts = await judge(
        database,
        scope,
        call("mail.send", to=both),
        call("mail.send", to=inside),
        call("post.send", to=both),
        unmarked="ask",
    )
    assert [each.decision for each in verdicts] == ["ask", "allow", "deny"]


async def test_a_value_that_is_written_another_way_is_denied_and_not_allowed(
    database: Database, scope: AccessScope
):
    await make(database, verdict="deny", arguments={"to": "*@evil.com"})
    await make(database, verdict="allow", arguments={"to": "*@example.com"})
    verdicts = await judge(
        database,
        scope,
        call(to="eve\uff20evil.com "),
        call(to="ada@example.com"),
        call(to="eve@other.com\uff20example.com"),
        unmarked="ask",
    )
    assert [verdict.decision for verdict in verdicts] == ["deny", "allow", "ask"]


async def test_an_argument_that_is_left_out_is_judged_as_what_the_tool_takes_for_it(
    database: Database, scope: AccessScope
):
    schema = {
        "type": "object",
        "properties": {
            "mode": {"type": "string", "default": "overwrite"},
            "options": {"type": "object", "properties": {"force": {"default": True}}},
            "files": {"type": "array", "items": {"properties": {"kind": {"default": "secret"}}}},
        },
    }
    for path, pattern in (("mode", "overwrite"), ("options.force", "true"), ("files.*.kind", "s*")):
        await make(database, verdict="deny", arguments={path: pattern})
    mode = {"mode": "append"}
    calls = [
        call(),
        call(**mode),
        call(**mode, options={}),
        call(**mode, options={"force": False}),
        call(**mode, files=[{"kind": "plain"}, {}]),
        call(**mode, files="none"),
    ]
    verdicts = await judge(database, scope, *(replace(each, schema=schema) for each in calls))
    assert [verdict.decision for verdict in verdicts] == [
        "deny", "allow", "deny", "allow", "deny", "allow",
    ]  # fmt: skip


async def test_a_groups_rule_binds_its_members_as_long_as_they_are_in_it(
    database: Database, scope: AccessScope, other_scope: AccessScope
):
    group_id = await make_group(database, other_scope, scope)
    stranger = AccessScope(user_id=(await create_user(database)).id)
    await make(database, group_id=group_id, verdict="deny")
    policies = ToolPolicies(database, unruled=UnruledCalls(unmarked="allow"))

    async def decision(of: AccessScope) -> str:
        [verdict] = await policies.for_caller(of)([call()])
        return verdict.decision

    assert await decision(scope) == await decision(other_scope) == "deny"
    assert await decision(stranger) == "allow"
    async with database.unit_of_work(scope) as uow:
        await uow.memberships.remove(group_id, scope.user_id)
        await uow.commit()
    assert await decision(scope) == "allow"
    async with database.unit_of_work(other_scope) as uow:
        await uow.groups.delete(group_id)
        await uow.commit()
    assert await decision(other_scope) == "allow"


async def test_of_rules_that_ask_one_that_wants_an_admin_counts_first_then_the_oldest(
    database: Database, scope: AccessScope, other_scope: AccessScope
):
    group_id = await make_group(database, other_scope, scope)
    await make(database, reason="everybody's")
    await make(database, group_id=group_id, approver="either", reason="either")
    assert await judge(database, scope, call()) == [Verdict(decision="ask", reason="everybody's")]
    for reason in ("first", "second"):
        await make(database, group_id=group_id, approver="group_admin", reason=reason)
    assert await judge(database, scope, call()) == [
        Verdict(decision="ask", reason="first", approver="group_admin", group_id=group_id)
    ]


async def test_a_rule_that_the_user_answers_names_no_group(
    database: Database, scope: AccessScope, other_scope: AccessScope
):
    group_id = await make_group(database, other_scope, scope)
    await make(database, group_id=group_id)
    assert await judge(database, scope, call()) == [Verdict(decision="ask")]


async def test_a_change_on_any_replica_is_heard_by_all(database: Database, scope: AccessScope):
    policies = ToolPolicies(database, unruled=UnruledCalls(unmarked="allow"))
    judge_here = policies.for_caller(scope)
    async with open_notifications(database.dsn) as notifications:
        policies.follow(notifications)
        assert (await judge_here([call()]))[0].decision == "allow"
        heard = asyncio.Event()
        notifications.subscribe(Channel.TOOL_POLICY_CHANGED, lambda _: heard.set())
        await make(database, verdict="deny")
        await asyncio.wait_for(heard.wait(), 10)
        assert (await judge_here([call()]))[0].decision == "deny"


async def test_what_was_missed_is_read_again(database: Database, scope: AccessScope):
    policies = ToolPolicies(database, unruled=UnruledCalls(unmarked="allow"))
    judge_here = policies.for_caller(scope)
    async with open_notifications(database.dsn) as notifications:
        assert (await judge_here([call()]))[0].decision == "allow"
        await make(database, verdict="deny")
        assert (await judge_here([call()]))[0].decision == "allow"
        policies.follow(notifications)
        notifications.pass_on_gap()
        assert (await judge_here([call()]))[0].decision == "deny"


async def test_a_rule_that_was_tampered_with_lets_no_call_through(
    database: Database, database_url: str, scope: AccessScope
):
    await make(database, verdict="deny")
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE tool_policies SET verdict = 'allow'")
    await connection.close()
    with pytest.raises(DecryptionError):
        await judge(database, scope, call())
