"""Approvals on PostgreSQL: who sees them, who answers them, and when."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.approval_records import Approval, ApprovalAnswer, NewApproval
from persistence.database import Database
from persistence.errors import AccessDenied, DecryptionError, NotFound
from persistence.pool import APP_ROLE
from tests.fixtures.rows import SYSTEM, create_session, create_user, start_run

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ALLOW = ApprovalAnswer(decision="allow")
REFUSE = ApprovalAnswer(decision="refuse", reason="not today")


def request(name: str = "1", **values: Any) -> NewApproval:
    given = {"request_id": f"call-{name}", "call_id": name, "tool": "mail.send", "args": {"n": 1}}
    return NewApproval(**{**given, **values})


@dataclass(frozen=True)
class Crew:
    """A group with a member who asks, an admin, and another member."""

    group_id: int
    asker: AccessScope
    admin: AccessScope
    member: AccessScope
    run_id: UUID


@pytest.fixture
async def crew(database: Database, scope: AccessScope, other_scope: AccessScope) -> Crew:
    member = AccessScope(user_id=(await create_user(database)).id)
    async with database.unit_of_work(other_scope) as uow:
        group = await uow.groups.create("crew", "")
        for each in (scope, member):
            await uow.memberships.add(group.id, each.user_id)
        await uow.commit()
    run = await start_run(database, scope, await create_session(database, scope))
    return Crew(group.id, scope, other_scope, member, run.id)


async def ask(database: Database, crew: Crew, *requests: NewApproval) -> list[Approval]:
    async with database.unit_of_work(crew.asker) as uow:
        asked = await uow.approvals.ask(crew.run_id, requests, expires_at=LATER)
        await uow.commit()
    return asked


async def seen(database: Database, scope: AccessScope, run_id: UUID) -> list[Approval]:
    async with database.unit_of_work(scope) as uow:
        return await uow.approvals.of_run(run_id)


async def decide(
    database: Database,
    scope: AccessScope,
    crew: Crew,
    approval: Approval,
    answer: ApprovalAnswer = ALLOW,
    now: datetime = NOW,
) -> None:
    async with database.unit_of_work(scope) as uow:
        await uow.approvals.decide(crew.run_id, {approval.id: answer}, now=now)
        await uow.commit()


async def test_what_is_asked_is_read_back_in_its_order(database: Database, crew: Crew):
    requests = [request("b", reason="why"), request("a", cause="interrupted")]
    asked = await ask(database, crew, *requests)
    assert [(each.call_id, each.reason, each.cause) for each in asked] == [
        ("b", "why", "policy"),
        ("a", "", "interrupted"),
    ]
    assert {each.status for each in asked} == {"pending"}
    assert {each.user_id for each in asked} == {crew.asker.user_id}
    assert asked[0].args == {"n": 1}


async def test_the_same_request_again_is_the_same_approval(database: Database, crew: Crew):
    first = await ask(database, crew, request())
    await decide(database, crew.asker, crew, first[0])
    again = await ask(database, crew, request(), request("2"))
    assert (again[0].id, again[0].status) == (first[0].id, "allowed")
    assert again[1].status == "pending"


async def test_nobody_asks_in_the_run_of_another(database: Database, crew: Crew):
    with pytest.raises(NotFound):
        async with database.unit_of_work(crew.admin) as uow:
            await uow.approvals.ask(crew.run_id, [request()], expires_at=LATER)


async def test_decisions_are_told_by_request(database: Database, crew: Crew):
    asked = await ask(database, crew, *(request(name) for name in "abcd"))
    edit = ApprovalAnswer(decision="edit", args={"n": 2})
    for approval, answer in zip(asked, (ALLOW, edit, REFUSE), strict=False):
        await decide(database, crew.asker, crew, approval, answer)
    async with database.unit_of_work(SYSTEM) as uow:
        decisions = await uow.approvals.decisions(crew.run_id)
    assert decisions == {"call-a": ALLOW, "call-b": edit, "call-c": REFUSE}


APPROVERS = {
    # approver → who may answer
    "user": {"asker"},
    "group_admin": {"admin"},
    "either": {"asker", "admin"},
}


@pytest.mark.parametrize("approver", APPROVERS)
async def test_the_approver_says_who_sees_and_answers(
    database: Database, crew: Crew, approver: Any
):
    [approval] = await ask(database, crew, request(approver=approver, group_id=crew.group_id))
    may = set()
    for name in ("asker", "admin", "member"):
        found = await seen(database, getattr(crew, name), crew.run_id)
        assert bool(found) is (name == "asker" or name in APPROVERS[approver])
        may |= {name for each in found if each.may_answer}
    assert may == APPROVERS[approver]
    for name in {"asker", "admin", "member"} - may:
        with pytest.raises(AccessDenied):
            await decide(database, getattr(crew, name), crew, approval)
    for name in may:
        [approval] = await ask(
            database, crew, request(name, approver=approver, group_id=crew.group_id)
        )
        await decide(database, getattr(crew, name), crew, approval)
        [answered] = [
            each for each in await seen(database, crew.asker, crew.run_id) if each.id == approval.id
        ]
        assert answered.decided_by == getattr(crew, name).user_id


@pytest.fixture
async def admins_approval(database: Database, crew: Crew) -> Approval:
    [approval] = await ask(database, crew, request(approver="group_admin", group_id=crew.group_id))
    return approval


async def is_the_users_own(database: Database, crew: Crew) -> bool:
    [asked] = await seen(database, crew.asker, crew.run_id)
    return asked.may_answer and not await seen(database, crew.admin, crew.run_id)


async def test_when_the_group_ends_the_approval_is_the_users_own(
    database: Database, crew: Crew, admins_approval: Approval
):
    async with database.unit_of_work(crew.admin) as uow:
        await uow.groups.delete(crew.group_id)
        await uow.commit()
    assert await is_the_users_own(database, crew)
    await decide(database, crew.asker, crew, admins_approval)


async def test_when_the_user_leaves_the_group_the_approval_is_the_users_own(
    database: Database, crew: Crew, admins_approval: Approval
):
    async with database.unit_of_work(crew.asker) as uow:
        await uow.memberships.remove(crew.group_id, crew.asker.user_id)
        await uow.commit()
    assert await is_the_users_own(database, crew)
    with pytest.raises(AccessDenied):
        await decide(database, crew.admin, crew, admins_approval)
    await decide(database, crew.asker, crew, admins_approval)


async def test_a_group_that_ended_before_the_question_was_written_is_left_out(
    database: Database, crew: Crew
):
    async with database.unit_of_work(crew.admin) as uow:
        await uow.groups.delete(crew.group_id)
        await uow.commit()
    [approval] = await ask(database, crew, request(approver="group_admin", group_id=crew.group_id))
    assert (approval.group_id, approval.may_answer) == (None, True)


async def test_who_is_no_admin_any_more_answers_no_more(
    database: Database, crew: Crew, admins_approval: Approval
):
    async with database.unit_of_work(crew.admin) as uow:
        await uow.memberships.change_role(crew.group_id, crew.member.user_id, "admin")
        await uow.memberships.change_role(crew.group_id, crew.admin.user_id, "member")
        await uow.commit()
    with pytest.raises(AccessDenied):
        await decide(database, crew.admin, crew, admins_approval)
    await decide(database, crew.member, crew, admins_approval)


async def test_who_is_locked_out_answers_no_more(
    database: Database, crew: Crew, admins_approval: Approval
):
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.users.set_active(crew.admin.user_id, active=False)
        await uow.commit()
    with pytest.raises(AccessDenied):
        await decide(database, crew.admin, crew, admins_approval)


async def test_of_two_who_answer_at_once_one_does(database: Database, crew: Crew):
    [approval] = await ask(database, crew, request(approver="either", group_id=crew.group_id))
    outcomes = await asyncio.gather(
        *(
            decide(database, who, crew, approval, answer)
            for who, answer in ((crew.asker, ALLOW), (crew.admin, REFUSE))
        ),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["AccessDenied", "NoneType"]


async def test_all_answers_are_taken_or_none(database: Database, crew: Crew):
    mine, theirs = await ask(
        database, crew, request("a"), request("b", approver="group_admin", group_id=crew.group_id)
    )
    with pytest.raises(AccessDenied):
        async with database.unit_of_work(crew.asker) as uow:
            await uow.approvals.decide(crew.run_id, {mine.id: ALLOW, theirs.id: ALLOW}, now=NOW)
    assert {each.status for each in await seen(database, crew.asker, crew.run_id)} == {"pending"}


async def test_the_system_answers_for_nobody(database: Database, crew: Crew):
    [approval] = await ask(database, crew, request())
    with pytest.raises(AccessDenied):
        await decide(database, SYSTEM, crew, approval)


async def test_after_its_time_an_approval_counts_as_refused(database: Database, crew: Crew):
    [approval] = await ask(database, crew, request())
    with pytest.raises(AccessDenied):
        await decide(database, crew.asker, crew, approval, now=LATER)
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.approvals.expire(LATER - timedelta(seconds=1)) == []
        [expired] = await uow.approvals.expire(LATER)
        decisions = await uow.approvals.decisions(crew.run_id)
        await uow.commit()
    assert (expired.id, expired.status, expired.run_id) == (approval.id, "expired", crew.run_id)
    assert decisions["call-1"].decision == "refuse"
    assert decisions["call-1"].reason


async def test_what_is_withdrawn_waits_for_nobody(database: Database, crew: Crew):
    open_one, answered = await ask(database, crew, request("a"), request("b"))
    await decide(database, crew.asker, crew, answered)
    async with database.unit_of_work(crew.asker) as uow:
        assert await uow.approvals.withdraw(crew.run_id) == 1
        assert await uow.approvals.decisions(crew.run_id) == {"call-b": ALLOW}
        await uow.commit()
    with pytest.raises(AccessDenied):
        await decide(database, crew.asker, crew, open_one)


async def test_the_list_pages_and_filters(database: Database, crew: Crew):
    asked = await ask(database, crew, *(request(str(n)) for n in range(5)))
    await decide(database, crew.asker, crew, asked[0])
    async with database.unit_of_work(crew.asker) as uow:
        page = await uow.approvals.list(limit=2, offset=2)
        pending = await uow.approvals.list(status="pending")
        elsewhere = await uow.approvals.list(run_id=asked[0].id)
    assert (len(page.items), page.total) == (2, 5)
    assert {each.id for each in pending.items} == {each.id for each in asked[1:]}
    assert elsewhere.total == 0


async def test_a_body_that_was_moved_is_not_believed(
    database: Database, database_url: str, crew: Crew
):
    await ask(database, crew, request("a"), request("b"))
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "UPDATE approvals SET body = (SELECT body FROM approvals WHERE call_id = 'a')"
    )
    await connection.close()
    with pytest.raises(DecryptionError):
        await seen(database, crew.asker, crew.run_id)


@pytest.fixture
async def app(database: Database, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url, server_settings={"role": APP_ROLE})
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    ("who", "change", "works"),
    [
        ("member", "status = 'allowed', decided_by = {me}", None),
        ("asker", "status = 'allowed', decided_by = {me}", False),
        ("asker", "status = 'withdrawn'", True),
        ("asker", "approver = 'user', status = 'allowed', decided_by = {admin}", False),
        ("asker", "approver = 'user', status = 'allowed', decided_by = {me}", False),
        ("asker", "group_id = NULL, status = 'allowed', decided_by = {me}", False),
        ("asker", "user_id = {member}, status = 'withdrawn'", False),
        ("asker", "expires_at = now(), status = 'withdrawn'", False),
        ("asker", "body = '', status = 'withdrawn'", False),
        ("admin", "status = 'allowed', decided_by = {asker}", False),
        ("admin", "status = 'withdrawn'", False),
        ("admin", "run_id = gen_random_uuid(), status = 'allowed', decided_by = {me}", False),
        ("admin", "tool = 'mail.read', status = 'allowed', decided_by = {me}", False),
        ("admin", "status = 'allowed', decided_by = {me}", True),
    ],
)
async def test_row_level_security_knows_who_may_answer(
    app: asyncpg.Connection,
    crew: Crew,
    admins_approval: Approval,
    who: str,
    change: str,
    works: bool | None,
):
    actor: AccessScope = getattr(crew, who)
    people = {name: getattr(crew, name).user_id for name in ("asker", "admin", "member")}
    values = change.format(me=actor.user_id, **people)
    async with app.transaction():
        await app.execute(actor.sql_settings)
        update = app.execute(f"UPDATE approvals SET {values}")
        if works is False:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await update
        else:
            assert await update == f"UPDATE {int(bool(works))}"


@pytest.mark.parametrize(
    "change",
    [
        "status = 'allowed', decided_by = {me}",
        "status = 'pending', decided_by = {me}",
        "status = 'withdrawn'",
        "decision = NULL, decided_by = {me}",
    ],
)
@pytest.mark.parametrize("role", ["user", "system"])
async def test_what_was_decided_stays_decided_whoever_forgets_to_ask(
    database: Database, app: asyncpg.Connection, crew: Crew, change: str, role: str
):
    [asked] = await ask(database, crew, request(approver="either", group_id=crew.group_id))
    await decide(database, crew.admin, crew, asked, REFUSE)
    actor = crew.asker if role == "user" else SYSTEM
    async with app.transaction():
        await app.execute(actor.sql_settings)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(f"UPDATE approvals SET {change.format(me=crew.asker.user_id)}")
    [kept] = await seen(database, crew.asker, crew.run_id)
    assert (kept.status, kept.refusal) == ("refused", REFUSE.reason)


async def test_an_answer_outlives_who_gave_it(database: Database, database_url: str, crew: Crew):
    [asked] = await ask(database, crew, request(approver="either", group_id=crew.group_id))
    await decide(database, crew.admin, crew, asked, REFUSE)
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.users.begin_closing(crew.admin.user_id)
        await uow.users.delete(crew.admin.user_id)
        await uow.commit()
    [kept] = await seen(database, crew.asker, crew.run_id)
    assert (kept.status, kept.decided_by, kept.group_id) == ("refused", None, crew.group_id)


async def test_what_somebody_answers_at_this_moment_is_not_waited_for_to_expire(
    database: Database, crew: Crew
):
    await ask(database, crew, request("1"), request("2"))
    async with (
        database.unit_of_work(crew.asker) as answering,
        database.unit_of_work(SYSTEM) as expiring,
    ):
        await answering.approvals.of_run(crew.run_id, lock=True)
        async with asyncio.timeout(10):
            assert await expiring.approvals.expire(LATER) == []
    async with database.unit_of_work(SYSTEM) as uow:
        assert len(await uow.approvals.expire(LATER)) == 2
