"""Runs go on when the server that has them dies or stops, and nothing of them is lost."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest

from persistence.access import AccessScope
from persistence.identifiers import new_uuid7
from persistence.run_records import RunInput
from server.cli.events import ServerSentEvent, read_events
from server.settings import Settings
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.product import Product, new_secrets, open_product, settings_for

ENDS_SECONDS = 30
BEGINNING = "once upon a time "
NOTER = """
import asyncio, pathlib, sys
from mcp.server.fastmcp import FastMCP

folder = pathlib.Path(sys.argv[1])
server = FastMCP("notes")

@server.tool()
async def add(text: str) -> str:
    \"\"\"Adds a note, and says so when the file 'go', or that of the note, is there.\"\"\"
    with (folder / "notes").open("a") as notes:
        notes.write(text + "\\n")
    while not any((folder / name).exists() for name in ("go", "go " + text)):
        await asyncio.sleep(0.01)
    return "noted"

server.run()
"""


@dataclass
class Pair:
    """Two servers of one installation, and their database."""

    first: Product
    second: Product
    model: ScriptedOllama
    database_url: str

    async def execute(self, statement: str, *args: object) -> None:
        connection = await asyncpg.connect(self.database_url)
        try:
            await connection.execute(statement, *args)
        finally:
            await connection.close()

    async def fetch(self, statement: str, *args: object) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.database_url)
        try:
            return [tuple(row) for row in await connection.fetch(statement, *args)]
        finally:
            await connection.close()

    async def begin(
        self, text: str = "tell me a story", **said: Any
    ) -> "tuple[UUID, asyncio.Task[list[ServerSentEvent]]]":
        """A run of the first server that has come as far as the model's pause."""
        pause = self.model.hang(**{"text": BEGINNING, "after": 3, **said})
        asking = asyncio.create_task(stream(self.first, text))
        async with asyncio.timeout(ENDS_SECONDS):
            await pause.reached.wait()
            while not await self.fetch("SELECT 1 FROM run_events"):
                await asyncio.sleep(0)
        [run_id] = self.first.resources.executor.live_ids()
        return run_id, asking

    async def kill(self, product: Product) -> None:
        """Leaves of a server's runs what a `kill -9` does."""
        runs = [product.resources.executor.live(i) for i in product.resources.executor.live_ids()]
        product.resources.executor.abandon()
        async with asyncio.timeout(ENDS_SECONDS):
            await asyncio.gather(*(run.finishing for run in runs if run is not None))

    async def lapse(self) -> None:
        """Has every lease end now, and everybody look.

        A renewal that a killed server had on its way must not arrive after that: of the dead none
        does.
        """
        await self.execute(
            "UPDATE runs SET lease_until = now() - interval '1 s', lease_owner = 'the dead' "
            "WHERE status = 'running'"
        )
        await self.execute("NOTIFY youworker_run_waiting")


@pytest.fixture
def settings(tmp_path: Path, database_url: str, scripted_model: ScriptedOllama) -> Settings:
    return settings_for(tmp_path / "a", database_url, scripted_model)


@pytest.fixture
async def pair(
    settings: Settings, tmp_path: Path, database_url: str, scripted_model: ScriptedOllama
) -> AsyncIterator[Pair]:
    secrets = new_secrets()
    other = settings.model_copy(update={"data_dir": tmp_path / "b"})
    async with (
        open_product(settings, secrets, scripted_model) as first,
        open_product(other, secrets, scripted_model) as second,
    ):
        yield Pair(first, second, scripted_model, database_url)


async def stream(product: Product, text: str, **body: Any) -> list[ServerSentEvent]:
    """All that a reader gets, also of a stream that ends without a word."""
    sent = {"text_input": text, "session_id": "s", **body}
    answer = await product.client.post("/v1/chat/stream", json=sent)
    assert answer.status_code == 200, answer.text
    return list(read_events(answer.text.split("\n")))


async def follow(
    product: Product, run_id: UUID, *, after: int = 0
) -> tuple[list[int], list[ServerSentEvent]]:
    """A run's events from one of them to its last one, and their numbers."""
    async with asyncio.timeout(ENDS_SECONDS):
        answer = await product.client.get(f"/v1/runs/{run_id}/events", params={"after": after})
    lines = answer.text.split("\n")
    ids = [int(line[4:]) for line in lines if line.startswith("id: ")]
    return ids, list(read_events(lines))


async def history(product: Product) -> list[tuple[str, str, str | None]]:
    session = (await product.client.get("/v1/chat/sessions/s")).json()
    return [(m["role"], m["content"], m["status"]) for m in session["messages"]]


def names(events: list[ServerSentEvent]) -> list[str]:
    return [event.event for event in events]


def answer_in(events: list[ServerSentEvent]) -> str:
    """The answer, as a client puts it together that takes void text back."""
    text = ""
    for event in events:
        if event.event == "token":
            text += event.data["text"]
        elif event.event == "run" and "content" in event.data:
            text = event.data["content"]
    return text


async def test_a_run_whose_server_died_is_gone_on_with_by_another(pair: Pair):
    run_id, asking = await pair.begin()
    await pair.kill(pair.first)
    heard = await asking
    pair.model.reply("It was a dark night.")
    await pair.lapse()

    ids, events = await follow(pair.second, run_id)

    assert ids == list(range(1, len(ids) + 1))
    assert [vars(e) for e in events[: len(heard)]] == [vars(e) for e in heard]
    [again] = [e for e in events[1:] if e.event == "run"]
    assert again.data == {
        "run_id": str(run_id), "session_id": "s", "attempt": 2, "content": "",
    }  # fmt: skip
    assert answer_in(events) == "It was a dark night."
    assert events[-1].data["metadata"]["status"] == "success"
    assert await history(pair.second) == [
        ("user", "tell me a story", None),
        ("assistant", "It was a dark night.", "success"),
    ]
    assert await pair.fetch("SELECT attempt, crashes, vain_crashes FROM runs") == [(2, 1, 0)]


async def test_a_server_that_stops_hands_its_runs_over(pair: Pair):
    run_id, asking = await pair.begin()
    pair.model.reply("It was a dark night.")

    await pair.first.resources.executor.stop()

    heard = await asking
    assert "done" not in names(heard)
    assert answer_in(heard) != ""
    ids, events = await follow(pair.second, run_id)
    assert ids == list(range(1, len(ids) + 1))
    assert [vars(e) for e in events[: len(heard)]] == [vars(e) for e in heard]
    assert answer_in(events) == "It was a dark night."
    assert await pair.fetch("SELECT attempt, crashes FROM runs") == [(2, 0)]
    # The call that was cut off when the server stopped, and the one that answered.
    assert await pair.fetch("SELECT estimated FROM model_calls ORDER BY id") == [(True,), (False,)]


async def test_whoever_waits_for_a_whole_answer_is_told_where_it_goes_on(pair: Pair):
    pause = pair.model.hang()
    body = {"text_input": "wait", "session_id": "s"}
    asking = asyncio.create_task(pair.first.client.post("/v1/chat", json=body))
    await pause.reached.wait()
    [run_id] = pair.first.resources.executor.live_ids()
    pair.model.reply("here it is")

    await pair.first.resources.executor.stop()

    answer = await asking
    assert answer.status_code == 503
    assert answer.json()["error"]["details"] == {"run_id": str(run_id), "status": "running"}
    _, events = await follow(pair.second, run_id)
    assert answer_in(events) == "here it is"


async def test_a_server_that_was_paused_and_lost_its_run_writes_nothing_more(pair: Pair):
    run_id, asking = await pair.begin()
    paused = pair.first.resources.executor.live(run_id)
    assert paused is not None
    pair.model.reply("from the second")
    async with asyncio.timeout(ENDS_SECONDS):
        claimed = await pair.second.resources.keeper.end(run_id)
        assert claimed is not None
        await claimed.outcome()
        paused.answering.cancel()

        assert await paused.finishing is None
        await asking

    assert [status for *_, status in await history(pair.second)] == [None, "cancelled"]
    ids, events = await follow(pair.first, run_id)
    assert ids == list(range(1, len(ids) + 1))
    assert names(events).count("done") == 1


async def test_a_run_is_cancelled_from_another_server_while_the_model_is_silent(pair: Pair):
    run_id, asking = await pair.begin()

    answer = await pair.second.client.post(f"/v1/runs/{run_id}/cancel")

    assert answer.json()["status"] == "cancelled"
    events = await asking
    assert events[-1].data["metadata"]["status"] == "cancelled"
    assert (await history(pair.second))[-1][1:] == (answer_in(events), "cancelled")


async def test_a_run_whose_server_has_just_died_is_cancelled_all_the_same(pair: Pair):
    run_id, asking = await pair.begin()
    await pair.kill(pair.first)
    heard = await asking

    answer = await pair.second.client.post(f"/v1/runs/{run_id}/cancel")

    assert answer.json()["status"] == "cancelled"
    assert (await history(pair.second))[-1] == ("assistant", answer_in(heard), "cancelled")
    _, events = await follow(pair.second, run_id)
    assert events[-1].data["metadata"]["status"] == "cancelled"


async def test_a_run_that_was_accepted_and_never_begun_is_answered(pair: Pair):
    database = pair.first.resources.chat._database
    [root] = (await pair.first.client.get("/v1/users")).json()["users"]
    run_id = new_uuid7()
    async with database.unit_of_work(AccessScope(user_id=root["id"])) as uow:
        session = await uow.sessions.open("s", title="x")
        await uow.runs.start(
            run_id,
            session.id,
            model="scripted",
            lease_owner="a process that died",
            lease_seconds=-1,
            run_input=RunInput(session_id="s", thread_id=session.thread_id, text="hello?"),
        )
        await uow.messages.add(session.id, role="user", content="hello?", run_id=run_id)
        await uow.commit()
    pair.model.reply("Hello!")
    await pair.lapse()

    _, events = await follow(pair.second, run_id)

    assert events[-1].data["metadata"]["status"] == "success"
    assert [text for _, text, _ in await history(pair.second)] == ["hello?", "Hello!"]


async def test_a_run_that_kills_one_server_after_the_other_is_given_up(pair: Pair):
    run_id, asking = await pair.begin()
    await pair.kill(pair.first)
    heard = await asking
    await pair.execute("UPDATE runs SET vain_crashes = 2, taken_at_event = 1000")
    await pair.lapse()

    _, events = await follow(pair.second, run_id)

    assert names(events)[-2:] == ["error", "done"]
    assert events[-2].data["code"] == "RUN_LOST"
    assert (await history(pair.second))[-1] == ("assistant", answer_in(heard), "error")


async def test_messages_that_wait_are_answered_in_their_order_on_any_server(pair: Pair):
    pause = pair.model.hang(text="one", after=1)
    asking = [asyncio.create_task(stream(pair.first, "first"))]
    await pause.reached.wait()
    for number, (product, text) in enumerate(
        [(pair.second, "second"), (pair.first, "third"), (pair.second, "fourth")], 1
    ):
        asking.append(asyncio.create_task(stream(product, text, multitask="enqueue")))
        async with asyncio.timeout(ENDS_SECONDS):
            while len(await pair.fetch("SELECT 1 FROM runs WHERE status = 'queued'")) < number:
                await asyncio.sleep(0)
    for text in ("two", "three", "four"):
        pair.model.reply(text)
    refused = await pair.first.client.post(
        "/v1/chat", json={"text_input": "now", "session_id": "s"}
    )
    assert refused.json()["error"]["code"] == "RUN_IN_PROGRESS"

    pause.release()

    async with asyncio.timeout(ENDS_SECONDS):
        streams = await asyncio.gather(*asking)
    assert [answer_in(events) for events in streams] == ["one", "two", "three", "four"]
    assert [text for _, text, _ in await history(pair.second)] == [
        "first", "one", "second", "two", "third", "three", "fourth", "four",
    ]  # fmt: skip


async def test_a_message_that_waits_is_answered_as_a_whole(pair: Pair):
    pause = pair.model.hang(text="one", after=1)
    first = asyncio.create_task(stream(pair.first, "first"))
    await pause.reached.wait()
    body = {"text_input": "second", "session_id": "s", "multitask": "enqueue"}
    second = asyncio.create_task(pair.second.client.post("/v1/chat", json=body))
    async with asyncio.timeout(ENDS_SECONDS):
        while not (rows := await pair.fetch("SELECT id FROM runs WHERE status = 'queued'")):
            await asyncio.sleep(0)
    state = (await pair.first.client.get(f"/v1/runs/{rows[0][0]}")).json()
    assert state["status"] == "queued"
    pair.model.reply("two")

    pause.release()

    async with asyncio.timeout(ENDS_SECONDS):
        await first
        answer = await second
    assert answer.status_code == 200, answer.text
    assert (answer.json()["content"], answer.json()["status"]) == ("two", "success")
    assert answer.json()["metadata"]["tokens_out"] > 0


async def test_a_run_that_waits_for_its_turn_is_cancelled(pair: Pair):
    _, asking = await pair.begin()
    waiting = asyncio.create_task(stream(pair.first, "later", multitask="enqueue"))
    async with asyncio.timeout(ENDS_SECONDS):
        while not (rows := await pair.fetch("SELECT id FROM runs WHERE status = 'queued'")):
            await asyncio.sleep(0)

    answer = await pair.second.client.post(f"/v1/runs/{rows[0][0]}/cancel")

    assert answer.json()["status"] == "cancelled"
    async with asyncio.timeout(ENDS_SECONDS):
        events = await waiting
    assert names(events) == ["run", "done"]
    assert [text for _, text, _ in await history(pair.first)] == ["tell me a story"]
    [run_id] = pair.first.resources.executor.live_ids()
    await pair.first.client.post(f"/v1/runs/{run_id}/cancel")
    await asking


async def test_a_run_that_takes_too_long_ends_with_what_there_is(
    settings: Settings, scripted_model: ScriptedOllama
):
    runs = settings.runs.model_copy(update={"timeout_seconds": 0.5})
    settings = settings.model_copy(update={"runs": runs})
    async with open_product(settings, new_secrets(), scripted_model) as product:
        scripted_model.hang(text=BEGINNING, after=2)
        events = await stream(product, "take your time")
        assert names(events)[-2:] == ["error", "done"]
        assert events[-2].data["code"] == "RUN_TIMEOUT"
        assert (await history(product))[-1][1:] == (answer_in(events), "error")


async def test_a_session_is_deleted_with_the_runs_that_wait_in_it(pair: Pair):
    run_id, asking = await pair.begin()
    waiting = asyncio.create_task(stream(pair.second, "later", multitask="enqueue"))
    async with asyncio.timeout(ENDS_SECONDS):
        while not await pair.fetch("SELECT id FROM runs WHERE status = 'queued'"):
            await asyncio.sleep(0)
    busy = await pair.second.client.delete("/v1/chat/sessions/s")
    assert busy.status_code == 409
    await pair.execute(
        "UPDATE runs SET status = 'awaiting_approval', lease_owner = '' WHERE id = $1", run_id
    )
    gone = await pair.second.client.delete("/v1/chat/sessions/s")
    assert gone.status_code == 204, gone.text
    async with asyncio.timeout(ENDS_SECONDS):
        await asyncio.gather(waiting, return_exceptions=True)
        for live in list(pair.first.resources.executor._live.values()):
            live.cancel()
        await asking
    assert await pair.fetch("SELECT id FROM runs") == []
    assert await pair.fetch("SELECT thread_id FROM checkpoints") == []


@pytest.fixture
def notes(tmp_path: Path, settings: Settings) -> Path:
    """The folder of an MCP server with a tool that must not be called twice."""
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "server.py").write_text(NOTER)
    entry = {"command": sys.executable, "args": [str(folder / "server.py"), str(folder)]}
    assert settings.mcp.servers_file is not None
    settings.mcp.servers_file.parent.mkdir(parents=True, exist_ok=True)
    settings.mcp.unmarked_tools = "allow"
    settings.mcp.servers_file.write_bytes(orjson.dumps({"mcpServers": {"notes": entry}}))
    return folder


async def begin_note(pair: Pair, notes: Path) -> "tuple[UUID, asyncio.Task[Any]]":
    await until_ready(pair)
    pair.model.call("notes__add", {"text": "milk"})
    asking = asyncio.create_task(stream(pair.first, "note: milk"))
    async with asyncio.timeout(ENDS_SECONDS):
        while not (notes / "notes").exists():
            await asyncio.sleep(0)
    [run_id] = pair.first.resources.executor.live_ids()
    return run_id, asking


async def until_ready(pair: Pair) -> None:
    """Waits until both servers have the tool."""
    for product in (pair.first, pair.second):
        catalog = product.resources.chat._preparation._access._catalog
        async with asyncio.timeout(ENDS_SECONDS):
            while "notes.add" not in [tool.qualified_name for tool in catalog.tools()]:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("decision", ["allow", "refuse"])
async def test_a_tool_that_had_begun_is_called_again_only_if_its_user_says_so(
    notes: Path, pair: Pair, decision: str
):
    run_id, asking = await begin_note(pair, notes)
    await pair.kill(pair.first)
    await asyncio.wait_for(asking, ENDS_SECONDS)
    await pair.lapse()
    _, events = await follow(pair.second, run_id)
    assert events[-1].data["metadata"]["status"] == "awaiting_approval"
    [asked] = [event.data for event in events if event.event == "approval"]
    assert (asked["tool"], asked["cause"]) == ("notes.add", "interrupted")
    assert (notes / "notes").read_text() == "milk\n"
    pair.model.reply("Done.")
    (notes / "go").touch()

    answer = await pair.second.client.post(
        f"/v1/runs/{run_id}/resume",
        json={"decisions": {asked["approval_id"]: {"decision": decision}}},
    )

    assert answer.status_code == 202, answer.text
    _, later = await follow(pair.second, run_id, after=len(events))
    assert later[-1].data["metadata"]["status"] == "success"
    written = (notes / "notes").read_text()
    assert written == ("milk\nmilk\n" if decision == "allow" else "milk\n")
    ids, events = await follow(pair.second, run_id)
    assert ids == list(range(1, len(ids) + 1))
    assert answer_in(events) == "Done."
    assert events[-1].data["metadata"]["tool_calls"] == 1
    called = await pair.fetch("SELECT tool, status FROM tool_runs")
    assert called == [("notes.add", "end" if decision == "allow" else "error")]
    audited = await pair.fetch("SELECT count(*) FROM audit_log WHERE action = 'tool.call'")
    assert audited == [(1,)]


async def test_a_tool_that_must_not_be_cut_off_gets_its_time_when_a_server_stops(
    notes: Path, pair: Pair
):
    run_id, asking = await begin_note(pair, notes)
    pair.model.reply("Noted.")
    stopping = asyncio.create_task(pair.first.resources.executor.stop())
    (notes / "go").touch()
    await stopping
    await asking

    _, events = await follow(pair.second, run_id)

    assert events[-1].data["metadata"]["status"] == "success"
    assert (notes / "notes").read_text() == "milk\n"
    assert answer_in(events) == "Noted."


async def test_a_server_that_stops_begins_no_call_that_must_not_be_made_twice(
    notes: Path, pair: Pair
):
    await until_ready(pair)
    asked = [str(number) for number in range(10)]  # more than are made at a time
    pair.model.calls(*[("notes__add", {"text": text}) for text in asked])
    pair.model.reply("Noted.")
    asking = asyncio.create_task(stream(pair.first, "note all of it"))
    async with asyncio.timeout(ENDS_SECONDS):
        while not (notes / "notes").exists() or len((notes / "notes").read_text()) < 2 * 8:
            await asyncio.sleep(0)
    [run_id] = pair.first.resources.executor.live_ids()
    begun = (notes / "notes").read_text().split()

    stopping = asyncio.create_task(pair.first.resources.executor.stop())
    for text in begun:  # a call that began only now would be cut off
        (notes / f"go {text}").touch()
    await stopping
    await asking
    (notes / "go").touch()

    _, events = await follow(pair.second, run_id)
    assert events[-1].data["metadata"]["status"] == "success"
    assert len(begun) == 8
    assert sorted((notes / "notes").read_text().split()) == asked
    called = await pair.fetch("SELECT status, count(*) FROM tool_runs GROUP BY 1")
    assert called == [("end", 10)]


async def test_a_tool_that_is_cut_off_is_written_down_as_interrupted(notes: Path, pair: Pair):
    run_id, asking = await begin_note(pair, notes)

    answer = await pair.second.client.post(f"/v1/runs/{run_id}/cancel")

    assert answer.json()["status"] == "cancelled"
    await asking
    assert await pair.fetch("SELECT tool, status FROM tool_runs") == [("notes.add", "error")]
    audited = await pair.fetch("SELECT count(*) FROM audit_log WHERE action = 'tool.call'")
    assert audited == [(1,)]
