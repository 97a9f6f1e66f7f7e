"""What speaks Ollama's protocol here speaks it as Ollama's own client reads it.

The same body holds the scripted server of the tests and any server that OLLAMA_URL names, whose
model OLLAMA_MODEL and embedding model OLLAMA_EMBED_MODEL name.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import ollama
import pytest

from tests.fakes.ollama_server import ScriptedOllama
from tests.fakes.word_vectors import DIMENSION

MODEL = os.environ.get("OLLAMA_MODEL", "scripted")
EMBED_MODEL = os.environ.get("OLLAMA_EMBED_MODEL", "scripted")
UNKNOWN_MODEL = "no-such-model"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@dataclass(frozen=True, kw_only=True)
class Server:
    base_url: str
    script: ScriptedOllama | None
    """None when a real server decides itself what it says."""


@pytest.fixture(params=["scripted", *(["real"] if "OLLAMA_URL" in os.environ else [])])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    if request.param == "real":
        yield Server(base_url=os.environ["OLLAMA_URL"], script=None)
        return
    async with ScriptedOllama(models=(MODEL, EMBED_MODEL)) as fake:
        yield Server(base_url=fake.base_url, script=fake)


@pytest.fixture
async def client(server: Server) -> AsyncIterator[ollama.AsyncClient]:
    async with ollama.AsyncClient(server.base_url) as opened:
        yield opened


async def test_a_streamed_answer_ends_with_one_line_that_is_done_and_counts(server, client):
    if server.script:
        server.script.reply("Good morning, Ada.")

    parts = [part async for part in await client.chat(MODEL, _ask("Say hello."), stream=True)]

    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert all(part.model == MODEL and part.message.role == "assistant" for part in parts)
    assert "".join(part.message.content or "" for part in parts)
    last = parts[-1]
    assert last.done_reason in {"stop", "length"}
    assert (last.prompt_eval_count or 0) > 0
    assert (last.eval_count or 0) > 0
    assert (last.total_duration or 0) > 0


async def test_a_whole_answer_is_one_object(server, client):
    if server.script:
        server.script.reply("Hello.", thinking="They greet.")

    answer = await client.chat(MODEL, _ask("Say hello."))

    assert answer.done is True
    assert answer.message.content


async def test_a_call_has_a_name_and_an_object_of_arguments(server, client):
    if server.script:
        server.script.call("get_weather", {"city": "Rome"})

    question = "What is the weather in Rome? Use the tool."
    parts = [
        part
        async for part in await client.chat(MODEL, _ask(question), tools=[WEATHER], stream=True)
    ]

    calls = [call for part in parts for call in part.message.tool_calls or ()]
    assert calls[0].function.name == "get_weather"
    assert isinstance(calls[0].function.arguments, dict)


async def test_the_result_of_a_tool_is_taken(server, client):
    messages = [
        *_ask("What is the weather in Rome?"),
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Rome"}}}],
        },
        {"role": "tool", "content": "sunny, 24 degrees", "tool_name": "get_weather"},
    ]

    answer = await client.chat(MODEL, messages)

    assert answer.message.content


async def test_thinking_comes_apart_from_the_content(server, client):
    if server.script is None:
        pytest.skip("not every model thinks")
    server.script.reply("Four.", thinking="Two and two.")

    parts = [part async for part in await client.chat(MODEL, _ask("2 + 2?"), stream=True)]

    assert "".join(part.message.thinking or "" for part in parts) == "Two and two."
    assert "".join(part.message.content or "" for part in parts) == "Four."


async def test_an_unknown_model_is_refused_with_a_reason(client):
    with pytest.raises(ollama.ResponseError, match="not found") as raised:
        await client.chat(UNKNOWN_MODEL, _ask("Hello"))

    assert raised.value.status_code == 404


async def test_an_error_in_the_middle_of_a_stream_is_a_line_of_its_own(server, client):
    if server.script is None:
        pytest.skip("a real server does not fail on demand")
    server.script.fail("out of memory", after=2)
    stream = await client.chat(MODEL, _ask("Hello"), stream=True)

    assert [(await anext(stream)).message.content for _ in range(2)] == ["word1 ", "word2 "]
    with pytest.raises(ollama.ResponseError, match="out of memory"):
        await anext(stream)


async def test_embeddings_come_in_order_one_for_each_text(client):
    texts = ["holidays of employees", "pump maintenance", "holidays for all employees"]

    answer = await client.embed(EMBED_MODEL, texts)
    single = await client.embed(EMBED_MODEL, texts[0])

    vectors = answer.embeddings
    assert len(vectors) == 3
    assert len({len(vector) for vector in vectors}) == 1
    assert list(single.embeddings[0]) == pytest.approx(list(vectors[0]), abs=1e-4)
    assert _dot(vectors[0], vectors[2]) > _dot(vectors[0], vectors[1])
    assert _dot(vectors[0], vectors[0]) == pytest.approx(1.0, abs=1e-3)


async def test_models_are_listed_and_described(client):
    listed = await client.list()
    shown = await client.show(MODEL)

    assert MODEL in [model.model for model in listed.models]
    assert "completion" in (shown.capabilities or [])
    assert shown.modelinfo


async def test_the_version_is_told(server):
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{server.base_url}/api/version")

    assert answer.json()["version"].count(".") == 2


async def test_the_scripted_server_echoes_when_nothing_is_scripted():
    async with ScriptedOllama() as fake, ollama.AsyncClient(fake.base_url) as client:
        answer = await client.chat("any", _ask("Hello  there\n"))
        embedded = await client.embed("any", "hello")

    assert answer.message.content == "Hello  there\n"
    assert len(embedded.embeddings[0]) == DIMENSION
    assert fake.requests[0].messages == _ask("Hello  there\n")


async def test_a_turn_of_the_script_can_wait_for_its_question():
    async with ScriptedOllama() as fake, ollama.AsyncClient(fake.base_url) as client:
        fake.reply("Rome.", when="Italy")
        fake.reply("Paris.", when="France")

        assert (await client.chat("any", _ask("Capital of France?"))).message.content == "Paris."
        assert (await client.chat("any", _ask("Capital of Italy?"))).message.content == "Rome."
        assert fake.left() == 0


def _ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _dot(left, right) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))
