"""The scripted model must speak Ollama's protocol, or the benchmark compares nothing real."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from ollama import AsyncClient

from bench.scripted_model import EMBED_DIMENSION, EMBED_MODEL, ModelConnection
from bench.stamp import TOKEN, lags_ms, stamp


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    server = await asyncio.get_running_loop().create_server(ModelConnection, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    opened = AsyncClient(host=f"http://127.0.0.1:{port}")
    yield opened
    await opened._client.aclose()
    server.close()
    await server.wait_closed()


def question(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


async def test_a_stream_holds_the_tokens_that_the_question_asks_for(client):
    stream = await client.chat("any", question("count [[7@0]]"), stream=True)

    *parts, last = [part async for part in stream]

    assert len(parts) == 7
    assert all(TOKEN.fullmatch(part.message.content.strip()) for part in parts)
    assert (last.done, last.done_reason, last.eval_count) == (True, "stop", 7)


async def test_the_last_script_in_a_conversation_counts(client):
    messages = [*question("[[3@0]]"), *question("[[2@0]]")]

    stream = await client.chat("any", messages, stream=True)

    assert len([part async for part in stream]) == 3


async def test_a_whole_answer_holds_them_too(client):
    answer = await client.chat("any", question("[[4@0]]"), stream=False)

    assert len(TOKEN.findall(answer.message.content)) == 4
    assert answer.done


async def test_one_connection_serves_one_request_after_the_other(client):
    for _ in range(2):
        stream = await client.chat("any", question("[[2@500]]"), stream=True)
        assert len([part async for part in stream]) == 3


async def test_embeddings_come_one_for_each_text(client):
    answer = await client.embed(EMBED_MODEL, ["one", "two"])

    assert [len(vector) for vector in answer.embeddings] == [EMBED_DIMENSION] * 2


async def test_the_models_are_listed_and_shown(client):
    names = [model.model for model in (await client.list()).models]

    assert EMBED_MODEL in names
    assert "completion" in (await client.show(names[0])).capabilities


def test_a_stamp_tells_how_old_it_is():
    token = stamp()

    (lag,) = lags_ms(token, time.monotonic() + 1.5)

    assert lag >= 1499


async def test_a_tool_that_the_script_names_is_called_before_the_answer(client):
    asked = question("[[3@0 datetime__now]]")

    *calls, last = [part async for part in await client.chat("any", asked, stream=True)]

    (call,) = calls[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == (
        "datetime__now",
        {"timezone": "Europe/Rome"},
    )
    assert not any(part.message.content for part in calls)
    assert last.done


async def test_the_tools_result_is_answered_with_the_tokens(client):
    asked = [
        *question("[[3@0 datetime__now]]"),
        {"role": "assistant", "content": "", "tool_calls": []},
        {"role": "tool", "content": "Monday"},
    ]

    *parts, _ = [part async for part in await client.chat("any", asked, stream=True)]

    assert len([part for part in parts if part.message.content]) == 3


async def test_the_next_question_calls_the_tool_again(client):
    asked = [
        *question("[[3@0 datetime__now]]"),
        {"role": "tool", "content": "Monday"},
        *question("[[2@0 datetime__now]]"),
    ]

    *parts, _ = [part async for part in await client.chat("any", asked, stream=True)]

    assert parts[0].message.tool_calls
