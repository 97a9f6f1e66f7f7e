"""The agent's memory of a conversation: cut, carried to another thread, made of what was told."""

from uuid import uuid4

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from graph.conversation import Memory, ToldCall, ToldTurn, read_memory, write_memory
from persistence.checkpoints import open_checkpointer
from tests.fakes.conversation import Conversation


@pytest.fixture
async def saver(database_url, key_ring):
    async with open_checkpointer(database_url, key_ring) as opened:
        yield opened


@pytest.fixture(params=[True, False], ids=["deltas", "whole"])
def open_conversation(request, model, saver):
    def open_one(**settings):
        return Conversation(model, checkpointer=saver, delta_checkpoints=request.param, **settings)

    return open_one


async def say_all(conversation, fake, count):
    for number in range(count):
        fake.reply(f"Answer {number}.")
        await conversation.say(f"Question {number}?")


def texts(memory: Memory) -> list[str]:
    return [message.text for message in memory.messages]


async def test_a_thread_that_is_not_is_remembered_as_nothing(open_conversation):
    memory = await read_memory(open_conversation().agent, str(uuid4()))
    assert (list(memory.messages), memory.summary, memory.turns) == ([], "", [])


async def test_a_conversation_goes_on_from_where_it_was_cut(open_conversation, fake):
    conversation = open_conversation()
    await say_all(conversation, fake, 3)
    memory = await read_memory(conversation.agent, conversation.thread_id)

    cut = memory.before(memory.turns[1])
    await write_memory(conversation.agent, conversation.thread_id, cut)
    fake.reply("Something else.")
    await conversation.say("Another question?")

    assert [message["content"] for message in fake.requests[-1].messages[1:]] == [
        "Question 0?", "Answer 0.", "Another question?",
    ]  # fmt: skip
    after = await read_memory(conversation.agent, conversation.thread_id)
    assert texts(after) == ["Question 0?", "Answer 0.", "Another question?", "Something else."]


async def test_a_memory_that_is_written_twice_is_the_same(open_conversation, fake):
    conversation = open_conversation()
    await say_all(conversation, fake, 2)
    memory = await read_memory(conversation.agent, conversation.thread_id)
    cut = memory.before(memory.turns[1])

    for _ in range(2):
        await write_memory(conversation.agent, conversation.thread_id, cut)

    assert await read_memory(conversation.agent, conversation.thread_id) == cut


async def test_everything_can_be_forgotten(open_conversation, fake):
    conversation = open_conversation()
    await say_all(conversation, fake, 2)

    await write_memory(conversation.agent, conversation.thread_id, Memory())
    fake.reply("Nothing.")
    await conversation.say("What do you know?")

    assert [each["content"] for each in fake.requests[-1].messages[1:]] == ["What do you know?"]


async def test_a_memory_in_another_thread_is_apart_from_the_first(open_conversation, fake):
    first, second = open_conversation(), open_conversation()
    await say_all(first, fake, 2)
    memory = await read_memory(first.agent, first.thread_id)

    await write_memory(second.agent, second.thread_id, memory.through(memory.turns[0]))
    fake.reply("Only in the second.")
    await second.say("And here?")

    assert texts(await read_memory(first.agent, first.thread_id)) == [
        "Question 0?", "Answer 0.", "Question 1?", "Answer 1.",
    ]  # fmt: skip
    assert texts(await read_memory(second.agent, second.thread_id)) == [
        "Question 0?", "Answer 0.", "And here?", "Only in the second.",
    ]  # fmt: skip


async def test_the_summary_goes_along(open_conversation, fake):
    conversation, other = open_conversation(), open_conversation()
    memory = Memory(messages=[HumanMessage("Hi", id="1")], summary="They spoke of walnuts.")

    await write_memory(conversation.agent, conversation.thread_id, memory)
    read = await read_memory(conversation.agent, conversation.thread_id)
    await write_memory(other.agent, other.thread_id, read)
    fake.reply("Yes.")
    await other.say("Do you remember?")

    assert "They spoke of walnuts." in fake.requests[-1].messages[0]["content"]


async def test_many_cuts_leave_a_memory_that_can_be_read(open_conversation, fake):
    conversation = open_conversation()
    for number in range(60):  # beyond what is replayed before a snapshot is taken
        fake.reply(f"Answer {number}.")
        await conversation.say(f"Question {number}?")
        if number % 3 == 2:
            memory = await read_memory(conversation.agent, conversation.thread_id)
            cut = memory.before(memory.turns[-1])
            await write_memory(conversation.agent, conversation.thread_id, cut)

    memory = await read_memory(conversation.agent, conversation.thread_id)
    kept = [number for number in range(60) if number % 3 != 2]
    assert texts(memory) == [
        text for number in kept for text in (f"Question {number}?", f"Answer {number}.")
    ]


def test_a_turn_is_cut_before_or_behind_its_answer():
    turn = ToldTurn(
        id="a",
        question="What is it?",
        calls=[
            ToldCall(call_id="1", tool="units.convert", args={"x": 1}, result="2", is_error=False),
            ToldCall(call_id="2", tool="web.search", args={}, result="no", is_error=True),
        ],
        answer="It is 2.",
    )
    memory = Memory().followed_by([turn, ToldTurn(id="b", question="And now?")])

    assert memory.turns == ["a", "b"]
    assert memory.through("a", with_answer=False).messages == memory.messages[:1]
    assert memory.through("a").messages == memory.messages[:6]
    assert memory.before("b").messages == memory.messages[:6]
    assert memory.through("b").messages == memory.messages
    assert [type(message) for message in memory.messages] == [
        HumanMessage, AIMessage, ToolMessage, AIMessage, ToolMessage, AIMessage, HumanMessage,
    ]  # fmt: skip
    assert memory.messages[1].tool_calls[0]["name"] == "units__convert"
    assert [memory.messages[place].status for place in (2, 4)] == ["success", "error"]


def test_turns_take_other_names_and_the_others_keep_theirs():
    memory = Memory(messages=[HumanMessage("1", id="a"), HumanMessage("2", id="b")])
    assert memory.renamed({"b": "c", "d": "e"}).turns == ["a", "c"]
