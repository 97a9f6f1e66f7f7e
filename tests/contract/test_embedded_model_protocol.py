"""The embedded model keeps Ollama's protocol, as its own client and LangChain's understand it."""

import json
from datetime import datetime

import ollama
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings

from graph.llm.embedded.supervisor import ModelServer

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("model")]

PING = [{"role": "user", "content": "What is the capital of France?"}]
CLOCK = {
    "type": "function",
    "function": {
        "name": "datetime__now",
        "description": "Get the current date and time in a city or timezone.",
        "parameters": {
            "type": "object",
            "properties": {"timezone": {"type": "string", "description": "City or timezone."}},
            "required": ["timezone"],
        },
    },
}


@pytest.fixture
async def client(model_server: ModelServer):
    headers = {"Authorization": f"Bearer {model_server.api_key}"}
    async with ollama.AsyncClient(host=model_server.base_url, headers=headers) as opened:
        yield opened


async def test_chat_answers_with_text_and_counts(client, model_server):
    answer = await client.chat(model_server.chat_model, PING)
    assert "Paris" in answer.message.content
    assert answer.message.role == "assistant"
    assert answer.done
    assert answer.done_reason == "stop"
    assert answer.prompt_eval_count > 10
    assert answer.eval_count > 1
    assert answer.total_duration > answer.eval_duration > 0
    assert datetime.fromisoformat(answer.created_at).tzinfo is not None


async def test_a_stream_of_chat_is_the_same_answer_in_pieces(client, model_server):
    whole = await client.chat(model_server.chat_model, PING)
    pieces = [p async for p in await client.chat(model_server.chat_model, PING, stream=True)]
    assert "".join(piece.message.content for piece in pieces) == whole.message.content
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert len(pieces) > 2
    assert pieces[-1].eval_count == whole.eval_count


async def test_a_tool_call_has_a_name_and_arguments(client, model_server):
    asked = [{"role": "user", "content": "What time is it in Tokyo?"}]
    answer = await client.chat(model_server.chat_model, asked, tools=[CLOCK])
    (call,) = answer.message.tool_calls
    assert call.function.name == "datetime__now"
    assert call.function.arguments == {"timezone": "Tokyo"}
    assert answer.message.content == ""


async def test_a_tool_call_streams_as_one_record_before_the_end(client, model_server):
    asked = [{"role": "user", "content": "What time is it in Tokyo?"}]
    stream = await client.chat(model_server.chat_model, asked, tools=[CLOCK], stream=True)
    first, last = [piece async for piece in stream]
    assert first.message.tool_calls
    assert not first.done
    assert last.done
    assert not last.message.tool_calls


async def test_a_format_holds_the_answer_to_a_schema(client, model_server):
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "capital": {"type": "boolean"}},
        "required": ["city", "capital"],
    }
    answer = await client.chat(
        model_server.chat_model,
        [{"role": "user", "content": "Is Paris the capital of France? Answer as JSON."}],
        format=schema,
        options={"num_predict": 60},
    )
    assert set(json.loads(answer.message.content)) == {"city", "capital"}


async def test_options_limit_and_stop_the_answer(client, model_server):
    count = [{"role": "user", "content": "Count from one to ten in words."}]
    short = await client.chat(model_server.chat_model, count, options={"num_predict": 3})
    assert short.done_reason == "length"
    assert short.eval_count == 3
    stopped = await client.chat(
        model_server.chat_model, PING, options={"stop": ["Paris"], "num_predict": 20}
    )
    assert "Paris" not in stopped.message.content


async def test_the_same_seed_gives_the_same_answer(client, model_server):
    poem = [{"role": "user", "content": "Invent a name for a boat."}]
    options = {"seed": 7, "temperature": 1.0, "num_predict": 12}
    first, second = [
        (await client.chat(model_server.chat_model, poem, options=options)).message.content
        for _ in range(2)
    ]
    assert first == second


async def test_a_chat_without_messages_loads_the_model(client, model_server):
    answer = await client.chat(model_server.chat_model, [])
    assert answer.done_reason == "load"
    assert answer.message.content == ""


async def test_generate_answers_a_prompt(client, model_server):
    answer = await client.generate(model_server.chat_model, "What is the capital of France?")
    assert "Paris" in answer.response
    pieces = await client.generate(model_server.chat_model, "Say hello.", stream=True)
    assert [piece.done async for piece in pieces][-1] is True


async def test_raw_generate_continues_a_text(client, model_server):
    answer = await client.generate(
        model_server.chat_model, "One, two, three,", raw=True, options={"num_predict": 4}
    )
    assert "four" in answer.response


async def test_embed_gives_a_unit_vector_for_each_text(client, model_server):
    answer = await client.embed(model_server.embed_model, ["A cat sits.", "A kitten is sitting."])
    first, second = answer.embeddings
    assert len(first) == len(second) == 384
    assert sum(value * value for value in first) == pytest.approx(1, abs=1e-4)
    assert sum(a * b for a, b in zip(first, second, strict=True)) > 0.5
    assert answer.prompt_eval_count > 6


async def test_embed_takes_a_single_text_and_an_empty_list(client, model_server):
    single = await client.embed(model_server.embed_model, "hello")
    # The published model's own numbers for this word.
    assert single.embeddings[0][:3] == pytest.approx([-0.0628, 0.0550, 0.0522], abs=1e-3)
    assert (await client.embed(model_server.embed_model, [])).embeddings == []


async def test_a_text_beyond_the_window_is_cut_or_refused(client, model_server):
    long = "word " * 400
    cut = await client.embed(model_server.embed_model, long)
    assert cut.prompt_eval_count == 256
    with pytest.raises(ollama.ResponseError, match="maximum context length") as refused:
        await client.embed(model_server.embed_model, long, truncate=False)
    assert refused.value.status_code == 400


async def test_list_names_the_models(client, model_server):
    listed = (await client.list()).models
    assert [model.model for model in listed] == [model_server.chat_model, "all-minilm:latest"]
    assert all(model.size > 1_000_000 and len(model.digest) == 64 for model in listed)
    assert all(model.modified_at is not None for model in listed)


async def test_show_tells_what_a_model_can_do(client, model_server):
    chat = await client.show(model_server.chat_model)
    assert chat.capabilities == ["completion", "tools"]
    assert chat.modelinfo["qwen2.context_length"] == 4096
    embedding = await client.show(model_server.embed_model)
    assert embedding.capabilities == ["embedding"]
    assert embedding.details.family == "bert"


async def test_an_unknown_model_is_not_found(client):
    for ask in (client.chat, client.show, client.embed):
        with pytest.raises(ollama.ResponseError, match="'nonesuch' not found") as refused:
            await ask("nonesuch")
        assert refused.value.status_code == 404


async def test_thinking_and_images_are_refused(client, model_server):
    with pytest.raises(ollama.ResponseError, match="does not support thinking"):
        await client.chat(model_server.chat_model, PING, think=True)
    with pytest.raises(ollama.ResponseError, match="cannot read images"):
        await client.chat(
            model_server.chat_model, [{"role": "user", "content": "Look", "images": [b"png"]}]
        )


@tool
def datetime__now(timezone: str) -> str:
    """Get the current date and time in a city or timezone."""
    return timezone


def client_options(server: ModelServer) -> dict[str, dict[str, str]]:
    # LangChain never closes its clients, so their connections must close by themselves.
    return {"headers": {"Authorization": f"Bearer {server.api_key}", "Connection": "close"}}


def chat_model(server: ModelServer) -> ChatOllama:
    return ChatOllama(
        model=server.chat_model,
        base_url=server.base_url,
        client_kwargs=client_options(server),
        validate_model_on_init=True,
    )


async def test_langchain_calls_a_tool_and_streams_what_it_found(model_server):
    model = chat_model(model_server).bind_tools([datetime__now])
    asked = HumanMessage("What time is it in Tokyo?")
    call = await model.ainvoke([asked])
    assert isinstance(call, AIMessage)
    assert call.tool_calls[0]["name"] == "datetime__now"
    assert call.tool_calls[0]["args"] == {"timezone": "Tokyo"}
    told = ToolMessage(
        "Monday, 23 November 2026, 10:41:05 (Asia/Tokyo, UTC+09:00)",
        tool_call_id=call.tool_calls[0]["id"],
    )
    chunks = [chunk async for chunk in model.astream([asked, call, told])]
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
    assert len([chunk for chunk in chunks if chunk.content]) > 3
    assert "10:41" in "".join(str(chunk.content) for chunk in chunks)
    assert chunks[-1].usage_metadata or any(chunk.usage_metadata for chunk in chunks)


async def test_langchain_embeds_documents_and_queries(model_server):
    embeddings = OllamaEmbeddings(
        model=model_server.embed_model,
        base_url=model_server.base_url,
        client_kwargs=client_options(model_server),
    )
    documents = await embeddings.aembed_documents(["The pump leaks.", "Lunch is at noon."])
    query = await embeddings.aembed_query("When do we eat?")
    nearness = [sum(a * b for a, b in zip(query, d, strict=True)) for d in documents]
    assert nearness[1] > nearness[0]
