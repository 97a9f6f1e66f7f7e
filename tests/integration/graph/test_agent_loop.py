"""The agent against a scripted model over real HTTP: the loop and its ends."""

import asyncio

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException, tool

from graph.events import Finished, Log, Sources, ToolCall
from tests.fakes.conversation import Conversation
from tools.calls import CALL_KEY


@tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


@tool
async def refuse() -> str:
    """Always say no."""
    raise ToolException("no, thank you")


@tool
async def explode() -> str:
    """Break."""
    raise RuntimeError("secret detail")


@tool
async def never() -> str:
    """Wait for ever."""
    await asyncio.Event().wait()
    return ""


async def test_a_plain_question_is_answered_in_tokens_that_join_to_the_content(model, fake):
    fake.reply("Good morning, Ada.")

    told = await Conversation(model).say("Hello")

    assert told.text == "Good morning, Ada."
    assert told.finished == Finished(
        content="Good morning, Ada.",
        reasoning="",
        sources=(),
        model="scripted",
        status="success",
        iterations=1,
        tool_calls=0,
        tokens_in=told.finished.tokens_in,
        tokens_out=3,
    )
    assert told.finished.tokens_in > 0


async def test_a_tool_is_called_and_its_result_reaches_the_model(model, fake):
    fake.call("add", {"a": 2, "b": 3})
    fake.reply("It is 5.")

    told = await Conversation(model, [add]).say("What is 2 + 3?")

    start, end = told.of(ToolCall)
    assert (start.tool, start.status, start.args) == ("add", "start", {"a": 2, "b": 3})
    assert (end.status, end.result, end.result_preview) == ("end", "5", "5")
    assert end.latency_ms is not None
    assert start.call_id == end.call_id
    assert fake.requests[0].tool_names == ["add"]
    assert fake.requests[1].messages[-1]["role"] == "tool"
    assert fake.requests[1].messages[-1]["content"] == "5"
    assert told.finished.content == "It is 5."
    assert (told.finished.iterations, told.finished.tool_calls) == (2, 1)


async def test_calls_of_one_step_run_at_the_same_time(model, fake):
    both_are_running = asyncio.Barrier(2)

    @tool
    async def meet(name: str) -> str:
        """Return once the other call runs too."""
        await both_are_running.wait()
        return f"met {name}"

    fake.calls(("meet", {"name": "Ada"}), ("meet", {"name": "Bob"}))
    fake.reply("They met.")

    told = await asyncio.wait_for(Conversation(model, [meet]).say("Let them meet"), timeout=10)

    assert told.finished.content == "They met."
    assert [m["content"] for m in fake.requests[1].messages[-2:]] == ["met Ada", "met Bob"]


async def test_errors_of_tools_are_fed_back_and_the_run_goes_on(model, fake):
    fake.calls(("refuse", {}), ("explode", {}), ("add", {"a": "x", "b": 1}), ("missing", {"a": 1}))
    fake.reply("None of them worked.")

    told = await Conversation(model, [refuse, explode, add]).say("Try all")

    errors = [event for event in told.of(ToolCall) if event.status == "error"]
    assert len(errors) == 4
    results = [m["content"] for m in fake.requests[1].messages if m["role"] == "tool"]
    assert results[0] == "no, thank you"
    assert "RuntimeError" in results[1]
    assert "secret detail" not in results[1]
    assert "a: " in results[2]
    assert "no tool named missing" in results[3]
    assert "refuse, explode, add" in results[3]
    assert told.finished.status == "success"


async def test_a_tool_that_cancels_itself_does_not_stop_the_run(model, fake):
    @tool
    async def give_up() -> str:
        """Give up."""
        raise asyncio.CancelledError

    fake.call("give_up")
    fake.reply("It gave up.")

    told = await Conversation(model, [give_up]).say("Go on")

    assert told.of(ToolCall)[-1].status == "error"
    assert told.finished.content == "It gave up."


@pytest.mark.parametrize("artifact", [{"sources": 1}, {"sources": [{"title": "x"}, 2]}, "text"])
async def test_sources_that_are_none_are_passed_over(model, fake, artifact):
    @tool(response_format="content_and_artifact")
    async def odd() -> tuple[str, object]:
        """Be odd."""
        return "fine", artifact

    fake.call("odd")
    fake.reply("Fine.")

    told = await Conversation(model, [odd]).say("Go on")

    assert told.finished.sources == ()
    assert told.of(ToolCall)[-1].status == "end"


async def test_a_tool_may_answer_in_blocks(model, fake):
    @tool
    async def blocks() -> list:
        """Answer in blocks."""
        return [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]

    fake.call("blocks")
    fake.reply("Done.")

    told = await Conversation(model, [blocks]).say("Go on")

    assert told.of(ToolCall)[-1].result == "one two"


async def test_a_tool_that_never_answers_is_given_up(model, fake):
    fake.call("never")
    fake.reply("It did not answer.")

    told = await Conversation(model, [never], tool_timeout_seconds=0.05).say("Wait")

    assert told.of(ToolCall)[-1].status == "error"
    assert "0.05 seconds" in (told.of(ToolCall)[-1].result or "")
    assert told.finished.status == "success"


async def test_the_step_limit_ends_in_a_real_answer(model, fake):
    for number in range(3):
        fake.call("add", {"a": number, "b": 1})
    fake.reply("As far as I got: 3.")

    told = await Conversation(model, [add], max_iterations=3).say("Go on adding")

    assert told.finished.content == "As far as I got: 3."
    assert told.finished.status == "success"
    assert len(fake.requests) == 4
    assert fake.requests[2].tool_names == ["add"]
    assert fake.requests[3].tool_names == []
    assert fake.requests[3].messages[-1]["role"] == "user"


async def test_a_budget_of_the_run_lowers_the_step_limit(model, fake):
    fake.call("add", {"a": 1, "b": 1})
    fake.reply("2")

    await Conversation(model, [add]).say("Add", max_iterations=1)

    assert fake.requests[1].tool_names == []


async def test_a_model_that_says_nothing_at_the_step_limit_still_leaves_an_answer(model, fake):
    fake.call("add", {"a": 1, "b": 1})
    fake.reply("")

    conversation = Conversation(model, [add], max_iterations=1, unfinished_answer="Nescio.")
    told = await conversation.say("Add")

    assert told.finished.content == told.text == "Nescio."
    assert (await conversation.messages())[-1].text == "Nescio."


async def test_a_call_that_is_printed_when_no_tool_is_left_is_no_answer(model, fake):
    fake.call("add", {"a": 1, "b": 1})
    fake.reply('{"name": "add", "arguments": {"a": 2, "b": 2}}')

    told = await Conversation(model, [add], max_iterations=1, unfinished_answer="-").say("Add")

    assert told.finished.content == "-"


async def test_silence_is_answered_by_a_request_to_conclude(model, fake):
    fake.reply("", thinking="Hm.")
    fake.reply("Here I am.")

    told = await Conversation(model).say("Hello?")

    assert told.finished.content == "Here I am."
    assert told.finished.iterations == 2


async def test_a_model_that_goes_round_in_circles_has_to_conclude(model, fake):
    ran = []

    @tool
    async def look(place: str) -> str:
        """Look somewhere."""
        ran.append(place)
        return "nothing"

    for _ in range(4):
        fake.call("look", {"place": "here"})
    fake.reply("There is nothing.")

    told = await Conversation(model, [look]).say("Look here")

    assert ran == ["here"] * 3
    assert told.of(ToolCall)[-1].status == "error"
    assert told.of(Log)[-1].level == "warning"
    assert fake.requests[-1].tool_names == []
    assert told.finished.content == "There is nothing."


async def test_the_same_call_may_be_made_again_in_the_next_turn(model, fake):
    conversation = Conversation(model, [add])
    for _ in range(4):
        fake.call("add", {"a": 1, "b": 1})
        fake.reply("2")
        told = await conversation.say("1 + 1?")
        assert told.of(ToolCall)[-1].status == "end"


async def test_text_before_a_call_is_set_apart_from_the_answer(model, fake):
    fake.call("add", {"a": 1, "b": 1}, text="Let me see.")
    fake.reply("It is 2.")

    told = await Conversation(model, [add]).say("1 + 1?")

    assert told.text == told.finished.content == "Let me see.\n\nIt is 2."


async def test_tools_can_be_turned_off_for_a_run(model, fake):
    await Conversation(model, [add]).say("1 + 1?", tools_enabled=False)

    assert fake.requests[0].tool_names == []


async def test_a_run_may_bring_its_own_model_tools_and_prompt(model, fake):
    other = model.model_copy(update={"model": "other"})

    told = await Conversation(model, [add]).say(
        "Hello", model=other, tools=(refuse,), system_prompt="Sei cortese."
    )

    request = fake.requests[0]
    assert request.body["model"] == told.finished.model == "other"
    assert request.tool_names == ["refuse"]
    assert request.messages[0] == {"role": "system", "content": "Sei cortese.", "images": []}


async def test_the_caller_reaches_the_tool_and_nothing_else(model, fake):
    heard = {}

    @tool
    async def whoami(config: RunnableConfig) -> str:
        """Tell who asks."""
        heard.update(config["configurable"])
        return "ok"

    fake.call("whoami", {"caller": "mallory", "config": {"configurable": {"caller": "mallory"}}})
    fake.reply("You are Ada.")
    conversation = Conversation(model, [whoami])

    await conversation.say("Who am I?", caller="signed-token")

    assert list(heard) == [CALL_KEY]
    assert heard[CALL_KEY].caller == "signed-token"
    assert "signed-token" not in repr(heard)
    assert all("signed-token" not in str(request.body) for request in fake.requests)
    async for saved in conversation.agent.checkpointer.alist(
        {"configurable": {"thread_id": conversation.thread_id}}
    ):
        assert "signed-token" not in repr(saved)


async def test_sources_are_told_in_run_order_and_each_once(model, fake):
    @tool(response_format="content_and_artifact")
    async def search(query: str, ids: list[str]) -> tuple[str, dict]:
        """Search."""
        return "found", {"sources": [{"id": i, "title": query} for i in ids]}

    fake.calls(
        ("search", {"query": "a", "ids": ["1", "2"]}), ("search", {"query": "b", "ids": ["2", "3"]})
    )
    fake.call("search", {"query": "c", "ids": ["3"]})
    fake.reply("Found it.")

    told = await Conversation(model, [search]).say("Search")

    assert [source["id"] for source in told.finished.sources] == ["1", "2", "3"]
    assert [source["title"] for source in told.finished.sources] == ["a", "a", "b"]
    assert len(told.of(Sources)) == 1


async def test_the_conversation_is_remembered_and_holds_no_system_prompt(model, fake):
    fake.reply("Hello Ada.")
    fake.reply("Ada.")
    conversation = Conversation(model, system_prompt="Be kind.")

    await conversation.say("I am Ada.")
    await conversation.say("Who am I?")

    roles = [message["role"] for message in fake.requests[1].messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert [type(message) for message in await conversation.messages()] == [
        HumanMessage, AIMessage, HumanMessage, AIMessage,
    ]  # fmt: skip
    async for saved in conversation.agent.checkpointer.alist(
        {"configurable": {"thread_id": conversation.thread_id}}
    ):
        assert "Be kind." not in repr(saved)


async def test_whole_copies_may_be_saved_instead_of_deltas(model, fake):
    conversation = Conversation(model, [add], delta_checkpoints=False)
    fake.call("add", {"a": 1, "b": 1})
    fake.reply("2")

    await conversation.say("1 + 1?")

    assert [type(message) for message in await conversation.messages()] == [
        HumanMessage, AIMessage, ToolMessage, AIMessage,
    ]  # fmt: skip


async def test_characters_of_all_kinds_survive(model, fake):
    text = "Perché no? 日本語 שלום 🙂 \u0000 fine\n\n  end "
    fake.reply(text)

    told = await Conversation(model).say(text)

    assert told.finished.content == text
    assert fake.requests[0].messages[-1]["content"] == text
