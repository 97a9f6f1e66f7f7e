"""Sessions that people have of their own."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from mcp import types
from mcp.server.lowlevel import Server

from tests.fakes import odd_mcp_server
from tests.fakes.call_listener import RecordingListener
from tests.integration.tools.conftest import ODD, OpenCatalog, call
from tools.calls import CallContext, CallLimits, ElicitationAnswer
from tools.connection import Limits, ServerConnection
from tools.errors import CallTimeout, ServerUnavailable
from tools.session_pool import SessionPool, SessionProfile
from tools.transports import Observer, Streams
from tools.transports.memory import MemoryTransport

WAIT_SECONDS = 30
LIMITS = Limits(connect_seconds=30, call_seconds=30)
ASKING = SessionProfile(elicitation=True, sampling=True)


@dataclass
class Transports:
    """Makes transports to the odd server in this process, and knows whose are open."""

    open_for: list[int | None] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    refuses_nobody: bool = False
    """Whether the server tells its tools to known people only."""
    refused: set[int] = field(default_factory=set)
    """Whom the server does not let in."""

    def make(self, user_id: int | None) -> "_WatchedTransport":
        return _WatchedTransport(user_id, self)

    async def wait_until_open_for(self, *user_ids: int | None) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while sorted(map(str, self.open_for)) != sorted(map(str, user_ids)):
                self.changed.clear()
                await self.changed.wait()


class _WatchedTransport:
    kind: Literal["memory"] = "memory"

    def __init__(self, user_id: int | None, transports: Transports) -> None:
        self._user_id = user_id
        self._transports = transports

    def has_ended(self) -> bool:
        return False

    @asynccontextmanager
    async def open(self, observer: Observer) -> AsyncIterator[Streams]:
        if self._user_id is None and self._transports.refuses_nobody:
            raise ServerUnavailable("it wants to know who is asking")
        if self._user_id in self._transports.refused:
            raise ServerUnavailable("it knows who is asking")
        memory = MemoryTransport(build=_odd)
        async with memory.open(observer) as streams:
            self._note(self._transports.open_for.append)
            try:
                yield streams
            finally:
                self._note(self._transports.open_for.remove)

    def _note(self, change: Callable[[int | None], None]) -> None:
        change(self._user_id)
        self._transports.changed.set()

    def explain(self, error: BaseException) -> str:
        return str(error)


def _odd() -> Server[Any, Any]:
    return odd_mcp_server.SERVER


OpenPool = Callable[..., Any]


@pytest.fixture
def transports() -> Transports:
    return Transports()


@pytest.fixture
async def open_pool(transports: Transports) -> AsyncIterator[OpenPool]:
    """Opens a pool and closes it at the end."""
    async with AsyncExitStack() as stack:

        async def open_(*, per_user: bool = True, limits: Limits = LIMITS) -> SessionPool:
            pool = SessionPool(
                "odd", transports.make, per_user=per_user, limits=limits, profile=ASKING
            )
            stack.push_async_callback(pool.close)
            await pool.start()
            return pool

        yield open_


async def ask(pool: SessionPool, tool: str, context: CallContext, **given: Any) -> str:
    result = await pool.call(tool, given, context)
    [block] = result.content
    assert isinstance(block, types.TextContent)
    return block.text


def as_user(user_id: int, run_id: str = "r", **more: Any) -> CallContext:
    return CallContext(user_id=user_id, run_id=run_id, **more)


async def test_all_people_share_one_session_unless_told_otherwise(
    open_pool: OpenPool, transports: Transports
) -> None:
    pool = await open_pool(per_user=False)
    listener = RecordingListener()

    await ask(pool, "echo", as_user(1))
    offered = await ask(pool, "declared", as_user(2, listener=listener))

    assert transports.open_for == [None]
    assert json.loads(offered) == {}


async def test_each_person_has_a_session_that_is_kept(
    open_pool: OpenPool, transports: Transports
) -> None:
    pool = await open_pool()

    for user_id in (1, 2, 1, 2):
        await ask(pool, "echo", as_user(user_id))

    assert sorted(map(str, transports.open_for)) == ["1", "2", "None"]
    assert pool.status.healthy
    assert pool.status.tools == len(pool.tools) > 0


async def test_only_a_session_that_somebody_listens_to_offers_to_ask(open_pool: OpenPool) -> None:
    pool = await open_pool()
    listener = RecordingListener(answer=ElicitationAnswer(action="accept", content={"name": "A"}))

    alone = json.loads(await ask(pool, "declared", as_user(1)))
    heard = json.loads(await ask(pool, "declared", as_user(1, listener=listener)))
    answer = json.loads(await ask(pool, "ask_person", as_user(1, listener=listener)))

    assert alone == {}
    assert heard.keys() == {"elicitation", "sampling"}
    assert answer == ["accept", {"name": "A"}]


async def test_a_question_is_put_to_the_person_whose_call_it_is(open_pool: OpenPool) -> None:
    pool = await open_pool()
    people = {
        user_id: RecordingListener(
            answer=ElicitationAnswer(action="accept", content={"name": str(user_id)})
        )
        for user_id in (1, 2, 3)
    }

    answers = await asyncio.gather(
        *(
            ask(pool, "ask_person", as_user(user_id, listener=listener))
            for user_id, listener in people.items()
        )
    )

    assert [json.loads(answer)[1] for answer in answers] == [{"name": str(n)} for n in (1, 2, 3)]
    assert all(len(listener.questions) == 1 for listener in people.values())


async def test_a_persons_runs_take_turns_and_calls_of_one_run_do_not(open_pool: OpenPool) -> None:
    pool = await open_pool()
    first = RecordingListener(answer=ElicitationAnswer(action="accept"), may_answer=asyncio.Event())
    second = RecordingListener()
    asking = asyncio.create_task(ask(pool, "ask_person", as_user(1, "a", listener=first)))
    await first.asked.wait()

    assert await ask(pool, "echo", as_user(1, "a", listener=first)) == "{}"
    other_run = asyncio.create_task(ask(pool, "echo", as_user(1, "b", listener=second)))
    assert await ask(pool, "echo", as_user(2, "c", listener=second)) == "{}"
    assert not other_run.done()
    assert first.may_answer is not None
    first.may_answer.set()

    async with asyncio.timeout(WAIT_SECONDS):
        assert await other_run == "{}"
        await asking


async def test_a_run_does_not_wait_for_another_for_ever(open_pool: OpenPool) -> None:
    pool = await open_pool(limits=Limits(connect_seconds=30, call_seconds=1))
    listener = RecordingListener(may_answer=asyncio.Event())
    asking = asyncio.create_task(ask(pool, "ask_person", as_user(1, "a", listener=listener)))
    await listener.asked.wait()

    with pytest.raises(CallTimeout, match="another run of the same person"):
        await ask(pool, "echo", as_user(1, "b", listener=listener))

    asking.cancel()


async def test_a_session_that_nobody_uses_ends(open_pool: OpenPool, transports: Transports) -> None:
    pool = await open_pool(
        limits=Limits(connect_seconds=30, call_seconds=30, user_session_idle_seconds=0.05)
    )
    await ask(pool, "echo", as_user(1))

    await transports.wait_until_open_for(None)

    assert await ask(pool, "echo", as_user(1)) == "{}"


async def test_the_session_that_was_idle_longest_makes_room(
    open_pool: OpenPool, transports: Transports
) -> None:
    pool = await open_pool(limits=Limits(connect_seconds=30, call_seconds=30, user_sessions_max=2))
    for user_id in (1, 2, 1, 3):
        await ask(pool, "echo", as_user(user_id))

    await transports.wait_until_open_for(None, 1, 3)


async def test_when_all_sessions_are_in_use_one_more_is_an_error(open_pool: OpenPool) -> None:
    pool = await open_pool(limits=Limits(connect_seconds=30, call_seconds=30, user_sessions_max=1))
    listener = RecordingListener(may_answer=asyncio.Event())
    asking = asyncio.create_task(ask(pool, "ask_person", as_user(1, listener=listener)))
    await listener.asked.wait()

    with pytest.raises(ServerUnavailable, match="too many people"):
        await ask(pool, "echo", as_user(2))

    asking.cancel()


async def test_tools_that_are_told_to_known_people_only_are_learned_from_them(
    open_pool: OpenPool, transports: Transports
) -> None:
    transports.refuses_nobody = True
    pool = await open_pool()
    told: list[tuple[types.Tool, ...]] = []
    pool.on_tools(told.append)
    assert pool.tools == ()

    await ask(pool, "echo", as_user(1))

    assert "echo" in {tool.name for tool in pool.tools}
    assert told == [pool.tools]


async def test_one_who_is_not_let_in_or_waits_in_vain_ends_nobody_elses_calls(
    open_pool: OpenPool, transports: Transports
) -> None:
    limits = Limits(connect_seconds=30, call_seconds=30, breaker_failures=2, breaker_seconds=600)
    transports.refused = {1}
    pool = await open_pool(limits=limits)
    hurried = CallLimits(seconds=0.05)

    for _ in range(4):
        with pytest.raises(ServerUnavailable):
            await ask(pool, "echo", as_user(1))
        with pytest.raises((CallTimeout, ServerUnavailable)):
            await ask(pool, "hang", as_user(2, limits=hurried))

    assert await ask(pool, "echo", as_user(3)) == "{}"
    assert pool.status.healthy


async def test_whoever_waits_in_vain_in_a_shared_session_ends_nobody_elses_calls(
    open_pool: OpenPool,
) -> None:
    limits = Limits(connect_seconds=30, call_seconds=30, breaker_failures=2, breaker_seconds=600)
    pool = await open_pool(per_user=False, limits=limits)

    for _ in range(4):
        with pytest.raises((CallTimeout, ServerUnavailable)):
            await ask(pool, "hang", as_user(1, limits=CallLimits(seconds=0.05)))

    with pytest.raises(ServerUnavailable, match="left alone"):
        await ask(pool, "echo", as_user(1))
    assert await ask(pool, "echo", as_user(2)) == "{}"


async def test_a_connection_that_was_closed_does_not_begin(transports: Transports) -> None:
    connection = ServerConnection("odd", transports.make(None), limits=LIMITS)
    await connection.close()

    async with asyncio.timeout(WAIT_SECONDS):
        await connection.start()

    with pytest.raises(ServerUnavailable, match="shut down"):
        await connection.call("echo", {}, as_user(1))


async def test_after_closing_there_are_no_sessions_and_none_are_opened(
    open_pool: OpenPool, transports: Transports
) -> None:
    pool = await open_pool()
    await ask(pool, "echo", as_user(1))

    await pool.close()

    assert transports.open_for == []
    with pytest.raises(ServerUnavailable, match="shut down"):
        await ask(pool, "echo", as_user(1))


async def test_the_servers_file_says_which_servers_have_sessions_for_each_person(
    open_with: OpenCatalog,
) -> None:
    entries = {
        "own": {**ODD, "session": "user", "roots": ["file:///srv/a"]},
        "shared": ODD,
    }
    async with open_with(entries) as catalog:
        pids = {
            (server, user_id): (
                await call(catalog, f"{server}.pid", context=as_user(user_id))
            ).content
            for server in entries
            for user_id in (1, 2)
        }
        roots = await call(catalog, "own.roots", context=as_user(1))

    assert pids["own", 1] != pids["own", 2]
    assert pids["shared", 1] == pids["shared", 2]
    assert json.loads(str(roots.content)) == ["file:///srv/a"]
