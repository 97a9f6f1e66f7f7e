"""Approvals over real HTTP, of runs that wait for them: who sees, who answers, and what is told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from graph.approvals import Approver, Cause
from persistence.access import AccessScope
from persistence.approval_records import Approval, NewApproval
from persistence.database import Database, open_database
from persistence.encryption import KeyRing
from persistence.identifiers import new_uuid7
from server.argument_faults import find_faults
from server.runs import approvals
from tests.fixtures.product import Product, client_for
from tests.fixtures.rows import SYSTEM, create_session, start_run
from tests.integration.server.people import Person, make_group, open_person, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAIT_SECONDS = 30
ALLOW = {"decision": "allow"}
ARGS = {"value": 5, "from_unit": "km", "to_unit": "mile"}


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product: Product) -> Product:
    return shared_product


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(
    shared_product: Product, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Database]:
    """The product's database, as another replica has it."""
    async with open_database(
        shared_product.settings.database,
        key_ring=KeyRing(shared_product.secrets.key_list),
        data_dir=tmp_path_factory.mktemp("replica"),
    ) as opened:
        yield opened


@dataclass(frozen=True)
class Crew:
    """A group: its admin, a member whose runs wait, and another member."""

    admin: Person
    asker: Person
    member: Person
    group_id: int


@pytest_asyncio.fixture(loop_scope="module")
async def crew(product: Product) -> AsyncIterator[Crew]:
    async with (
        open_person(product, "ada") as ada,
        open_person(product, "bob") as bob,
        open_person(product, "eve") as eve,
    ):
        yield Crew(ada, bob, eve, await make_group(ada, bob, eve))


@dataclass(frozen=True)
class Waiting:
    """A run that waits for somebody's word."""

    run_id: UUID
    approvals: list[Approval]

    @property
    def resume(self) -> str:
        return f"/v1/runs/{self.run_id}/resume"

    def say(self, *said: dict[str, Any]) -> dict[str, Any]:
        """The answers to its approvals, in their order."""
        pairs = zip(self.approvals, said, strict=False)
        return {"decisions": {str(approval.id): answer for approval, answer in pairs}}


async def wait_for(
    database: Database,
    crew: Crew,
    *approvers: Approver,
    cause: Cause = "policy",
    tool: str = "units.convert",
    seconds: float = 3600,
) -> Waiting:
    """Have a run wait; another process executes it, as far as the product knows."""
    scope = AccessScope(user_id=crew.asker.id)
    session = await create_session(database, scope, uuid4().hex)
    run = await start_run(database, scope, session, lease_seconds=3600)
    requests = [
        NewApproval(
            request_id=str(number),
            call_id=str(number),
            tool=tool,
            args=ARGS,
            reason="Sure?",
            cause=cause,
            approver=approver,
            group_id=None if approver == "user" else crew.group_id,
        )
        for number, approver in enumerate(approvers or ("user",))
    ]
    async with database.unit_of_work(scope) as uow:
        asked = await uow.approvals.ask(
            run.id, requests, expires_at=datetime.now(UTC) + timedelta(seconds=seconds)
        )
        await uow.commit()
    return Waiting(run.id, asked)


async def statuses(database: Database, waiting: Waiting) -> list[str]:
    async with database.unit_of_work(SYSTEM) as uow:
        found = {each.id: each.status for each in await uow.approvals.of_run(waiting.run_id)}
    return [found[each.id] for each in waiting.approvals]


async def listed(person: Person, waiting: Waiting, **conditions: str) -> list[dict[str, Any]]:
    conditions = {"run_id": str(waiting.run_id), **conditions}
    answer = await person.client.get("/v1/approvals", params=conditions)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["approvals"]
    return found


async def test_who_asked_sees_the_call_and_answers_it(database: Database, crew: Crew):
    waiting = await wait_for(database, crew)
    [shown] = await listed(crew.asker, waiting)
    assert (
        shown.items()
        >= {
            "approval_id": str(waiting.approvals[0].id),
            "run_id": str(waiting.run_id),
            "username": crew.asker.name,
            "tool": "units.convert",
            "args": ARGS,
            "reason": "Sure?",
            "cause": "policy",
            "may_answer": True,
            "status": "pending",
        }.items()
    )
    answer = await crew.asker.client.post(waiting.resume, json=waiting.say(ALLOW))
    assert (answer.status_code, answer.json()["pending"]) == (202, [])
    [shown] = await listed(crew.asker, waiting, status="allowed")
    assert shown["decided_by"] == crew.asker.id
    assert await listed(crew.asker, waiting, status="pending") == []


async def test_an_admin_of_the_group_sees_the_call_and_nothing_else_of_the_run(
    database: Database, crew: Crew
):
    waiting = await wait_for(database, crew, "group_admin", "user")
    [shown] = await listed(crew.admin, waiting)
    assert (shown["may_answer"], shown["args"], shown["username"]) == (True, ARGS, crew.asker.name)
    for path in (f"/v1/runs/{waiting.run_id}", f"/v1/runs/{waiting.run_id}/events"):
        assert told(await crew.admin.client.get(path)) == (404, "RUN_NOT_FOUND")
    answer = await crew.admin.client.post(waiting.resume, json=waiting.say(ALLOW))
    assert (answer.status_code, answer.json()["pending"]) == (202, [])
    assert await statuses(database, waiting) == ["allowed", "pending"]


async def test_what_an_admin_is_to_answer_the_user_alone_may_not(database: Database, crew: Crew):
    waiting = await wait_for(database, crew, "group_admin")
    [shown] = await listed(crew.asker, waiting)
    assert shown["may_answer"] is False
    answer = await crew.asker.client.post(waiting.resume, json=waiting.say(ALLOW))
    assert told(answer) == (403, "NOT_GROUP_ADMIN")
    assert await statuses(database, waiting) == ["pending"]


@pytest.mark.parametrize("who", ["admin", "asker"])
async def test_where_either_may_answer_the_first_one_does(database: Database, crew: Crew, who: str):
    waiting = await wait_for(database, crew, "either")
    person, other = getattr(crew, who), crew.asker if who == "admin" else crew.admin
    answer = await person.client.post(waiting.resume, json=waiting.say(ALLOW))
    assert answer.status_code == 202
    answer = await other.client.post(waiting.resume, json=waiting.say(ALLOW))
    assert told(answer) == (409, "APPROVAL_DECIDED")


async def test_of_two_clients_that_answer_at_once_one_is_heard(database: Database, crew: Crew):
    for _ in range(5):
        waiting = await wait_for(database, crew, "either")
        answers = await asyncio.gather(
            crew.asker.client.post(waiting.resume, json=waiting.say(ALLOW)),
            crew.admin.client.post(waiting.resume, json=waiting.say({"decision": "refuse"})),
        )
        assert sorted(answer.status_code for answer in answers) == [202, 409]


async def test_the_answer_says_what_is_still_pending_for_the_caller(database: Database, crew: Crew):
    waiting = await wait_for(database, crew, "user", "either", "group_admin")
    answer = await crew.asker.client.post(waiting.resume, json=waiting.say(ALLOW))
    pending = [each["approval_id"] for each in answer.json()["pending"]]
    assert pending == [str(waiting.approvals[1].id)]
    assert await statuses(database, waiting) == ["allowed", "pending", "pending"]


async def test_all_the_answers_of_a_request_are_taken_or_none(database: Database, crew: Crew):
    waiting = await wait_for(database, crew, "user", "user")
    unknown = {str(uuid4()): ALLOW}
    body = {"decisions": {**waiting.say(ALLOW, ALLOW)["decisions"], **unknown}}
    answer = await crew.asker.client.post(waiting.resume, json=body)
    assert told(answer) == (404, "APPROVAL_NOT_FOUND")
    odd = {"decision": "edit", "args": {"value": "five"}}
    answer = await crew.asker.client.post(waiting.resume, json=waiting.say(ALLOW, odd))
    assert told(answer) == (400, "INVALID_ARGUMENTS")
    assert await statuses(database, waiting) == ["pending", "pending"]


async def test_edited_arguments_must_fit_the_tool(database: Database, crew: Crew):
    waiting = await wait_for(database, crew)
    secret = "walnut-lighthouse"
    args = {"value": secret, "from_unit": "km", "unknown": secret}
    answer = await crew.asker.client.post(
        waiting.resume, json=waiting.say({"decision": "edit", "args": args})
    )
    assert told(answer) == (400, "INVALID_ARGUMENTS")
    errors = answer.json()["error"]["details"]["errors"]
    assert {each["argument"] for each in errors} >= {"value", ""}
    assert secret not in answer.text
    answer = await crew.asker.client.post(
        waiting.resume, json=waiting.say({"decision": "edit", "args": {**ARGS, "value": 7}})
    )
    assert answer.status_code == 202
    [shown] = await listed(crew.asker, waiting)
    assert (shown["status"], shown["args"], shown["edited_args"]["value"]) == ("edited", ARGS, 7)


async def test_while_edited_arguments_are_checked_the_approval_is_not_held_up(
    database: Database, crew: Crew, monkeypatch: pytest.MonkeyPatch
):
    checking, may_go_on = asyncio.Event(), asyncio.Event()

    async def check(*given: Any) -> Any:
        checking.set()
        await may_go_on.wait()
        return await find_faults(*given)

    monkeypatch.setattr(approvals, "find_faults", check)
    waiting = await wait_for(database, crew, "either")
    edit = waiting.say({"decision": "edit", "args": ARGS})
    editing = asyncio.create_task(crew.asker.client.post(waiting.resume, json=edit))
    async with asyncio.timeout(WAIT_SECONDS):
        await checking.wait()
        answer = await crew.admin.client.post(waiting.resume, json=waiting.say(ALLOW))
        assert answer.status_code == 202
        may_go_on.set()
        assert told(await editing) == (409, "APPROVAL_DECIDED")
    assert await statuses(database, waiting) == ["allowed"]


async def test_a_tool_that_is_gone_takes_no_other_arguments(database: Database, crew: Crew):
    waiting = await wait_for(database, crew, tool="gone.away")
    edit = {"decision": "edit", "args": {}}
    answer = await crew.asker.client.post(waiting.resume, json=waiting.say(edit))
    assert told(answer) == (400, "INVALID_ARGUMENTS")
    answer = await crew.asker.client.post(waiting.resume, json=waiting.say({"decision": "refuse"}))
    assert answer.status_code == 202


async def test_a_call_that_was_interrupted_is_allowed_or_refused_as_it_was(
    database: Database, crew: Crew
):
    waiting = await wait_for(database, crew, cause="interrupted")
    edit = {"decision": "edit", "args": ARGS}
    answer = await crew.asker.client.post(waiting.resume, json=waiting.say(edit))
    assert told(answer) == (400, "VALIDATION_ERROR")
    answer = await crew.asker.client.post(waiting.resume, json=waiting.say(ALLOW))
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"decisions": {}},
        {"decisions": {"1": ALLOW}},
        {"decisions": {str(UUID(int=1)): {"decision": "maybe"}}},
        {"decisions": {str(UUID(int=1)): {"decision": "edit"}}},
        {"decisions": {str(UUID(int=1)): {"decision": "allow", "args": {}}}},
        {"decisions": {str(UUID(int=1)): {"decision": "refuse", "reason": "x" * 2001}}},
        {"decisions": {str(UUID(int=n)): ALLOW for n in range(101)}},
    ],
)
async def test_what_is_no_answer_is_refused(database: Database, crew: Crew, body: Any):
    waiting = await wait_for(database, crew)
    answer = await crew.asker.client.post(waiting.resume, json=body)
    assert told(answer) == (400, "VALIDATION_ERROR")


async def test_after_its_time_nobody_answers(database: Database, crew: Crew):
    waiting = await wait_for(database, crew, seconds=-1)
    answer = await crew.asker.client.post(waiting.resume, json=waiting.say(ALLOW))
    assert told(answer) == (409, "APPROVAL_EXPIRED")


async def test_strangers_neither_see_nor_infer(product: Product, database: Database, crew: Crew):
    waiting = await wait_for(database, crew, "either", "user")
    nowhere = f"/v1/runs/{new_uuid7()}/resume"
    async with open_person(product, "mallory") as mallory:
        for person in (mallory, crew.member):
            assert await listed(person, waiting) == []
            answers = [
                await person.client.post(path, json=waiting.say(ALLOW))
                for path in (waiting.resume, nowhere)
            ]
            assert {told(answer) for answer in answers} == {(404, "RUN_NOT_FOUND")}
            assert answers[0].text == answers[1].text
    root = await product.client.post(waiting.resume, json=waiting.say(ALLOW))
    assert told(root) == (404, "RUN_NOT_FOUND")
    users_own = {"decisions": {str(waiting.approvals[1].id): ALLOW}}
    unknown = {"decisions": {str(uuid4()): ALLOW}}
    for body in (users_own, unknown):
        answer = await crew.admin.client.post(waiting.resume, json=body)
        assert told(answer) == (404, "APPROVAL_NOT_FOUND")
    assert await statuses(database, waiting) == ["pending", "pending"]


async def test_who_is_admin_no_more_is_a_stranger_at_once(database: Database, crew: Crew):
    waiting = await wait_for(database, crew, "group_admin")
    members = f"/v1/groups/{crew.group_id}/members"
    await crew.admin.client.patch(f"{members}/{crew.member.id}", json={"role": "admin"})
    await crew.member.client.patch(f"{members}/{crew.admin.id}", json={"role": "member"})
    assert await listed(crew.admin, waiting) == []
    answer = await crew.admin.client.post(waiting.resume, json=waiting.say(ALLOW))
    assert told(answer) == (404, "RUN_NOT_FOUND")
    answer = await crew.member.client.post(waiting.resume, json=waiting.say(ALLOW))
    assert answer.status_code == 202


async def test_who_is_locked_out_answers_nothing(product: Product, database: Database, crew: Crew):
    waiting = await wait_for(database, crew, "either")
    await product.client.patch(f"/v1/users/{crew.admin.id}", json={"is_active": False})
    answer = await crew.admin.client.post(waiting.resume, json=waiting.say(ALLOW))
    assert answer.status_code == 401
    assert await statuses(database, waiting) == ["pending"]


async def test_when_the_group_ends_the_user_answers(database: Database, crew: Crew):
    waiting = await wait_for(database, crew, "group_admin")
    await crew.admin.client.delete(f"/v1/groups/{crew.group_id}")
    assert await listed(crew.admin, waiting) == []
    answer = await crew.asker.client.post(waiting.resume, json=waiting.say(ALLOW))
    assert answer.status_code == 202


async def test_a_decision_is_in_the_audit_and_says_nothing_of_the_arguments(
    product: Product, database: Database, crew: Crew
):
    waiting = await wait_for(database, crew, "either")
    refusal = {"decision": "refuse", "reason": "walnut-lighthouse"}
    await crew.admin.client.post(waiting.resume, json=waiting.say(refusal))
    conditions = {"resource_type": "approval", "resource_id": str(waiting.approvals[0].id)}
    for reader in (product.client, crew.admin.client):
        answer = await reader.get("/v1/audit", params=conditions)
        [entry] = answer.json()["entries"]
        assert (entry["action"], entry["actor_id"]) == ("approval.decide", crew.admin.id)
        assert entry["group_id"] == crew.group_id
        assert entry["details"] == {
            "run_id": str(waiting.run_id),
            "call_id": "0",
            "tool": "units.convert",
            "cause": "policy",
            "approver": "either",
            "decision": "refuse",
            "run_of": crew.asker.id,
        }


async def test_the_list_pages(database: Database, crew: Crew):
    waiting = await wait_for(database, crew, *["user"] * 3)
    params = {"run_id": str(waiting.run_id), "limit": "2", "offset": "2"}
    page = (await crew.asker.client.get("/v1/approvals", params=params)).json()
    assert (len(page["approvals"]), page["total"], page["limit"], page["offset"]) == (1, 3, 2, 2)
    for params in ({"status": "open"}, {"run_id": "x"}, {"limit": "101"}):
        answer = await crew.asker.client.get("/v1/approvals", params=params)
        assert told(answer) == (400, "VALIDATION_ERROR")


async def test_a_key_needs_the_scope_for_chat(product: Product, database: Database, crew: Crew):
    waiting = await wait_for(database, crew)
    issued = await crew.asker.client.post("/v1/api-keys", json={"name": "t", "scopes": ["tools"]})
    async with client_for(product.url, issued.json()["key"]) as client:
        assert (await client.get("/v1/approvals")).status_code == 403
        answer = await client.post(waiting.resume, json=waiting.say(ALLOW))
        assert told(answer) == (403, "NOT_AUTHORIZED")
