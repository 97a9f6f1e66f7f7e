"""What a tool's server says and asks during a call, from the server to the person and back."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

from server.cli.events import ServerSentEvent, read_events
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.product import Product, client_for, new_secrets, open_product, settings_for
from tests.fixtures.sockets import open_socket
from tests.integration.server.people import Person, open_person, told
from tests.integration.tools.conftest import ODD

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAIT_SECONDS = 30
FORM = {
    "type": "object",
    "properties": {
        "seats": {"type": "integer", "minimum": 1, "maximum": 6, "title": "How many?"},
        "room": {"type": "string", "enum": ["A", "B"], "default": "A"},
    },
    "required": ["seats"],
}


@dataclass(frozen=True)
class Pair:
    """Two servers of one installation; runs are executed by the first, and answers go to both."""

    first: Product
    second: Product
    model: ScriptedOllama
    database_url: str
    key: str

    async def fetch(self, statement: str, *args: object) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.database_url)
        try:
            return [tuple(row) for row in await connection.fetch(statement, *args)]
        finally:
            await connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    database_url = postgres_server.lend()
    folder = tmp_path_factory.mktemp("pair")
    servers = {
        "odd": {**ODD, "session": "user", "sampling": "allow"},
        "polite": {**ODD, "session": "user", "sampling": "ask"},
    }
    (folder / "mcp.json").write_text(json.dumps({"mcpServers": servers}), "utf-8")
    async with ScriptedOllama() as model:
        settings = settings_for(folder, database_url, model)
        mcp = settings.mcp.model_copy(
            update={
                "unmarked_tools": "allow",
                "start_wait_seconds": 60,
                "sampling_max_calls": 2,
                "call_timeout_seconds": 20,
            }
        )
        settings = settings.model_copy(update={"mcp": mcp})
        other = settings.model_copy(update={"data_dir": folder / "other"})
        secrets = new_secrets()
        async with (
            open_product(settings, secrets, model) as first,
            open_product(other, secrets, model) as second,
        ):
            yield Pair(first, second, model, database_url, secrets.root_api_key)
    postgres_server.take_back(database_url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ada(pair: Pair) -> AsyncIterator[Person]:
    async with open_person(pair.first, "ada") as person:
        yield person


@dataclass
class Heard:
    """A run of a person that is being followed."""

    client: httpx.AsyncClient
    events: list[ServerSentEvent] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def run_id(self) -> str:
        return str(self.events[0].data["run_id"])

    def named(self, name: str) -> list[Any]:
        return [each.data for each in self.events if each.event == name]

    def results(self) -> list[str]:
        return [each["result_preview"] for each in self.named("tool") if each["status"] == "end"]

    @property
    def status(self) -> str:
        return str(self.events[-1].data["metadata"]["status"])

    async def follow(self, **body: Any) -> "Heard":
        """Ask, and hear all of it."""
        async with self.client.stream("POST", "/v1/chat/stream", json=body) as answer:
            assert answer.status_code == 200
            lines: list[str] = []
            async for line in answer.aiter_lines():
                lines.append(line)
                if not line:
                    self.events += read_events(lines)
                    lines.clear()
                    self.news.set()
        return self

    async def question(self) -> dict[str, Any]:
        """The next question that is asked."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not (asked := self.named("question")):
                self.news.clear()
                await self.news.wait()
        first: dict[str, Any] = asked[0]
        return first

    async def answer(
        self, action: str, *, by: httpx.AsyncClient | None = None, **more: Any
    ) -> httpx.Response:
        question = await self.question()
        body = {"answers": {question["question_id"]: {"action": action, **more}}}
        return await (by or self.client).post(f"/v1/runs/{self.run_id}/answers", json=body)


def begin(
    pair: Pair, person: Person, tool: str, server: str = "odd", **args: Any
) -> "tuple[Heard, asyncio.Task[Heard]]":
    """The person asks something, for which the model calls a tool."""
    says = f"please {uuid4()}"
    pair.model.calls((f"{server}__{tool}", args), when=says)
    heard = Heard(person.client)
    return heard, asyncio.create_task(heard.follow(text_input=says))


async def at_second(pair: Pair, person: Person) -> httpx.AsyncClient:
    """A client of the same person at the other server."""
    issued = await pair.first.client.post(f"/v1/users/{person.id}/api-keys", json={"name": "t"})
    return client_for(pair.second.url, issued.json()["key"])


async def test_a_question_is_answered_at_another_server_and_the_call_goes_on(
    pair: Pair, ada: Person
):
    heard, following = begin(pair, ada, "ask_person", message="Which seats?", schema=FORM)
    question = await heard.question()
    assert question["status"] == "open"
    assert (question["kind"], question["message"]) == ("form", "Which seats?")
    assert question["schema"]["properties"]["seats"]["maximum"] == 6
    assert question["tool"] == "odd.ask_person"
    run = (await ada.client.get(f"/v1/runs/{heard.run_id}")).json()
    assert run["status"] == "running"
    async with await at_second(pair, ada) as elsewhere:
        listed = await elsewhere.get("/v1/questions", params={"status": "open"})
        [row] = listed.json()["questions"]
        assert row["question_id"] == question["question_id"]
        assert row["schema"] == question["schema"]
        answer = await heard.answer("accept", content={"seats": 2}, by=elsewhere)
    assert (answer.status_code, answer.json()["open"]) == (202, [])
    await following
    assert heard.status == "success"
    assert json.loads(heard.results()[0]) == ["accept", {"seats": 2}]
    [_, closed] = heard.named("question")
    assert closed == {"question_id": question["question_id"], "status": "accepted"}
    assert told(await heard.answer("decline")) == (409, "QUESTION_ANSWERED")


async def test_what_does_not_fit_the_form_is_refused_and_the_question_stays_open(
    pair: Pair, ada: Person
):
    heard, following = begin(pair, ada, "ask_person", schema=FORM)
    for content, argument in (({"seats": 9}, "seats"), ({}, ""), ({"seats": 1, "x": 1}, "")):
        answer = await heard.answer("accept", content=content)
        assert told(answer) == (400, "INVALID_CONTENT")
        details = answer.json()["error"]["details"]
        assert details["errors"][0]["argument"] == argument
        assert "9" not in json.dumps(details["errors"]).replace("maximum': 6", "")
    for wrong in ({"action": "decline", "content": {"seats": 1}}, {"action": "maybe"}):
        body = {"answers": {details["question_id"]: wrong}}
        refused = await ada.client.post(f"/v1/runs/{heard.run_id}/answers", json=body)
        assert told(refused) == (400, "VALIDATION_ERROR")
    assert (await heard.answer("accept", content={"seats": 1, "room": "B"})).status_code == 202
    await following
    assert json.loads(heard.results()[0]) == ["accept", {"seats": 1, "room": "B"}]


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_person_may_say_no(pair: Pair, ada: Person, action: str):
    heard, following = begin(pair, ada, "ask_person")
    await heard.answer(action)
    await following
    assert heard.status == "success"
    assert json.loads(heard.results()[0]) == [action, None]


async def test_an_address_is_shown_and_done_when_the_person_says_so(pair: Pair, ada: Person):
    heard, following = begin(pair, ada, "ask_person", url="https://example.org/sign")
    question = await heard.question()
    assert (question["kind"], question["url"]) == ("url", "https://example.org/sign")
    assert "schema" not in question
    refused = await heard.answer("accept", content={"signed": True})
    assert told(refused) == (400, "INVALID_CONTENT")
    await heard.answer("accept")
    await following
    assert json.loads(heard.results()[0])[0] == "accept"


@pytest.mark.parametrize(
    "args",
    [
        {"url": "http://example.org/"},
        {"url": "https://example.org@evil.example/"},
        {"schema": {"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}},
        {"schema": {"type": "object", "properties": {"a": {"type": "object"}}}},
        {"message": "\u200b"},
    ],
)
async def test_what_cannot_be_shown_is_put_to_nobody_and_the_run_goes_on(
    pair: Pair, ada: Person, args: dict[str, Any]
):
    heard, following = begin(pair, ada, "ask_person", **args)
    await following
    assert heard.status == "success"
    assert heard.named("question") == []
    assert heard.named("tool")[-1]["status"] == "error"


async def test_nobody_else_sees_or_answers_a_question(pair: Pair, ada: Person):
    heard, following = begin(pair, ada, "ask_person")
    question = await heard.question()
    async with open_person(pair.first, "eve") as eve:
        listed = await eve.client.get("/v1/questions")
        assert listed.json()["total"] == 0
        assert told(await heard.answer("accept", by=eve.client)) == (404, "RUN_NOT_FOUND")
        other, others = begin(pair, eve, "ask_person")
        await other.question()
        body = {"answers": {question["question_id"]: {"action": "cancel"}}}
        answer = await eve.client.post(f"/v1/runs/{other.run_id}/answers", json=body)
        assert told(answer) == (404, "QUESTION_NOT_FOUND")
        await other.answer("cancel")
        await others
    for listing in (await pair.first.client.get("/v1/questions")).json()["questions"]:
        assert listing["question_id"] != question["question_id"]  # not even root's
    await heard.answer("decline")
    await following


async def test_a_question_that_nobody_answers_in_time_is_over(pair: Pair, ada: Person):
    heard, following = begin(pair, ada, "ask_person")
    question = await heard.question()
    await pair.fetch(
        "UPDATE questions SET expires_at = now() WHERE id = $1", UUID(question["question_id"])
    )
    assert told(await heard.answer("accept", content={})) == (409, "QUESTION_EXPIRED")
    await pair.second.resources.keeper.look()
    await following
    assert json.loads(heard.results()[0]) == ["cancel", None]
    assert heard.named("question")[-1]["status"] == "expired"
    assert told(await heard.answer("accept", content={})) == (409, "QUESTION_EXPIRED")


async def test_a_run_that_is_cancelled_leaves_no_question_open(pair: Pair, ada: Person):
    heard, following = begin(pair, ada, "ask_person")
    question = await heard.question()
    await ada.client.post(f"/v1/runs/{heard.run_id}/cancel")
    await following
    names = [each.event for each in heard.events]
    assert heard.status == "cancelled"
    assert heard.named("question")[-1] == {
        "question_id": question["question_id"],
        "status": "cancelled",
    }
    assert len(heard.named("question")) == 2
    assert names[-1] == "done"
    assert told(await heard.answer("accept", content={})) == (409, "QUESTION_ANSWERED")
    listed = await ada.client.get("/v1/questions", params={"run_id": heard.run_id})
    assert [each["status"] for each in listed.json()["questions"]] == ["cancelled"]


async def test_progress_and_what_a_server_logs_are_events_of_the_run(pair: Pair, ada: Person):
    heard, following = begin(pair, ada, "progress", steps=[1, 2])
    await following
    assert heard.named("tool")[1] == {
        "tool": "odd.progress",
        "call_id": heard.named("tool")[0]["call_id"],
        "status": "progress",
        "progress": 1.0,
        "total": 10.0,
        "message": "step 1",
    }
    assert heard.events[-1].data["metadata"]["tool_calls"] == 1
    logging, logged = begin(pair, ada, "write_log", level="error", data="low \x1b[1mink")
    await logged
    [log] = logging.named("log")
    assert log["level"] == "warning"
    assert (log["message"], log["tool"]) == ("low [1mink", "odd.write_log")
    replay = await ada.client.get(f"/v1/runs/{heard.run_id}/events")
    assert list(read_events(replay.text.split("\n"))) == heard.events


async def test_the_model_of_the_run_answers_a_server_and_that_is_counted(pair: Pair, ada: Person):
    pair.model.reply("4", when="What is 2 + 2?")
    heard, following = begin(pair, ada, "ask_model")
    await following
    assert heard.results() == ["4"]
    [asked] = [
        each for each in pair.model.requests if each.messages[-1]["content"] == "What is 2 + 2?"
    ]
    assert [each["role"] for each in asked.messages] == ["system", "user"]
    rows = await pair.fetch(
        "SELECT purpose, tokens_out FROM model_calls WHERE run_id = $1 ORDER BY id",
        UUID(heard.run_id),
    )
    assert [purpose for purpose, _ in rows].count("sampling") == 1
    run = (await ada.client.get(f"/v1/runs/{heard.run_id}")).json()
    assert run["iterations"] == len(rows) == 3
    assert run["tokens_out"] == sum(tokens for _, tokens in rows)


async def test_where_it_has_to_be_asked_the_person_allows_it_first(pair: Pair, ada: Person):
    pair.model.reply("5", when="What is 2 + 2?")
    heard, following = begin(pair, ada, "ask_model", "polite")
    question = await heard.question()
    assert question["kind"] == "sampling"
    assert question["message"] == "instructions: Be brief.\n\nuser: What is 2 + 2?"
    await heard.answer("accept")
    await following
    assert heard.results() == ["5"]
    refusing, refused = begin(pair, ada, "ask_model", "polite")
    await refusing.answer("decline")
    await refused
    assert refusing.status == "success"
    assert "did not allow" in refusing.named("tool")[-1]["result_preview"]


async def test_whoever_waits_for_the_whole_answer_is_answered_from_elsewhere(
    pair: Pair, ada: Person
):
    says = f"please {uuid4()}"
    pair.model.calls(("odd__ask_person", {}), when=says)
    whole = asyncio.create_task(ada.client.post("/v1/chat", json={"text_input": says}))
    async with asyncio.timeout(WAIT_SECONDS):
        while not (
            found := (await ada.client.get("/v1/questions", params={"status": "open"})).json()[
                "questions"
            ]
        ):
            await asyncio.sleep(0)
    body = {"answers": {found[0]["question_id"]: {"action": "accept", "content": {"name": "A"}}}}
    await ada.client.post(f"/v1/runs/{found[0]['run_id']}/answers", json=body)
    assert (await whole).json()["status"] == "success"


async def test_a_client_over_mcp_is_told_that_a_person_is_asked(pair: Pair, ada: Person):
    says = f"please {uuid4()}"
    pair.model.calls(("odd__ask_person", {}), when=says)
    params = {"name": "ask", "arguments": {"question": says}, "_meta": {"progressToken": "p"}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"Accept": "text/event-stream"}
    told_of: list[str] = []
    async with ada.client.stream("POST", "/mcp", json=call, headers=headers) as answer:
        async for line in answer.aiter_lines():
            if not line.startswith("data:") or not (data := line[5:].strip()):
                continue
            message = json.loads(data)
            told_of.append(message.get("params", {}).get("message", ""))
            if "has to answer what odd.ask_person asks" in told_of[-1]:
                listed = await ada.client.get("/v1/questions", params={"status": "open"})
                [question] = listed.json()["questions"]
                body = {"answers": {question["question_id"]: {"action": "decline"}}}
                await ada.client.post(f"/v1/runs/{question['run_id']}/answers", json=body)
    assert message["result"]["structuredContent"]["status"] == "success"
    assert any("has to answer" in each for each in told_of)


async def test_over_a_websocket_questions_come_and_are_answered(pair: Pair):
    says = f"please {uuid4()}"
    pair.model.calls(("odd__ask_person", {}), when=says)
    async with open_socket(pair.first.url, f"s-{uuid4()}", key=pair.key) as socket:
        await socket.send(type="text", content=says)
        [*_, question] = await socket.until("question")
        wrong = {question["question_id"]: {"action": "accept", "content": {"name": 1}}}
        await socket.send(type="answer", answers=wrong)
        [*_, error] = await socket.until("error")
        assert error["code"] == "INVALID_CONTENT"
        right = {question["question_id"]: {"action": "accept", "content": {"name": "Ada"}}}
        await socket.send(type="answer", answers=right)
        said = await socket.until("done")
    assert {"type": "answered", "pending": []}.items() <= next(
        each.items() for each in said if each["type"] == "answered"
    )
    closed = next(each for each in said if each["type"] == "question")
    assert closed["status"] == "accepted"
    assert said[-1]["metadata"]["status"] == "success"


PING = '{"jsonrpc": "2.0", "id": "x", "method": "ping"}'


@pytest.mark.parametrize(
    ("tool", "args", "words"),
    [
        ("die", {}, "lost"),
        ("garble", {}, "makes no sense"),
        ("big", {"chars": 50_000_000}, "larger than"),
        ("hang", {}, "within 1 seconds"),
        ("flood", {"line": PING, "times": 100_000_000}, "within 1 seconds"),
    ],
)
async def test_a_server_that_fails_during_a_call_fails_that_call_and_the_run_goes_on(
    pair: Pair, tool: str, args: dict[str, Any], words: str
):
    says = f"please {uuid4()}"
    pair.model.calls((f"odd__{tool}", args), ("datetime__now", {"timezone": "UTC"}), when=says)
    if tool in {"hang", "flood"}:
        limit = {"tool": f"odd.{tool}", "max_seconds": 1}
        made = await pair.first.client.post("/v1/tool-limits", json=limit)
        assert made.status_code == 201
    async with open_person(pair.first, "ida") as ida:
        heard = await Heard(ida.client).follow(text_input=says)
    ended = {
        each["tool"]: each["status"] for each in heard.named("tool") if each["status"] != "start"
    }
    assert heard.status == "success"
    assert ended == {f"odd.{tool}": "error", "datetime.now": "end"}
    [told] = [each.messages[-2:] for each in pair.model.requests if _follows(each.messages, says)]
    assert [each["role"] for each in told] == ["tool", "tool"]
    assert told[0]["content"].startswith(f"The tool odd__{tool} failed: ")
    assert words in told[0]["content"]
    assert "UTC" in told[1]["content"]


async def test_nothing_that_was_asked_or_answered_stands_in_clear(pair: Pair, ada: Person):
    secret, answer = f"secret {uuid4()}", f"answer {uuid4()}"
    heard, following = begin(pair, ada, "ask_person", message=secret)
    await heard.answer("accept", content={"name": answer})
    await following
    rows = await pair.fetch("SELECT q::text FROM questions q")
    assert rows
    assert not [row for row in rows if any(_looks_like(row[0], each) for each in (secret, answer))]
    export = await ada.client.get("/v1/account/export")
    with zipfile.ZipFile(io.BytesIO(export.content)) as archive:
        sessions = [
            archive.read(name).decode() for name in archive.namelist() if "sessions/" in name
        ]
    assert any(secret in each and answer in each for each in sessions)
    entries = await pair.first.client.get("/v1/audit", params={"limit": 100})
    acts = {
        each["action"]: each["details"]
        for each in entries.json()["entries"]
        if each["resource_type"] == "question"
    }
    assert {"question.ask", "question.answer"} <= acts.keys()
    assert not any(_looks_like(json.dumps(acts), each) for each in (secret, answer))


def _follows(messages: list[dict[str, Any]], says: str) -> bool:
    """Whether these are what the model is sent after it has called tools for this."""
    return messages[-1]["role"] == "tool" and any(says in str(m["content"]) for m in messages)


def _looks_like(text: str, said: str) -> bool:
    return said in text or said.encode().hex() in text


async def test_a_run_whose_server_died_closes_its_question_and_goes_on_elsewhere(
    pair: Pair, ada: Person
):
    heard, following = begin(pair, ada, "ask_person")
    question = await heard.question()
    executor = pair.first.resources.executor
    live = executor.live(UUID(heard.run_id))
    assert live is not None
    live.stream.close()
    live.stop("lost")
    await live.finishing
    await pair.fetch(
        "UPDATE runs SET lease_until = now() - interval '1 s', lease_owner = 'the dead' "
        "WHERE id = $1",
        UUID(heard.run_id),
    )
    await following
    await pair.second.resources.keeper.look()
    async with await at_second(pair, ada) as elsewhere:
        answer = await elsewhere.get(f"/v1/runs/{heard.run_id}/events")
        events = list(read_events(answer.text.split("\n")))
        listed = await elsewhere.get("/v1/questions", params={"run_id": heard.run_id})
    asked = [each.data for each in events if each.event == "question"]
    assert [each["status"] for each in asked] == ["open", "cancelled"]
    assert asked[1]["question_id"] == question["question_id"]
    assert [each["status"] for each in listed.json()["questions"]] == ["cancelled"]
    assert events[-1].data["metadata"]["status"] == "awaiting_approval"


async def test_a_server_that_stops_tells_the_tool_that_nobody_answers_and_the_run_goes_on(
    pair: Pair, ada: Person
):
    """The last one here: the second server begins nothing any more after it."""
    says = f"please {uuid4()}"
    pair.model.calls(("odd__ask_person", {}), when=says)
    async with await at_second(pair, ada) as elsewhere:
        heard = Heard(elsewhere)
        following = asyncio.create_task(heard.follow(text_input=says))
        await heard.question()
        await pair.second.resources.executor.stop()
        await following
    async with asyncio.timeout(WAIT_SECONDS):
        answer = await ada.client.get(f"/v1/runs/{heard.run_id}/events")
    events = list(read_events(answer.text.split("\n")))
    asked = [each.data["status"] for each in events if each.event == "question"]
    called = [each.data for each in events if each.event == "tool"]
    assert asked == ["open", "cancelled"]
    assert [each["status"] for each in called] == ["start", "end"]
    assert json.loads(called[1]["result_preview"]) == ["cancel", None]
    assert events[-1].data["metadata"]["status"] == "success"
