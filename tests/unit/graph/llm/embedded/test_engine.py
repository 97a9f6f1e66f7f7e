import aiohttp
import pytest

from graph.llm.embedded.arguments import ArgumentReader
from graph.llm.embedded.chat_prompt import ChatPrompts, PromptMessage
from graph.llm.embedded.engine import EngineFailed, EngineRefused, Finish, LlamaEngine, Piece
from graph.llm.embedded.tool_schema import read_tools
from tests.fakes.llama_server import ScriptedLlama

CONTEXT_TOKENS = 4096


@pytest.fixture
async def llama():
    async with ScriptedLlama() as fake:
        yield fake


@pytest.fixture
async def engine(llama):
    async with aiohttp.ClientSession(base_url=llama.url) as http:
        yield LlamaEngine(http, context_tokens=CONTEXT_TOKENS)


def as_text(tokens: list[int]) -> str:
    return "".join(map(chr, tokens))


def user(text: str) -> PromptMessage:
    return PromptMessage(role="user", text=text)


async def test_text_comes_in_pieces_and_ends_with_counts(llama, engine):
    llama.answers = ["yes"]
    *pieces, end = [item async for item in engine.stream([1, 2], slot=0, options={})]
    assert pieces == [Piece(text="y"), Piece(text="e"), Piece(text="s")]
    assert end == Finish(reason="stop", prompt_tokens=2, tokens=3, prompt_ns=0, generation_ns=0)


async def test_what_llama_refuses_and_what_it_fails_at_are_told_apart(llama, engine):
    llama.answers = [{"code": 400, "message": "bad schema"}, {"code": 500, "message": "broken"}]
    with pytest.raises(EngineRefused, match="bad schema"):
        await engine.complete([1], slot=0, options={})
    with pytest.raises(EngineFailed, match="broken"):
        await engine.complete([1], slot=0, options={})


async def test_an_answer_that_breaks_off_is_an_error(llama, engine):
    llama.answers = ["half of it…"]
    with pytest.raises(EngineFailed, match="early"):
        await engine.complete([1], slot=0, options={})


async def test_a_server_that_is_gone_is_an_error(llama, engine):
    await llama.__aexit__()
    with pytest.raises(EngineFailed, match="broke off"):
        await engine.complete([1], slot=0, options={})


async def test_a_conversation_is_written_as_turns(engine):
    messages = [PromptMessage(role="system", text="Be kind."), user("Hi")]
    prompt = await ChatPrompts(engine).write(messages, begun="{", limit=1000)
    assert as_text(prompt) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n{"
    )


async def test_when_room_is_short_old_turns_go_and_the_system_prompt_stays(engine):
    messages = [PromptMessage(role="system", text="Be kind."), *map(user, "abcdefghij")]
    prompt = as_text(await ChatPrompts(engine).write(messages, limit=200))
    assert len(prompt) <= 200
    assert "Be kind." in prompt
    assert "user\nj" in prompt
    assert "user\na" not in prompt


async def test_a_growing_conversation_keeps_its_beginning_for_a_while(engine):
    prompts = ChatPrompts(engine)
    letters = "abcdefghijklmnopqrstuvwxyz"
    written = [
        as_text(await prompts.write([user(x) for x in letters[:count]], limit=600))
        for count in range(18, 27)
    ]
    beginnings = {prompt[:40] for prompt in written}
    assert len(beginnings) < len(written) / 2


async def test_a_message_beyond_all_room_loses_its_middle(engine):
    prompt = as_text(await ChatPrompts(engine).write([user("x" * 500 + "END")], limit=200))
    assert len(prompt) == 200
    assert "END" in prompt


async def test_only_values_are_generated_and_numbers_are_copied(llama, engine):
    (convert,) = read_tools(
        [
            {
                "function": {
                    "name": "units__convert",
                    "parameters": {
                        "properties": {
                            "value": {"type": "number"},
                            "from_unit": {"type": "string"},
                            "to_unit": {"type": "string"},
                        },
                        "required": ["value", "from_unit", "to_unit"],
                    },
                }
            }
        ]
    )
    llama.answers = [' "km"', ' "miles"']
    reading = await ArgumentReader(engine, ChatPrompts(engine)).read(
        convert, "Convert 42 km to miles"
    )
    assert reading.values == {"value": 42, "from_unit": "km", "to_unit": "miles"}
    assert reading.grounded
    assert as_text(llama.requests[0]["prompt"]).endswith('{"value": 42, "from_unit":')
    assert r"\"km\"" in llama.requests[0]["grammar"]


async def test_an_optional_value_that_is_not_in_the_message_is_left_out(llama, engine):
    (now,) = read_tools(
        [{"function": {"name": "now", "parameters": {"properties": {"zone": {"type": "string"}}}}}]
    )
    llama.answers = ['"Tokyo"']
    reading = await ArgumentReader(engine, ChatPrompts(engine)).read(now, "What time is it?")
    assert reading.values == {}
