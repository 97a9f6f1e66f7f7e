"""Checkpoints of a run are saved by whoever holds it, and by nobody else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypedDict

import asyncpg
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from persistence.access import AccessScope
from persistence.checkpoint_fence import fenced_by
from persistence.checkpoint_saver import EncryptedPostgresSaver
from persistence.checkpoints import open_checkpointer
from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.errors import RunLost
from persistence.pool import AGENT_ROLE
from persistence.run_records import RunClaim
from tests.fixtures.plaintext_scan import find_in_database
from tests.fixtures.rows import SYSTEM, start_run

OWNER = "this process"
WAIT_SECONDS = 20


class State(TypedDict, total=False):
    said: str


class Talk:
    """A graph that says what it was asked to, and can be held up before it does."""

    def __init__(self, saver: EncryptedPostgresSaver, *, asks: bool = False) -> None:
        self.reached, self.released = asyncio.Event(), asyncio.Event()
        self.released.set()

        async def speak(state: State) -> State:
            self.reached.set()
            await self.released.wait()
            return {"said": interrupt("what?") if asks else state["said"] + "!"}

        builder = StateGraph(State)
        builder.add_node("speak", speak)
        builder.add_edge(START, "speak")
        builder.add_edge("speak", END)
        self.graph: Any = builder.compile(checkpointer=saver)

    async def say(self, text: Any, claim: RunClaim | None, durability: str = "async") -> None:
        start = text if isinstance(text, Command) else {"said": text}
        await self.graph.ainvoke(start, thread(claim), durability=durability)

    async def remembered(self) -> str:
        said: str = (await self.graph.aget_state(thread(None))).values["said"]
        return said


def thread(claim: RunClaim | None) -> RunnableConfig:
    fence = fenced_by(claim) if claim is not None else {}
    return {"configurable": {"thread_id": "thread", **fence}}


@pytest.fixture
async def saver(database: Database) -> AsyncIterator[EncryptedPostgresSaver]:
    async with open_checkpointer(database.dsn, database.key_ring) as opened:
        yield opened


@pytest.fixture
async def claim(database: Database, scope: AccessScope, chat_session: ChatSession) -> RunClaim:
    run = await start_run(database, scope, chat_session, lease_owner=OWNER)
    return RunClaim(run_id=run.id, attempt=1, owner=OWNER)


async def seize(database: Database, claim: RunClaim) -> RunClaim:
    async with database.unit_of_work(SYSTEM) as uow:
        taken = await uow.run_claims.seize(claim.run_id, "another process", 60)
        await uow.commit()
    assert taken is not None
    return RunClaim(run_id=claim.run_id, attempt=taken.run.attempt, owner=taken.owner)


@pytest.mark.parametrize("durability", ["async", "sync"])
async def test_what_a_stale_owner_saves_does_not_become_the_threads_state(
    saver: EncryptedPostgresSaver, database: Database, claim: RunClaim, durability: str
) -> None:
    stale, other = Talk(saver), Talk(saver)
    stale.released.clear()
    stands_still = asyncio.create_task(stale.say("one", claim, durability))
    await asyncio.wait_for(stale.reached.wait(), WAIT_SECONDS)
    await other.say("two", await seize(database, claim))

    stale.released.set()
    with pytest.raises(RunLost):
        await asyncio.wait_for(stands_still, WAIT_SECONDS)
    assert await other.remembered() == "two!"


async def test_nothing_is_saved_of_a_run_that_has_ended_or_is_gone(
    saver: EncryptedPostgresSaver,
    database: Database,
    scope: AccessScope,
    chat_session: ChatSession,
    claim: RunClaim,
) -> None:
    talk = Talk(saver)
    await talk.say("one", claim)
    async with database.unit_of_work(scope) as uow:
        await uow.runs.finish(claim, "success")
        await uow.commit()
    with pytest.raises(RunLost):
        await talk.say("two", claim)
    async with database.unit_of_work(scope) as uow:
        await uow.sessions.delete([chat_session.id])
        await uow.commit()
    with pytest.raises(RunLost):
        await talk.say("three", claim)
    assert await talk.remembered() == "one!"


async def test_a_stale_answer_to_an_interrupt_is_refused(
    saver: EncryptedPostgresSaver, database: Database, claim: RunClaim
) -> None:
    talk = Talk(saver, asks=True)
    await talk.say("one", claim)
    taken = await seize(database, claim)
    with pytest.raises(RunLost):
        await talk.say(Command(resume="stale"), claim)
    await talk.say(Command(resume="right"), taken)
    assert await talk.remembered() == "right"


async def test_one_runs_loss_and_one_locked_run_hold_up_nobody_else(
    saver: EncryptedPostgresSaver, database: Database, claim: RunClaim
) -> None:
    stale = RunClaim(run_id=claim.run_id, attempt=1, owner="somebody else")
    connection = await asyncpg.connect(database.dsn)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT FROM runs WHERE id = $1 FOR NO KEY UPDATE", claim.run_id)
    talk = Talk(saver)
    held_up = asyncio.create_task(talk.say("held up", claim))
    with pytest.raises(RunLost):
        await asyncio.wait_for(talk.say("stale", stale), WAIT_SECONDS)
    await asyncio.wait_for(talk.say("without a run", None), WAIT_SECONDS)
    assert not held_up.done()
    await transaction.rollback()
    await connection.close()
    await asyncio.wait_for(held_up, WAIT_SECONDS)


async def test_whoever_keeps_the_agents_memory_sees_no_run_and_the_claim_is_not_stored(
    saver: EncryptedPostgresSaver, database: Database, claim: RunClaim
) -> None:
    await Talk(saver).say("one", claim)
    saved = await saver.aget_tuple(thread(None))
    assert saved is not None
    assert OWNER not in str(saved.metadata)
    assert [
        place for place in await find_in_database(database.dsn, OWNER) if "runs" not in place
    ] == []
    connection = await asyncpg.connect(database.dsn, server_settings={"role": AGENT_ROLE})
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("SELECT id FROM runs")
    await connection.close()
