"""How the agent reads what models write: thinking, garbled calls, blocks, streams for others."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from graph.events import ToolCall
from tests.fakes.conversation import Conversation
from tests.fakes.model_turns import ScriptedCall, Turn


@tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


async def test_thinking_is_kept_apart_from_the_answer(model, fake):
    fake.reply("Four.", thinking="Two and two make four.")

    told = await Conversation(model).say("2 + 2?")

    assert told.reasoning == told.finished.reasoning == "Two and two make four."
    assert told.text == told.finished.content == "Four."


async def test_thinking_in_tags_is_kept_apart_from_the_answer(model, fake):
    fake.reply("<think>\nTwo and two.\n</think>\n\nFour.")
    conversation = Conversation(model)

    told = await conversation.say("2 + 2?")

    assert told.reasoning.strip() == "Two and two."
    assert told.text == told.finished.content == "Four."
    assert (await conversation.messages())[-1].content == "Four."


@pytest.mark.parametrize(
    "arguments",
    [
        "{'a': 2, 'b': 3}",
        '{"a": 2, "b": 3,}',
        '{"a": 2, "b": 3',
        '```json\n{"a": 2, "b": 3}\n```',
        '{"a": 2, "b": 3}',
    ],
)
async def test_arguments_that_are_not_quite_json_are_repaired(model, fake, arguments):
    fake.call("add", arguments)
    fake.reply("5")

    told = await Conversation(model, [add]).say("2 + 3?")

    assert told.of(ToolCall)[-1].result == "5"


async def test_arguments_beyond_repair_are_reported_to_the_model(model, fake):
    fake.call("add", "two and three")
    fake.call("add", {"a": 2, "b": 3})
    fake.reply("5")

    told = await Conversation(model, [add]).say("2 + 3?")

    assert "not valid JSON" in fake.requests[1].messages[-1]["content"]
    assert told.finished.content == "5"


@pytest.mark.parametrize(
    "printed",
    [
        '{"name": "add", "arguments": {"a": 2, "b": 3}}',
        '```json\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n```',
        '<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call>',
        '[{"function": {"name": "add", "arguments": "{\\"a\\": 2, \\"b\\": 3}"}}]',
        '{"tool": "add", "parameters": {"a": 2, "b": 3}}\nThis will add the numbers.',
        "{'name': 'add', 'arguments': {'a': 2, 'b': 3}}",
    ],
)
async def test_a_call_printed_as_text_is_made_and_not_shown(model, fake, printed):
    fake.reply(printed)
    fake.reply("5")

    told = await Conversation(model, [add]).say("2 + 3?")

    assert told.of(ToolCall)[-1].result == "5"
    assert told.text == "5"


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Ada", "born": 1815}',
        '{"name": "multiply", "arguments": {}}',
        "```json\n[1, 2, 3]\n```",
        '{"name": "add',
        "{",
    ],
)
async def test_json_that_is_no_call_is_shown_whole(model, fake, text):
    fake.reply(text)

    told = await Conversation(model, [add]).say("Give me JSON")

    assert told.text == told.finished.content == text


async def test_several_printed_calls_are_all_made(model, fake):
    fake.reply(
        '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 1}}</tool_call>\n'
        '<tool_call>{"name": "add", "arguments": {"a": 2, "b": 2}}</tool_call>'
    )
    fake.reply("2 and 4")

    told = await Conversation(model, [add]).say("Add")

    assert [e.result for e in told.of(ToolCall) if e.status == "end"] == ["2", "4"]


async def test_a_tool_named_with_a_dot_is_found(model, fake):
    @tool("clock__now")
    async def now() -> str:
        """Tell the time."""
        return "noon"

    fake.call("clock.now")
    fake.reply("Noon.")

    told = await Conversation(model, [now]).say("What time is it?")

    assert told.of(ToolCall)[-1].result == "noon"


async def test_content_in_blocks_is_read_and_sent_as_text(model, fake):
    conversation = Conversation(model)
    await conversation.agent.aupdate_state(
        {"configurable": {"thread_id": conversation.thread_id}},
        {
            "messages": [
                HumanMessage([{"type": "text", "text": "I am Ada."}]),
                AIMessage(
                    [
                        {"type": "reasoning", "reasoning": "A name."},
                        {"type": "text", "text": "Hello "},
                        {"type": "text", "text": "Ada."},
                    ]
                ),
            ]
        },
        as_node="call_model",
    )

    await conversation.say("Who am I?")

    sent = [message["content"].strip() for message in fake.requests[0].messages[1:]]
    assert sent == ["I am Ada.", "Hello Ada.", "Who am I?"]


async def test_calls_and_text_of_one_answer_are_both_taken(model, fake):
    fake.add(
        Turn(
            text="Adding.",
            thinking="Sum.",
            calls=(ScriptedCall(tool="add", args={"a": 1, "b": 2}),),
        )
    )
    fake.reply("3")
    conversation = Conversation(model, [add])

    told = await conversation.say("1 + 2?")

    answer = (await conversation.messages())[1]
    assert (answer.text, answer.tool_calls[0]["args"]) == ("Adding.", {"a": 1, "b": 2})
    assert told.reasoning == "Sum."


async def test_those_who_listen_by_callbacks_hear_every_token(model, fake):
    """As Studio does: `stream_mode="messages"` goes through LangChain."""
    fake.reply("One two three.", thinking="Counting.")
    agent = Conversation(model, [add]).agent

    chunks = [
        chunk
        async for chunk, _ in agent.astream(
            {"messages": [("user", "Count")]},
            {"configurable": {"thread_id": "1"}},
            stream_mode="messages",
        )
    ]

    assert [chunk.text for chunk in chunks if chunk.text] == ["One ", "two ", "three."]
    assert chunks[0].additional_kwargs["reasoning_content"] == "Counting."


async def test_listening_changes_nothing_about_the_outcome(model, fake):
    saved = []
    for stream_mode in ("messages", "custom"):
        fake.call("add", {"a": 2, "b": 3}, text="Wait.")
        fake.reply("5", thinking="Easy.")
        conversation = Conversation(model, [add], checkpointer=InMemorySaver())
        config = {"configurable": {"thread_id": conversation.thread_id}}
        async for _ in conversation.agent.astream(
            {"messages": [("user", "2 + 3?")]}, config, stream_mode=stream_mode
        ):
            pass
        saved.append(
            [
                (
                    message.type,
                    message.content,
                    [call["args"] for call in getattr(message, "tool_calls", [])],
                    getattr(message, "usage_metadata", None),
                    message.additional_kwargs,
                    message.response_metadata.get("model_name"),
                )
                for message in await conversation.messages()
            ]
        )

    assert saved[0] == saved[1]
