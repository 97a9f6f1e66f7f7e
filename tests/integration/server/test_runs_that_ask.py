"""Runs that wait for a person, from the question to the answer, over real HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from persistence.database import Database, open_database
from persistence.encryption import KeyRing
from persistence.notifications import Channel
from server.cli.events import ServerSentEvent, read_events
from server.runs.asking import expire_approvals
from tests.fixtures.product import Product
from tests.fixtures.rows import SYSTEM
from tests.integration.server.people import Person, make_group, open_person, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

KM = {"value": 5, "from_unit": "km", "to_unit": "mile"}
KG = {"value": 3, "from_unit": "kg", "to_unit": "pound"}
ALLOW = {"decision": "allow"}
REFUSE = {"decision": "refuse", "reason": "Not on a Friday."}


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
    """A user whose calls the rules of a group are about, and the group's admin."""

    product: Product
    asker: Person
    admin: Person
    group_id: int

    async def rule(self, **values: Any) -> str:
        """Has root make a rule for the group; returns its address."""
        body = {"group_id": self.group_id, "tool": "units.*", "verdict": "ask", **values}
        answer = await self.product.client.post("/v1/tool-policies", json=body)
        assert answer.status_code == 201, answer.text
        return f"/v1/tool-policies/{answer.json()['id']}"


@pytest_asyncio.fixture(loop_scope="module")
async def crew(product: Product) -> AsyncIterator[Crew]:
    async with open_person(product, "ada") as ada, open_person(product, "bob") as bob:
        yield Crew(product, bob, ada, await make_group(ada, bob))


@dataclass(frozen=True)
class Asked:
    """What a client heard until the run began to wait, or ended."""

    client: httpx.AsyncClient
    events: list[ServerSentEvent]

    @property
    def run_id(self) -> str:
        return str(self.events[0].data["run_id"])

    @property
    def approvals(self) -> list[Any]:
        return [each.data for each in self.events if each.event == "approval"]

    async def answer(self, *said: Any, client: httpx.AsyncClient | None = None) -> httpx.Response:
        """Answers the approvals in their order; None leaves one open."""
        decisions = {
            approval["approval_id"]: answer
            for approval, answer in zip(self.approvals, said, strict=False)
            if answer is not None
        }
        path = f"/v1/runs/{self.run_id}/resume"
        return await (client or self.client).post(path, json={"decisions": decisions})

    async def rest(self) -> "Asked":
        """What comes after what was heard, up to the next end."""
        path = f"/v1/runs/{self.run_id}/events"
        answer = await self.client.get(path, params={"after": len(self.events)})
        assert answer.status_code == 200, answer.text
        return Asked(self.client, [*self.events, *read_events(answer.text.split("\n"))])

    @property
    def status(self) -> str:
        return str(self.events[-1].data["metadata"]["status"])

    @property
    def text(self) -> str:
        return "".join(each.data["text"] for each in self.events if each.event == "token")

    def tools(self) -> list[tuple[str, Any]]:
        return [
            (each.data["status"], each.data.get("args"))
            for each in self.events
            if each.event == "tool"
        ]


async def ask(crew: Crew, *calls: dict[str, Any], then: str = "Done.") -> Asked:
    """The user asks, the model wants these calls, and answers when it knows what came of them."""
    crew.product.model.calls(*(("units__convert", each) for each in calls))
    crew.product.model.reply(then)
    client = crew.asker.client
    answer = await client.post("/v1/chat/stream", json={"text_input": "Convert this."})
    assert answer.status_code == 200, answer.text
    return Asked(client, list(read_events(answer.text.split("\n"))))


def told_the_model(product: Product) -> str:
    """The last that the model was told, which is what a tool said."""
    return str(product.model.requests[-1].messages[-1]["content"])


async def test_a_call_that_is_allowed_is_made_and_the_answer_follows(crew: Crew):
    await crew.rule(reason="Sure?")
    asked = await ask(crew, KM)
    assert asked.status == "awaiting_approval"
    assert asked.tools() == []
    [approval] = asked.approvals
    assert (
        approval.items()
        >= {
            "tool": "units.convert",
            "args": KM,
            "reason": "Sure?",
            "cause": "policy",
            "approver": "user",
        }.items()
    )
    assert (await asked.answer(ALLOW)).status_code == 202
    heard = await asked.rest()
    assert (heard.status, heard.text) == ("success", "Done.")
    assert heard.tools() == [("start", KM), ("end", None)]
    assert "3.1" in told_the_model(crew.product)
    assert (await Asked(heard.client, heard.events[:1]).rest()).events == heard.events
    answer = await asked.answer(ALLOW)
    assert told(answer) == (409, "APPROVAL_DECIDED")


async def test_a_call_that_is_edited_is_made_with_the_other_arguments(crew: Crew):
    await crew.rule()
    asked = await ask(crew, KM)
    await asked.answer({"decision": "edit", "args": {**KM, "value": 10}})
    heard = await asked.rest()
    assert heard.status == "success"
    assert heard.tools()[0] == ("start", {**KM, "value": 10})
    assert "6.2" in told_the_model(crew.product)


async def test_a_call_that_is_refused_is_not_made_and_the_model_hears_why(crew: Crew):
    await crew.rule()
    asked = await ask(crew, KM, then="As you wish.")
    await asked.answer(REFUSE)
    heard = await asked.rest()
    assert (heard.status, heard.text) == ("success", "As you wish.")
    assert REFUSE["reason"] in told_the_model(crew.product)
    assert ("end", None) not in heard.tools()


async def test_a_call_that_a_rule_denies_is_put_to_nobody(crew: Crew):
    await crew.rule(verdict="deny", arguments={"from_unit": "km"}, reason="No units here.")
    heard = await ask(crew, KM)
    assert (heard.status, heard.approvals) == ("success", [])
    assert "No units here." in told_the_model(crew.product)


async def test_several_calls_at_once_are_answered_together_or_one_by_one(crew: Crew):
    await crew.rule()
    asked = await ask(crew, KM, KG)
    assert [each["args"] for each in asked.approvals] == [KM, KG]
    answer = await asked.answer(REFUSE, None)
    assert [each["args"] for each in answer.json()["pending"]] == [KG]
    run = await crew.asker.client.get(f"/v1/runs/{asked.run_id}")
    assert run.json()["status"] == "awaiting_approval"
    answer = await asked.answer(None, ALLOW)
    assert answer.json()["pending"] == []
    heard = await asked.rest()
    assert heard.status == "success"
    assert ("start", KG) in heard.tools()
    assert ("start", KM) not in heard.tools()


async def test_an_admin_answers_and_sees_nothing_else_of_the_run(crew: Crew):
    await crew.rule(approver="group_admin")
    asked = await ask(crew, KM)
    assert told(await asked.answer(ALLOW)) == (403, "NOT_GROUP_ADMIN")
    params = {"status": "pending"}
    found = (await crew.admin.client.get("/v1/approvals", params=params)).json()["approvals"]
    assert [(each["run_id"], each["args"]) for each in found] == [(asked.run_id, KM)]
    assert (await asked.answer(ALLOW, client=crew.admin.client)).status_code == 202
    heard = await asked.rest()
    assert heard.status == "success"
    for path in (f"/v1/runs/{asked.run_id}", f"/v1/runs/{asked.run_id}/events"):
        assert told(await crew.admin.client.get(path)) == (404, "RUN_NOT_FOUND")


async def test_what_was_edited_into_something_forbidden_is_not_made(crew: Crew):
    await crew.rule()
    await crew.rule(verdict="deny", arguments={"value": 13}, reason="Not 13.")
    asked = await ask(crew, KM)
    await asked.answer({"decision": "edit", "args": {**KM, "value": 13}})
    heard = await asked.rest()
    assert heard.status == "success"
    assert "Not 13." in told_the_model(crew.product)


async def test_a_rule_that_was_changed_meanwhile_counts_when_the_run_goes_on(crew: Crew):
    path = await crew.rule(arguments={"from_unit": "km"})
    asked = await ask(crew, KM)
    await crew.product.client.patch(path, json={"verdict": "deny", "reason": "Not any more."})
    await asked.answer(ALLOW)
    assert (await asked.rest()).status == "success"
    assert "Not any more." in told_the_model(crew.product)


async def test_of_a_tool_that_was_denied_whole_meanwhile_the_model_hears_why(crew: Crew):
    path = await crew.rule()
    asked = await ask(crew, KM)
    denied = {"verdict": "deny", "reason": "No units on Fridays."}
    await crew.product.client.patch(path, json=denied)
    await asked.answer(ALLOW)
    heard = await asked.rest()
    assert (heard.status, heard.tools()) == ("success", [])
    assert "units__convert" not in crew.product.model.requests[-1].tool_names
    assert "policy forbids" in told_the_model(crew.product)
    assert "No units on Fridays." in told_the_model(crew.product)


async def test_nobodys_answer_in_time_is_a_refusal(crew: Crew, database: Database):
    await crew.rule()
    asked = await ask(crew, KM, then="So be it.")
    late = datetime.now(UTC) + timedelta(days=2)
    async with database.unit_of_work(SYSTEM) as uow:
        assert await expire_approvals(uow, late) == {UUID(asked.run_id)}
        await uow.notify(Channel.RUN_WAITING, asked.run_id)
        await uow.commit()
    heard = await asked.rest()
    assert (heard.status, heard.text) == ("success", "So be it.")
    assert told(await asked.answer(ALLOW)) == (409, "APPROVAL_EXPIRED")


async def test_a_run_that_is_stopped_while_it_waits_waits_for_nobody(crew: Crew):
    await crew.rule()
    asked = await ask(crew, KM)
    await crew.asker.client.post(f"/v1/runs/{asked.run_id}/cancel")
    assert (await asked.rest()).status == "cancelled"
    assert told(await asked.answer(ALLOW)) == (409, "APPROVAL_DECIDED")
    crew.product.model.take([{"role": "user", "content": ""}])  # what nobody will ask for


async def test_the_answer_as_a_whole_names_what_it_waits_for(crew: Crew):
    await crew.rule()
    crew.product.model.call("units__convert", KM)
    crew.product.model.reply("Done.")
    client = crew.asker.client
    answer = (await client.post("/v1/chat", json={"text_input": "Convert this."})).json()
    assert answer["status"] == "awaiting_approval"
    [approval] = answer["approvals"]
    decisions = {approval["approval_id"]: ALLOW}
    await client.post(f"/v1/runs/{answer['run_id']}/resume", json={"decisions": decisions})
    await client.get(f"/v1/runs/{answer['run_id']}/events")
    session = await client.get(f"/v1/chat/sessions/{answer['session_id']}")
    assert [each["content"] for each in session.json()["messages"]] == ["Convert this.", "Done."]


async def test_what_was_asked_and_decided_is_in_the_audit(crew: Crew):
    await crew.rule(approver="either")
    asked = await ask(crew, KM)
    await asked.answer(ALLOW, client=crew.admin.client)
    await asked.rest()
    conditions = {"action": "approval", "group_id": crew.group_id}
    found = await crew.admin.client.get("/v1/audit", params=conditions)
    entries = found.json()["entries"]
    assert [(each["action"], each["actor_id"]) for each in entries] == [
        ("approval.decide", crew.admin.id),
        ("approval.ask", crew.asker.id),
    ]
    assert "km" not in found.text
