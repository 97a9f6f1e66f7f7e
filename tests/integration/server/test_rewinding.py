"""The agent's memory is rewound once, however often and wherever the attempts at it broke off."""

from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from graph.agent import Agent
from graph.context import AgentContext
from graph.conversation import Memory, read_memory, write_memory
from persistence.access import AccessScope
from persistence.run_records import RunClaim, RunInput
from server.runs.memory import SessionMemory
from server.runs.run import RunRequest
from server.security.principal import Origin, Principal
from tests.fixtures.product import Product

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, kw_only=True)
class Edited:
    """A conversation with an edited message, and the run that answers it."""

    memory: SessionMemory
    agent: Agent
    request: RunRequest
    before: Memory
    """What the agent knew when the edit came."""
    after: Memory
    """What it knows since it was answered."""

    @property
    def thread_id(self) -> str:
        return str(self.request.thread_id)

    async def rewind_from(self, known: Memory) -> list[str]:
        """What the agent says that it was told and said, after it knew this much."""
        await write_memory(self.agent, self.thread_id, known)
        await self.memory.rewind(self.request)
        return [m.text for m in (await read_memory(self.agent, self.thread_id)).messages]


async def take(product: Product, claim: RunClaim) -> None:
    """Has a process that nobody knows hold the run: only who holds it may change the memory."""
    url = product.settings.database.url
    assert url is not None
    connection = await asyncpg.connect(url.get_secret_value())
    try:
        await connection.execute(
            "UPDATE runs SET status = 'running', finished_at = NULL, attempt = $2, "
            "lease_owner = $3, lease_until = now() + interval '1 hour' WHERE id = $1",
            claim.run_id,
            claim.attempt,
            claim.owner,
        )
    finally:
        await connection.close()


@pytest_asyncio.fixture(loop_scope="module")
async def edited(shared_product: Product) -> Edited:
    memory = shared_product.resources.sessions._memory
    async with await shared_product.new_user(f"user-{uuid4().hex}") as client:
        product = replace(shared_product, client=client)
        user_id = (await client.get("/v1/auth/me")).json()["id"]
        scope = AccessScope(user_id=user_id)
        for number in (1, 2):
            product.model.reply(f"A{number}.", when=f"Q{number}?")
            await product.stream(f"Q{number}?", session_id="s")
        history = (await client.get("/v1/chat/sessions/s")).json()["messages"]
        database = shared_product.resources.sessions._database
        async with database.unit_of_work(scope) as uow:
            session = await uow.sessions.get("s")
            user = await uow.users.get(user_id)
        before = await read_memory(memory._agent, str(session.thread_id))
        product.model.reply("A2b.", when="Q2b?")
        events = await product.stream("Q2b?", session_id="s", message_id=history[2]["id"])
    request = RunRequest(
        claim=RunClaim(run_id=UUID(events[0].data["run_id"]), attempt=2, owner="another process"),
        session_row_id=session.id,
        input=RunInput(
            session_id="s",
            thread_id=session.thread_id,
            text="Q2b?",
            rewind_to=UUID(history[2]["run_id"]),
        ),
        model="scripted",
        context=AgentContext(),
        principal=Principal(user=user, scope=scope),
        origin=Origin(ip=None, user_agent=None, correlation_id="a test"),
    )
    after = await read_memory(memory._agent, str(session.thread_id))
    await take(shared_product, request.claim)
    return Edited(memory=memory, agent=memory._agent, request=request, before=before, after=after)


async def test_what_the_new_run_has_said_already_stays(edited: Edited) -> None:
    assert await edited.rewind_from(edited.after) == ["Q1?", "A1.", "Q2b?", "A2b."]
    asked = edited.after.through(str(edited.request.run_id), with_answer=False)
    assert await edited.rewind_from(asked) == ["Q1?", "A1.", "Q2b?"]


async def test_the_old_turn_is_forgotten_with_what_came_after_it(edited: Edited) -> None:
    assert [m.text for m in edited.before.messages] == ["Q1?", "A1.", "Q2?", "A2."]
    assert await edited.rewind_from(edited.before) == ["Q1?", "A1."]


async def test_an_attempt_that_broke_off_between_rewinding_and_asking_is_no_harm(
    edited: Edited,
) -> None:
    rewound = edited.before.before(str(edited.request.input.rewind_to))
    assert await edited.rewind_from(rewound) == ["Q1?", "A1."]


async def test_a_memory_that_does_not_reach_back_so_far_is_told(edited: Edited) -> None:
    assert await edited.rewind_from(Memory(summary="Of later things.")) == ["Q1?", "A1."]
    assert (await read_memory(edited.agent, edited.thread_id)).summary == ""
