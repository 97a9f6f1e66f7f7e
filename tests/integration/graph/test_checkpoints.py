"""What a conversation leaves in the checkpointer, and how runs that died go on."""

import asyncio

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from graph.errors import ModelUnavailable
from graph.events import ToolCall
from tests.fakes.conversation import Conversation

WAIT_SECONDS = 10


@tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


async def test_the_question_is_saved_before_the_model_is_asked(model, fake):
    pause = fake.hang(after=0)
    conversation = Conversation(model)
    run = asyncio.create_task(conversation.say("Hello"))

    await asyncio.wait_for(pause.reached.wait(), WAIT_SECONDS)

    assert [message.text for message in await conversation.messages()] == ["Hello"]
    pause.release()
    await run


async def test_a_run_that_died_goes_on_where_it_stood(model, fake):
    ran = []

    @tool
    async def once() -> str:
        """Do something that must not be done twice."""
        ran.append(1)
        return "done"

    fake.call("once")
    fake.cut_after(0)
    fake.reply("It is done.")
    conversation = Conversation(model, [once])
    with pytest.raises(ModelUnavailable):
        await conversation.say("Do it")

    told = await conversation.say(None)

    assert told.finished.content == "It is done."
    assert ran == [1]
    assert [message.type for message in await conversation.messages()] == [
        "human", "ai", "tool", "ai",
    ]  # fmt: skip


async def test_calls_of_a_run_that_was_killed_are_closed_for_the_model(model, fake):
    started = asyncio.Event()

    @tool
    async def hang() -> str:
        """Wait for ever."""
        started.set()
        await asyncio.Event().wait()
        return ""

    fake.call("hang")
    conversation = Conversation(model, [hang])
    run = asyncio.create_task(conversation.say("Wait"))
    await asyncio.wait_for(started.wait(), WAIT_SECONDS)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    told = await conversation.say("Are you there?")

    assert told.finished.status == "success"
    assert [m["role"] for m in fake.requests[-1].messages] == [
        "system", "user", "assistant", "tool", "user",
    ]  # fmt: skip
    assert "interrupted" in fake.requests[-1].messages[3]["content"]


async def test_a_long_conversation_is_read_back_whole(model, fake):
    saver = InMemorySaver()
    conversation = Conversation(model, [add], checkpointer=saver, history_tokens=100_000)
    for number in range(40):
        fake.call("add", {"a": number, "b": 1})
        await conversation.say(f"{number} + 1?")

    reopened = Conversation(model, [add], checkpointer=saver)
    reopened.thread_id = conversation.thread_id

    messages = await reopened.messages()
    assert len(messages) == 40 * 4
    assert [m.text for m in messages if isinstance(m, HumanMessage)] == [
        f"{number} + 1?" for number in range(40)
    ]
    assert len({message.id for message in messages}) == len(messages)


async def test_a_step_saves_what_it_adds_and_not_the_whole_conversation(model, fake):
    saver = InMemorySaver()
    conversation = Conversation(model, checkpointer=saver, history_tokens=100_000)
    sizes = []
    for number in range(45):
        before = _stored_bytes(saver)
        fake.reply(f"answer {number:03} " + "x" * 200)
        await conversation.say(f"question {number:03}")
        sizes.append(_stored_bytes(saver) - before)

    assert max(sizes[20:24]) < 1.3 * min(sizes[2:6])


def _stored_bytes(saver: InMemorySaver) -> int:
    blobs = sum(len(value[1]) for value in saver.blobs.values())
    writes = sum(len(write[2][1]) for thread in saver.writes.values() for write in thread.values())
    return blobs + writes


async def test_a_run_without_a_checkpointer_starts_from_nothing(model, fake):
    conversation = Conversation(model)
    conversation.agent.checkpointer = None

    await conversation.say("Hello")
    told = await conversation.say("Again")

    assert told.finished.content == "Again"
    assert len(fake.requests[-1].messages) == 2


async def test_the_record_of_a_tool_keeps_all_it_said(model, fake):
    @tool
    async def recite() -> str:
        """Recite."""
        return "word " * 500

    fake.call("recite")
    told = await Conversation(model, [recite]).say("Recite")

    end = told.of(ToolCall)[-1]
    assert end.result == "word " * 500
    assert end.result_preview == ("word " * 500)[:200]
