"""The agent on the product's own checkpointer: deltas, encrypted, in a real PostgreSQL."""

import asyncio
import copy

import pytest
from langchain_core.tools import tool

from graph.approvals import Decision, Verdict
from graph.errors import ModelUnavailable
from graph.events import Resumed
from persistence.checkpoints import open_checkpointer
from tests.fakes.conversation import Conversation
from tests.fakes.hinted_tools import hinted
from tests.fakes.kept_journal import KeptCalls
from tests.fixtures.plaintext_scan import find_in_database

WAIT_SECONDS = 10


@tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


async def _ask_about_all(calls):
    return [Verdict(decision="ask", reason="canary-rule")] * len(calls)


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


async def test_a_run_that_waits_for_a_person_is_kept_encrypted_and_goes_on_elsewhere(
    model, fake, saver, database_url
):
    ran = []

    async def send(to: str) -> str:
        """Send."""
        ran.append(to)
        return f"sent to {to}"

    conversation = Conversation(model, [hinted(send)], checkpointer=saver)
    fake.reply("Hello.")
    await conversation.say("Hello")
    fake.calls(("send", {"to": "canary-ada"}), ("send", {"to": "canary-bob"}), text="Shall I?")
    asked = await conversation.say("Send", policy=_ask_about_all)
    found = await _find(database_url)
    ada, bob = asked.finished.approvals
    decisions = {
        bob.id: Decision(decision="refuse", reason="canary-reason"),
        ada.id: Decision(decision="edit", args={"to": "Eve"}),
    }
    fake.reply("Sent.")

    told = await conversation.taken_over().say(None, policy=_ask_about_all, decisions=decisions)

    assert told.events[0] == Resumed(content="Shall I?")
    assert told.finished.content == "Shall I?\n\nSent."
    assert ran == ["Eve"]
    assert [message.type for message in await conversation.taken_over().messages()] == [
        "human", "ai", "human", "ai", "tool", "tool", "ai",
    ]  # fmt: skip
    assert found + await _find(database_url) == []


async def test_an_unsafe_call_of_a_run_that_died_is_put_to_the_user_by_the_next(model, fake, saver):
    reached, ran = asyncio.Event(), []

    async def pay(to: str) -> str:
        """Pay."""
        ran.append(to)
        if len(ran) == 1:
            reached.set()
            await asyncio.Event().wait()
        return f"paid {to}"

    kept = KeptCalls()
    conversation = Conversation(model, [hinted(pay)], checkpointer=saver)
    fake.call("pay", {"to": "Ada"})
    run = asyncio.create_task(conversation.say("Pay", journal=kept.open()))
    await asyncio.wait_for(reached.wait(), WAIT_SECONDS)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)

    asked = await conversation.taken_over().say(None, journal=kept.open())
    [request] = asked.finished.approvals
    decisions = {request.id: Decision(decision="allow")}
    fake.reply("Paid.")
    told = await conversation.taken_over().say(None, journal=kept.open(), decisions=decisions)
    again = await conversation.taken_over().say(None, journal=kept.open(), decisions=decisions)

    assert request.cause == "interrupted"
    assert ran == ["Ada", "Ada"]
    assert told.finished.content == again.finished.content == "Paid."
    assert len(fake.requests) == 2


async def test_a_question_of_which_only_half_was_saved_leaves_no_trace_in_the_next(
    model, fake, saver
):
    conversation = Conversation(model, checkpointer=saver)
    await conversation.say("first")
    dying = copy.copy(saver)

    async def forget(config, *_):
        return config

    dying.aput = forget
    lost = Conversation(model, checkpointer=dying)
    lost.thread_id = conversation.thread_id
    await lost.say("lost")

    await conversation.say("second")

    assert [message.text for message in await conversation.taken_over().messages()] == [
        "first", "first", "second", "second",
    ]  # fmt: skip


async def _find(database_url: str) -> list[str]:
    return await find_in_database(database_url, "canary")
