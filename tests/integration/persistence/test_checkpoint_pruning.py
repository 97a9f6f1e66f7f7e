"""What is pruned is what nobody needs: every thread goes on as if nothing had been deleted."""

import operator
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any, TypedDict

import asyncpg
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Overwrite, interrupt

from persistence.checkpoint_saver import PRUNE_EVERY_STEPS, EncryptedPostgresSaver
from persistence.checkpoints import open_checkpointer
from persistence.encryption import KeyRing
from persistence.errors import DecryptionError

SNAPSHOT_EVERY = 4
CONFIG: RunnableConfig = {"configurable": {"thread_id": "thread"}}
TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


def concatenate(state: list[str] | None, writes: list[list[str]]) -> list[str]:
    return [*(state or []), *(item for each in writes for item in each)]


class Deltas(TypedDict, total=False):
    items: Annotated[list[str], DeltaChannel(concatenate, snapshot_frequency=SNAPSHOT_EVERY)]
    slow: Annotated[list[str], DeltaChannel(concatenate, snapshot_frequency=3 * SNAPSHOT_EVERY)]
    orders: list[str]
    note: str


class Whole(TypedDict, total=False):
    items: Annotated[list[str], operator.add]
    slow: Annotated[list[str], operator.add]
    orders: list[str]
    note: str


class Breakdown(RuntimeError):
    """What a node of the test raises."""


class Thread:
    """A graph that follows orders, on one checkpointer."""

    def __init__(self, saver: BaseCheckpointSaver[Any], state: type) -> None:
        self.saver = saver
        self.broken = False
        builder: Any = StateGraph(state)
        for node in (self.work, self.answer):
            builder.add_node(node)
        builder.add_edge(START, "work")
        builder.add_conditional_edges("work", self.after_work)
        builder.add_edge("answer", END)
        self.graph: Any = builder.compile(checkpointer=saver)

    async def work(self, state: dict[str, Any]) -> dict[str, Any]:
        order, *left = state["orders"]
        if order == "ask":
            return {"items": [f"heard {interrupt({'ask': len(left)})}"], "orders": left}
        if order == "break" and self.broken:
            raise Breakdown
        slow = {"slow": [f"slow {len(state['items'])}"]} if order == "slow" else {}
        return {"items": [f"{order} {len(state['items'])}"], "orders": left, **slow}

    async def after_work(self, state: dict[str, Any]) -> str:
        return "work" if state["orders"] else "answer"

    async def answer(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"items": ["answer"], "note": f"after {len(state['items'])}"}

    async def do(self, step: Any) -> None:
        """Follow one step of a story."""
        match step:
            case ["say", orders, broken]:
                self.broken = broken
                with suppress(Breakdown):
                    await self.graph.ainvoke({"items": ["said"], "orders": orders}, CONFIG)
                self.broken = False
            case ["go on"]:
                if (await self.graph.aget_state(CONFIG)).next:
                    await self.graph.ainvoke(None, CONFIG)
            case ["resume", word]:
                if (await self.graph.aget_state(CONFIG)).interrupts:
                    await self.graph.ainvoke(Command(resume=word), CONFIG)
            case ["rewrite", items]:
                await self.graph.aupdate_state(CONFIG, {"items": Overwrite(items)}, "answer")

    async def shown(self) -> object:
        """All that one sees of the thread from outside."""
        state = await self.graph.aget_state(CONFIG)
        asked = [each.value for each in state.interrupts]
        return state.values, state.next, asked, state.metadata and state.metadata["step"]


def story_of(seed: int, *, rewrites: bool) -> list[Any]:
    """Turns, interrupts, breakdowns, resumptions and rewriting, in any order."""
    chance = random.Random(seed)
    orders = ("work", "work", "slow", "ask", "break")
    steps: list[Any] = [["say", ["work"], False]]
    for _ in range(25):
        said = ["say", chance.choices(orders, k=chance.randint(1, 5)), chance.random() < 0.5]
        others: list[Any] = [["go on"], ["resume", f"word {chance.random()}"], ["prune"]]
        if rewrites:
            others.append(["rewrite", [f"rewritten {chance.random()}"]])
        steps.append(said if chance.random() < 0.5 else chance.choice(others))
    return steps


async def rows(database_url: str, thread_id: str = "thread") -> dict[str, int]:
    connection = await asyncpg.connect(database_url)
    try:
        return {
            table: await connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE thread_id = $1", thread_id
            )
            for table in TABLES
        }
    finally:
        await connection.close()


@pytest.fixture
async def saver(database_url: str, key_ring: KeyRing) -> AsyncIterator[EncryptedPostgresSaver]:
    async with open_checkpointer(database_url, key_ring) as opened:
        yield opened


@pytest.mark.parametrize("state", [Deltas, Whole])
@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happened_the_pruned_thread_is_as_the_unpruned_one(
    saver: EncryptedPostgresSaver, seed: int, state: type
) -> None:
    pruned, unpruned = Thread(saver, state), Thread(InMemorySaver(), state)
    for number, step in enumerate(story_of(seed, rewrites=state is Deltas)):
        await pruned.do(step)
        await unpruned.do(step)
        if step == ["prune"]:
            await saver.aprune(["thread"])
        if number % 3 == 0:
            await saver.settle()
        assert await pruned.shown() == await unpruned.shown(), (number, step)


async def test_a_long_thread_keeps_what_its_last_snapshot_does_not_hold(
    saver: EncryptedPostgresSaver, database_url: str
) -> None:
    thread = Thread(saver, Deltas)
    most = 0
    for _ in range(40):
        await thread.do(["say", ["work", "slow"], False])
        await saver.settle()
        most = max(most, (await rows(database_url))["checkpoints"])
    assert most < 5 * 3 * SNAPSHOT_EVERY  # steps until the slower channel is saved whole
    assert len((await thread.graph.aget_state(CONFIG)).values["items"]) == 40 * 4


async def test_of_a_long_thread_with_whole_values_a_few_turns_are_kept(
    saver: EncryptedPostgresSaver, database_url: str
) -> None:
    thread = Thread(saver, Whole)
    for _ in range(30):
        await thread.do(["say", ["work", "work"], False])
    await saver.settle()
    assert (await rows(database_url))["checkpoints"] <= PRUNE_EVERY_STEPS + 1


async def test_one_checkpoint_is_left_where_it_holds_all_values(
    saver: EncryptedPostgresSaver, database_url: str
) -> None:
    thread = Thread(saver, Whole)
    for _ in range(3):
        await thread.do(["say", ["work"], False])
    before = await thread.shown()
    await saver.aprune(["thread"])
    left = await rows(database_url)
    assert (left["checkpoints"], left["checkpoint_writes"]) == (1, 0)
    assert await thread.shown() == before
    await saver.aprune(["thread"])
    assert await rows(database_url) == left


async def test_a_thread_of_before_the_deltas_goes_on_with_them(
    saver: EncryptedPostgresSaver, database_url: str
) -> None:
    await Thread(saver, Whole).do(["say", ["work", "slow"], False])
    thread = Thread(saver, Deltas)
    await thread.do(["say", ["work"], False])
    before = await thread.shown()
    await saver.aprune(["thread"])
    assert await thread.shown() == before
    assert (await rows(database_url))["checkpoints"] < 8


async def test_an_interrupted_run_is_resumed_after_its_thread_was_pruned(
    saver: EncryptedPostgresSaver,
) -> None:
    thread = Thread(saver, Deltas)
    for _ in range(5):
        await thread.do(["say", ["work"], False])
    await thread.do(["say", ["work", "ask", "work"], False])
    await saver.aprune(["thread"])
    await thread.do(["resume", "yes"])
    values = (await thread.graph.aget_state(CONFIG)).values
    assert "heard yes" in values["items"]
    assert values["items"][-1] == "answer"


async def test_other_threads_keep_all_they_have(
    saver: EncryptedPostgresSaver, database_url: str
) -> None:
    thread = Thread(saver, Whole)
    other: RunnableConfig = {"configurable": {"thread_id": "other"}}
    for config in (CONFIG, other):
        for _ in range(2):
            await thread.graph.ainvoke({"items": ["said"], "orders": ["work"]}, config)
    kept = await rows(database_url, "other")
    await saver.aprune(["thread", "no such thread"])
    assert await rows(database_url, "other") == kept


async def test_calls_of_graphs_within_a_graph_go_with_the_step_that_made_them(
    saver: EncryptedPostgresSaver, database_url: str
) -> None:
    within: Any = StateGraph(Whole)

    async def ask(_state: Whole) -> Whole:
        return {"items": [f"heard {interrupt('well?')}"]}

    within.add_node("ask", ask)
    within.add_edge(START, "ask")
    outer: Any = StateGraph(Whole)
    outer.add_node("within", within.compile())
    outer.add_edge(START, "within")
    graph = outer.compile(checkpointer=saver)
    for word in ("one", "two"):
        await graph.ainvoke({"items": ["said"]}, CONFIG)
        await saver.aprune(["thread"])
        ended = await graph.ainvoke(Command(resume=word), CONFIG)
        assert ended["items"][-1] == f"heard {word}"
    await saver.aprune(["thread"])
    assert (await rows(database_url))["checkpoints"] == 1


async def test_a_strategy_that_does_not_exist_is_refused(saver: EncryptedPostgresSaver) -> None:
    with pytest.raises(ValueError, match="strategy"):
        await saver.aprune(["thread"], strategy="keep_some")
    with pytest.raises(TypeError):
        await saver.aprune("thread")


async def test_nothing_is_deleted_on_the_word_of_metadata_that_was_changed(
    saver: EncryptedPostgresSaver, database_url: str
) -> None:
    thread = Thread(saver, Deltas)
    await thread.do(["say", ["work"], False])
    before = await rows(database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE checkpoints SET metadata = '{}'")
    await connection.close()
    with pytest.raises(DecryptionError):
        await saver.aprune(["thread"])
    assert await rows(database_url) == before
