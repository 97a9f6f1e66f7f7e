"""What becomes of a run whose model fails, keeps silent or is no longer wanted."""

import asyncio

import pytest

from graph.errors import ModelError, ModelUnavailable
from graph.events import Finished, Token
from graph.llm.chat_model import open_chat_model
from graph.settings import ChatModelSettings
from tests.fakes.conversation import Conversation, Told

WAIT_SECONDS = 10


async def test_an_error_in_the_middle_of_an_answer_is_told_after_what_was_said(model, fake):
    fake.fail("out of memory", after=3)
    told = Told()

    with pytest.raises(ModelError, match="out of memory") as raised:
        await Conversation(model).say("Hello", told=told)

    assert raised.value.code == "LLM_ERROR"
    assert told.text == "word1 word2 word3 "
    assert told.finished.content == told.text
    assert (told.finished.status, told.finished.error_code) == ("error", "LLM_ERROR")


@pytest.mark.parametrize(("status", "kind"), [(404, ModelError), (503, ModelUnavailable)])
async def test_a_refusal_is_an_error_with_the_reason(model, fake, status, kind):
    fake.fail("model 'scripted' not found", status=status)

    with pytest.raises(ModelError, match="not found") as raised:
        await Conversation(model).say("Hello")

    assert type(raised.value) is kind


async def test_a_connection_that_is_cut_makes_the_model_unavailable(model, fake):
    fake.cut_after(2)
    told = Told()

    with pytest.raises(ModelUnavailable):
        await Conversation(model).say("Hello", told=told)

    assert told.text == "word1 word2 "
    assert isinstance(told.events[-1], Finished)


async def test_a_server_that_is_down_makes_the_model_unavailable(model, fake):
    await fake.stop()

    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        await Conversation(model).say("Hello")


async def test_a_server_that_comes_back_is_used_again(model, fake):
    conversation = Conversation(model)
    await conversation.say("Hello")
    await fake.stop()
    await fake.start()

    told = await conversation.say("Again")

    assert told.finished.content == "Again"


@pytest.mark.parametrize("words", [0, 2])
async def test_a_server_that_falls_silent_is_given_up(fake, words):
    settings = ChatModelSettings(
        ollama_base_url=fake.base_url,
        first_token_timeout_seconds=0.2,
        next_token_timeout_seconds=0.2,
    )
    fake.hang(after=words)

    async with open_chat_model("scripted", settings) as model:
        with pytest.raises(ModelUnavailable, match="silent"):
            await Conversation(model).say("Hello")


async def test_closing_the_stream_closes_the_request_to_the_model(model, fake):
    pause = fake.hang(after=1)
    stream = Conversation(model).stream("Hello")

    assert await anext(stream) == Token(text="word1 ")
    await stream.aclose()

    await asyncio.wait_for(pause.left.wait(), WAIT_SECONDS)


async def test_cancelling_the_reader_closes_the_request_to_the_model(model, fake):
    pause = fake.hang(after=1)
    reader = asyncio.create_task(Conversation(model).say("Hello"))
    await asyncio.wait_for(pause.reached.wait(), WAIT_SECONDS)

    reader.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reader
    await asyncio.wait_for(pause.left.wait(), WAIT_SECONDS)


async def test_a_conversation_goes_on_after_a_run_was_stopped(model, fake):
    pause = fake.hang(after=1)
    conversation = Conversation(model)
    stream = conversation.stream("Hello")
    await anext(stream)
    await stream.aclose()
    await asyncio.wait_for(pause.left.wait(), WAIT_SECONDS)

    told = await conversation.say("And now?")

    assert told.finished.content == "And now?"
    assert [m["content"] for m in fake.requests[-1].messages[1:]] == ["Hello", "And now?"]


async def test_connections_are_used_again(model, fake):
    conversation = Conversation(model)

    for _ in range(5):
        await conversation.say("Hello")

    assert len(fake.connections) == 1


async def test_many_streams_at_once_all_arrive_whole(model, fake):
    text = " ".join(f"w{number}" for number in range(100))

    answers = await asyncio.gather(*(Conversation(model).say(f"{n} {text}") for n in range(20)))

    assert [told.finished.content for told in answers] == [f"{n} {text}" for n in range(20)]
