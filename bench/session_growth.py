"""What a turn costs when the session has grown long: `python -m bench.session_growth`.

One conversation after the other grows to 1,000 messages in a real PostgreSQL: the product's agent
on its encrypting checkpointer, as it is configured by default and with nothing summarised, and the
bare program's graph on LangGraph's own checkpointer. Written are the bytes of the write-ahead log,
stored is what the checkpoint tables take on disk, indexes and space that is free again included.
"""

import argparse
import asyncio
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import structlog
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import Field

from bench.arrangements import own_database
from bench.bare import build_graph
from bench.postgres import open_server
from bench.report import Goal
from graph.agent import build_agent
from graph.context import AgentContext
from graph.settings import AgentSettings
from persistence.checkpoints import open_checkpointer
from persistence.encryption import KeyRing

PLACES = (10, 50, 200, 1000)
"""Messages after which a turn is looked at."""
TURNS_AROUND = 25
"""A figure is the mean of so many turns around its place: snapshots come once in so many."""
QUESTION_WORDS, ANSWER_WORDS = 20, 150
LOADS = 20
UNLIMITED_TOKENS = 10**9
NO_NOISE = ("autovacuum = off", "full_page_writes = off", "checkpoint_timeout = '1h'")
"""Set on the embedded server: what PostgreSQL adds on a schedule of its own is left out."""
_TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")

Turn = Callable[[str], Awaitable[object]]
Load = Callable[[], Awaitable[object]]


class ScriptedModel(BaseChatModel):
    """Answers at once, with as many words as any other time."""

    words: Any = Field(default_factory=lambda: random.Random(1))

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, *_: Any, **__: Any) -> BaseChatModel:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self._answer()))])

    async def _astream(
        self, messages: list[BaseMessage], *_: Any, **__: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(content=self._answer()))

    def _answer(self) -> str:
        return make_text(self.words, ANSWER_WORDS)


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One way to have and to keep a conversation."""

    name: str
    say: Turn
    load: Load
    settle: Load
    """Ends when all that a turn does behind the answer is done."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a turn costs, and what is stored, when so many messages were said."""

    messages: int
    wal_kib: float
    turn_ms: float
    load_ms: float
    stored_kib: float
    text_kib: float

    @property
    def stored_over_text(self) -> float:
        """How many times the text is stored."""
        return self.stored_kib / self.text_kib


def make_text(words: random.Random, count: int) -> str:
    """Text that compresses about as well as prose does."""
    letters = "etaoinshrdlucm"
    return " ".join(
        "".join(words.choices(letters, k=words.randint(2, 9))) for _ in range(count)
    ).capitalize()


@asynccontextmanager
async def open_product(dsn: str, **settings: Any) -> AsyncIterator[Conversation]:
    """The product's agent on its own checkpointer."""
    thread: Any = {"configurable": {"thread_id": str(uuid4())}}
    async with open_checkpointer(dsn, KeyRing([KeyRing.generate_key()])) as saver:
        agent = build_agent(
            ScriptedModel(), (), checkpointer=saver, settings=AgentSettings(**settings)
        )

        async def say(text: str) -> object:
            question = {"messages": [HumanMessage(text, id=str(uuid4()))]}
            context = AgentContext(emit=lambda _: None)
            return await agent.ainvoke(question, thread, context=context, durability="async")

        async def load() -> object:
            return await agent.aget_state(thread)

        name = "product, nothing summarised" if settings else "product"
        yield Conversation(name=name, say=say, load=load, settle=saver.settle)


@asynccontextmanager
async def open_stock(dsn: str) -> AsyncIterator[Conversation]:
    """LangGraph's checkpointer and its usual state, the whole list of messages."""
    thread: Any = {"configurable": {"thread_id": str(uuid4())}}
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool: AsyncConnectionPool[AsyncConnection[dict[str, Any]]] = AsyncConnectionPool(
        dsn, min_size=2, kwargs=options, open=False
    )
    async with pool:
        saver = AsyncPostgresSaver(pool)
        await saver.setup()
        graph = build_graph(ScriptedModel(), saver)

        async def say(text: str) -> object:
            return await graph.ainvoke({"messages": [HumanMessage(text)]}, thread)

        async def load() -> object:
            return await graph.aget_state(thread)

        async def settle() -> None:
            return None

        yield Conversation(name="stock", say=say, load=load, settle=settle)


async def grow(
    conversation: Conversation, connection: "asyncpg.Connection[Any]", places: Sequence[int]
) -> list[Place]:
    """Has a conversation to the last place and measures at each."""
    words = random.Random(2)
    empty = await _stored(connection)
    wal: list[int] = []
    seconds: list[float] = []
    stored: dict[int, tuple[float, float]] = {}
    last = max(places) // 2 + TURNS_AROUND // 2
    for turn in range(1, last + 1):
        before = await _written(connection)
        started = time.perf_counter()
        await conversation.say(make_text(words, QUESTION_WORDS))
        seconds.append(time.perf_counter() - started)
        await conversation.settle()
        if turn % TURNS_AROUND == 0:  # about as often as autovacuum would come
            await _vacuum(connection)
        wal.append(await _written(connection) - before)
        if turn * 2 in places:
            stored[turn * 2] = (
                await _stored(connection) - empty,
                await _time_of(conversation.load),
            )
    text = len(make_text(words, (QUESTION_WORDS + ANSWER_WORDS) * 1000)) / 1000
    return [
        Place(
            messages=messages,
            wal_kib=_around(wal, messages // 2) / 1024,
            turn_ms=_around(seconds, messages // 2) * 1000,
            load_ms=stored[messages][1],
            stored_kib=stored[messages][0] / 1024,
            text_kib=text * (messages // 2) / 1024,
        )
        for messages in places
    ]


def _around(values: Sequence[float], turn: int) -> float:
    half = TURNS_AROUND // 2
    return statistics.fmean(values[max(turn - half - 1, 0) : turn + half])


async def _written(connection: "asyncpg.Connection[Any]") -> int:
    return int(await connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


async def _vacuum(connection: "asyncpg.Connection[Any]") -> None:
    await connection.execute(f"VACUUM {', '.join(_TABLES)}")


async def _stored(connection: "asyncpg.Connection[Any]") -> int:
    await _vacuum(connection)
    return int(
        await connection.fetchval(
            "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest($1::text[]) AS name",
            _TABLES,
        )
    )


async def _time_of(load: Load) -> float:
    taken = []
    for _ in range(LOADS):
        started = time.perf_counter()
        await load()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000


async def measure(server: str, places: Sequence[int]) -> dict[str, list[Place]]:
    """Grows one conversation after the other, each in a database of its own."""
    results = {}
    for database, opener in (
        ("growth", open_product),
        ("growth_whole", lambda dsn: open_product(dsn, history_tokens=UNLIMITED_TOKENS)),
        ("growth_stock", open_stock),
    ):
        with own_database(server, database) as dsn:
            connection = await asyncpg.connect(dsn)
            try:
                async with opener(dsn) as conversation:
                    results[conversation.name] = await grow(conversation, connection, places)
            finally:
                await connection.close()
    return results


async def _quieten(server: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        for setting in NO_NOISE:
            await connection.execute(f"ALTER SYSTEM SET {setting}")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


def goals(product: Sequence[Place]) -> list[Goal]:
    """What the product must keep and should."""
    at = {place.messages: place for place in product}
    found = []
    if {50, 200} <= at.keys():
        ratio = at[200].wal_kib / at[50].wal_kib
        name = "WAL of a turn at message 200 over message 50"
        found.append(Goal(name=name, value=ratio, unit="×", must=1.2, aim=1.0))
        name = "stored bytes over text, at 200 messages"
        found.append(Goal(name=name, value=at[200].stored_over_text, unit="×", must=10, aim=5))
    if {200, 1000} <= at.keys():
        ratio = at[1000].load_ms / at[200].load_ms
        name = "loading the session at message 1,000 over message 200"
        found.append(Goal(name=name, value=ratio, unit="×", must=1.5, aim=1.2))
    return found


def report(results: dict[str, list[Place]]) -> None:
    """Prints a line for each place, and the goals."""
    print(
        f"{'':<28}{'message':>8}{'WAL KiB':>9}{'turn ms':>9}{'load ms':>9}"
        f"{'stored KiB':>12}{'text KiB':>10}{'ratio':>7}"
    )
    for name, places in results.items():
        for one in places:
            print(
                f"{name:<28}{one.messages:>8}{one.wal_kib:>9.1f}{one.turn_ms:>9.1f}"
                f"{one.load_ms:>9.1f}{one.stored_kib:>12.0f}{one.text_kib:>10.1f}"
                f"{one.stored_over_text:>7.1f}"
            )
    print()
    for goal in goals(results["product"]):
        print(goal.line(1.0))


def main() -> None:
    """Print the figures; exit 1 when a goal is missed that must be kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.session_growth", description=__doc__)
    parser.add_argument("--database-url", help="a server to use; an embedded one by default")
    parser.add_argument("--messages", type=int, default=PLACES[-1], help="the last place")
    options = parser.parse_args()
    quiet = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=quiet)
    places = [place for place in PLACES if place <= options.messages]
    with (
        tempfile.TemporaryDirectory() as folder,
        open_server(options.database_url, Path(folder)) as server,
    ):
        if options.database_url is None:
            asyncio.run(_quieten(server))
        results = asyncio.run(measure(server, places))
    report(results)
    sys.exit(any(goal.value > goal.must for goal in goals(results["product"])))


if __name__ == "__main__":
    main()
