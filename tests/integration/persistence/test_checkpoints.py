"""Checkpoints work as LangGraph's own do, and hold no value in clear."""

import asyncio
import operator
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import asyncpg
import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt

from persistence.checkpoint_saver import EncryptedPostgresSaver
from persistence.checkpoints import open_checkpointer
from persistence.encryption import KeyRing
from persistence.errors import DatabaseUnavailable, DecryptionError
from tests.fixtures.plaintext_scan import find_in_database

PHRASE = "flieder-elefant perché"


@dataclass(frozen=True)
class Plan:
    """A class of the state that messages know nothing of."""

    steps: tuple[str, ...]


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    note: str
    count: int
    nothing: None
    flag: bool
    total: Annotated[int, operator.add]
    plan: Any


def build(saver: EncryptedPostgresSaver, *, ask: bool = False) -> Any:
    async def answer(state: State) -> State:
        if ask:
            interrupt({"question": PHRASE})
        return {
            "messages": [AIMessage(f"answer to {PHRASE} " * 50)],
            "note": f"note {PHRASE}",
            "count": len(state["messages"]),
            "nothing": None,
            "flag": True,
            "total": 1,
        }

    graph = StateGraph(State)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    return graph.compile(checkpointer=saver)


def config(thread_id: str = "thread") -> RunnableConfig:
    return {
        "configurable": {"thread_id": thread_id, "who": f"configured {PHRASE}"},
        "metadata": {"title": f"title {PHRASE}", "number": 1},
    }


def question() -> dict[str, Any]:
    return {"messages": [HumanMessage(f"question {PHRASE}\0 👍")]}


async def change(database_url: str, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(statement, *values)
    await connection.close()


async def rows_of(database_url: str, thread_id: str) -> int:
    connection = await asyncpg.connect(database_url)
    counts = [
        await connection.fetchval(f"SELECT count(*) FROM {table} WHERE thread_id = $1", thread_id)
        for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
    ]
    await connection.close()
    return sum(counts)


@pytest.fixture
async def saver(database_url: str, key_ring: KeyRing) -> AsyncIterator[EncryptedPostgresSaver]:
    async with open_checkpointer(database_url, key_ring) as opened:
        yield opened


async def test_a_conversation_goes_on_where_it_was_left(saver: EncryptedPostgresSaver) -> None:
    graph = build(saver)
    await graph.ainvoke(question(), config())
    second = await graph.ainvoke(question(), config())
    assert [type(message) for message in second["messages"]] == [HumanMessage, AIMessage] * 2
    assert second["messages"][0].content == f"question {PHRASE}\0 👍"
    assert (second["count"], second["note"], second["flag"]) == (3, f"note {PHRASE}", True)
    assert second["total"] == 2
    assert second["nothing"] is None


async def test_nothing_of_state_or_metadata_is_stored_in_clear(
    saver: EncryptedPostgresSaver, database_url: str
) -> None:
    await build(saver, ask=True).ainvoke(question(), config())
    await build(saver, ask=True).ainvoke(Command(resume=PHRASE), config())
    assert await rows_of(database_url, "thread") > 0
    assert await find_in_database(database_url, PHRASE) == []
    assert await find_in_database(database_url, "title") == []
    assert await find_in_database(database_url, "HumanMessage") == []


async def test_every_stored_value_carries_the_mark_of_encryption(
    saver: EncryptedPostgresSaver, database_url: str
) -> None:
    await build(saver).ainvoke(question(), config())
    connection = await asyncpg.connect(database_url)
    kinds = await connection.fetch(
        "SELECT type FROM checkpoint_blobs UNION SELECT type FROM checkpoint_writes"
    )
    values = await connection.fetch("SELECT checkpoint -> 'channel_values' FROM checkpoints")
    await connection.close()
    assert kinds
    assert all(row[0].endswith("+fernet") for row in kinds)
    assert {row[0] for row in values} == {"{}"}


async def test_metadata_comes_back_and_can_be_searched(saver: EncryptedPostgresSaver) -> None:
    graph = build(saver)
    await graph.ainvoke(question(), config())
    found = await saver.aget_tuple(config())
    assert found is not None
    assert found.metadata["title"] == f"title {PHRASE}"
    assert found.metadata["source"] == "loop"
    steps = [each.metadata["step"] async for each in saver.alist(config())]
    assert steps == [1, 0, -1]
    inputs = [each async for each in saver.alist(config(), filter={"source": "input"})]
    assert [each.metadata["step"] for each in inputs] == [-1]
    loops = [each async for each in saver.alist(config(), filter={"source": "loop"}, limit=1)]
    assert [each.metadata["step"] for each in loops] == [1]
    assert [each async for each in saver.alist(config(), limit=0)] == []


async def test_an_earlier_checkpoint_can_be_read_and_gone_on_from(
    saver: EncryptedPostgresSaver,
) -> None:
    graph = build(saver)
    await graph.ainvoke(question(), config())
    states = [state async for state in graph.aget_state_history(config())]
    assert [state.values.get("note") for state in states] == [f"note {PHRASE}", None, None]
    again = await graph.ainvoke(None, states[1].config)
    assert again["note"] == f"note {PHRASE}"
    await graph.aupdate_state(config(), {"note": "changed"})
    assert (await graph.aget_state(config())).values["note"] == "changed"


async def test_an_interrupted_run_waits_and_is_resumed(saver: EncryptedPostgresSaver) -> None:
    graph = build(saver, ask=True)
    stopped = await graph.ainvoke(question(), config())
    assert stopped["__interrupt__"][0].value == {"question": PHRASE}
    resumed = await graph.ainvoke(Command(resume="yes"), config())
    assert resumed["count"] == 1


async def test_a_failed_run_keeps_what_was_written_and_is_resumed(
    saver: EncryptedPostgresSaver,
) -> None:
    failures = [True]

    async def once(_state: State) -> State:
        if failures.pop():
            raise RuntimeError(PHRASE)
        return {"note": "recovered"}

    async def other(_state: State) -> State:
        return {"total": 1}

    graph = StateGraph(State)
    graph.add_node("once", once)
    graph.add_node("other", other)
    graph.add_edge(START, "once")
    graph.add_edge(START, "other")
    compiled: Any = graph.compile(checkpointer=saver)
    with pytest.raises(RuntimeError):
        await compiled.ainvoke(question(), config())
    failures.append(False)
    assert await compiled.ainvoke(None, config()) | {"messages": []} == {
        "messages": [],
        "note": "recovered",
        "total": 1,
    }


async def test_many_conversations_run_at_once(saver: EncryptedPostgresSaver) -> None:
    graph = build(saver)
    threads = [f"thread {number}" for number in range(30)]
    await asyncio.gather(*(graph.ainvoke(question(), config(each)) for each in threads))
    ended = await asyncio.gather(*(graph.ainvoke(question(), config(each)) for each in threads))
    assert [len(state["messages"]) for state in ended] == [4] * 30


async def test_a_deleted_thread_leaves_nothing_and_others_stay(
    saver: EncryptedPostgresSaver, database_url: str
) -> None:
    graph = build(saver)
    for thread in ("kept", "deleted"):
        await graph.ainvoke(question(), config(thread))
    await saver.adelete_thread("deleted")
    assert await rows_of(database_url, "deleted") == 0
    assert await rows_of(database_url, "kept") > 0
    await saver.aprune(["kept"], strategy="delete")
    assert await rows_of(database_url, "kept") == 0


async def test_a_delta_channel_is_put_together_again(saver: EncryptedPostgresSaver) -> None:
    def concatenate(state: list[str] | None, writes: list[list[str]]) -> list[str]:
        return [*(state or []), *(item for each in writes for item in each)]

    class Deltas(TypedDict):
        items: Annotated[list[str], DeltaChannel(concatenate, snapshot_frequency=3)]

    async def add(_state: Deltas) -> Deltas:
        return {"items": [f"added {PHRASE}"]}

    graph = StateGraph(Deltas)
    graph.add_node("add", add)
    graph.add_edge(START, "add")
    compiled: Any = graph.compile(checkpointer=saver)
    for turn in range(6):
        ended = await compiled.ainvoke({"items": [f"given {turn}"]}, config())
        assert len(ended["items"]) == 2 * (turn + 1)
    read = (await compiled.aget_state(config())).values["items"]
    assert read == [item for n in range(6) for item in (f"given {n}", f"added {PHRASE}")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE checkpoint_blobs SET type = 'msgpack'",
        "UPDATE checkpoint_blobs SET type = 'json', blob = '\"planted\"'",
        "UPDATE checkpoint_blobs SET type = 'json+fernet'",
        "UPDATE checkpoint_blobs SET type = 'pickle+fernet'",
        "UPDATE checkpoint_blobs SET type = 'bytes+fernet' WHERE channel = 'note'",
        "UPDATE checkpoint_blobs SET type = 'null+fernet', blob = '' WHERE channel = 'note'",
        "UPDATE checkpoint_blobs SET blob = 'planted'",
        "UPDATE checkpoint_writes SET type = 'json', blob = '\"planted\"'",
        "UPDATE checkpoints SET metadata = '{}'",
        'UPDATE checkpoints SET metadata = \'{"source": "input"}\'',
        'UPDATE checkpoints SET metadata = \'{"fernet": "planted"}\'',
        "UPDATE checkpoints SET metadata = metadata || '{\"planted\": 1}'",
        (
            "UPDATE checkpoints SET checkpoint = "
            "jsonb_set(checkpoint, '{channel_values,planted}', '\"planted\"')"
        ),
    ],
)
async def test_what_is_not_encrypted_is_refused(
    saver: EncryptedPostgresSaver, database_url: str, statement: str
) -> None:
    graph = build(saver, ask=True)
    await graph.ainvoke(question() | {"note": "a note"}, config())
    await change(database_url, statement)
    with pytest.raises(DecryptionError):
        await saver.aget_tuple(config())


async def test_a_value_that_was_copied_from_another_conversation_is_refused(
    saver: EncryptedPostgresSaver, database_url: str
) -> None:
    graph = build(saver)
    await graph.ainvoke(question(), config("theirs"))
    await change(database_url, "UPDATE checkpoints SET thread_id = 'mine'")
    await change(database_url, "UPDATE checkpoint_blobs SET thread_id = 'mine'")
    with pytest.raises(DecryptionError):
        await saver.aget_tuple(config("mine"))


async def test_checkpoints_of_another_key_are_refused(
    saver: EncryptedPostgresSaver, database_url: str
) -> None:
    await build(saver).ainvoke(question(), config())
    async with open_checkpointer(database_url, KeyRing([KeyRing.generate_key()])) as other:
        with pytest.raises(DecryptionError):
            await other.aget_tuple(config())


async def test_objects_are_built_only_of_classes_on_the_list(
    saver: EncryptedPostgresSaver, database_url: str, key_ring: KeyRing
) -> None:
    plan = Plan(steps=("one", "two"))
    await build(saver).ainvoke(question() | {"plan": plan}, config())
    read = await saver.aget_tuple(config())
    assert read is not None
    assert read.checkpoint["channel_values"]["plan"] == {"steps": ["one", "two"]}
    listed = saver.with_allowlist({(Plan.__module__, Plan.__name__)})
    read = await listed.aget_tuple(config())
    assert read is not None
    assert read.checkpoint["channel_values"]["plan"].steps == ["one", "two"]
    async with open_checkpointer(database_url, key_ring, allowed_types=[Plan]) as allowing:
        read = await allowing.aget_tuple(config())
        assert read is not None
        assert isinstance(read.checkpoint["channel_values"]["plan"], Plan)


async def test_a_lost_connection_costs_one_checkpoint_at_most(
    saver: EncryptedPostgresSaver, database_url: str
) -> None:
    await build(saver).ainvoke(question(), config())
    await saver.adelete_thread("another")  # LangGraph's own connections, too
    await change(
        database_url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    try:
        await saver.aget_tuple(config())
    except DatabaseUnavailable:
        assert await saver.aget_tuple(config()) is not None
    await saver.adelete_thread("thread")
    assert await saver.aget_tuple(config()) is None


async def test_a_database_that_is_not_there_is_unavailable(key_ring: KeyRing) -> None:
    with pytest.raises(DatabaseUnavailable) as raised:
        async with open_checkpointer("postgresql://u:secret@/d?host=/nowhere", key_ring):
            pass
    assert "secret" not in str(raised.value)
