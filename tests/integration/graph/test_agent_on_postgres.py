"""The agent on the product's own checkpointer: deltas, encrypted, in a real PostgreSQL."""

import pytest
from langchain_core.tools import tool

from graph.errors import ModelUnavailable
from persistence.checkpoints import open_checkpointer
from tests.fakes.conversation import Conversation


@tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


@pytest.fixture
async def saver(database_url, key_ring):
    async with open_checkpointer(database_url, key_ring) as opened:
        yield opened


async def test_a_conversation_is_read_back_by_another_process(model, fake, saver):
    conversation = Conversation(model, [add], checkpointer=saver, history_tokens=100_000)
    for number in range(30):
        fake.call("add", {"a": number, "b": 1})
        fake.reply(f"It is {number + 1}. Perché no? 🙂")
        await conversation.say(f"{number} + 1?")

    reopened = Conversation(model, [add], checkpointer=saver)
    reopened.thread_id = conversation.thread_id
    messages = await reopened.messages()

    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"] * 30
    assert messages[-1].text == "It is 30. Perché no? 🙂"
    assert messages[-2].text == "30"


async def test_a_run_that_died_goes_on_from_postgres(model, fake, saver):
    fake.call("add", {"a": 1, "b": 1})
    fake.cut_after(0)
    fake.reply("Two.")
    conversation = Conversation(model, [add], checkpointer=saver)
    with pytest.raises(ModelUnavailable):
        await conversation.say("1 + 1?")

    told = await conversation.say(None)

    assert told.finished.content == "Two."
    assert [message.type for message in await conversation.messages()] == [
        "human", "ai", "tool", "ai",
    ]  # fmt: skip


async def test_a_summary_survives_in_postgres(model, fake, saver):
    conversation = Conversation(model, checkpointer=saver, history_tokens=100)
    for number in range(4):
        await conversation.say(f"Question {number}? " + "lorem ipsum " * 20)

    state = await conversation.state()

    assert state["summary"]
    assert "Question 0" not in str(state["messages"])
