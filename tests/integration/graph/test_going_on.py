"""Runs that die and are taken over: they go on where they stood, and say what stands."""

import asyncio

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool

from graph.context import AgentContext
from graph.errors import ModelUnavailable, StepTimeout
from graph.events import AgentEvent, ModelCalled, Resumed, ToolCall
from graph.llm.chat_model import open_chat_model
from graph.running import Question, run_agent
from graph.settings import ChatModelSettings
from tests.fakes.conversation import Conversation, Told
from tests.fakes.mortal_saver import MortalSaver
from tests.fakes.ollama_server import Pause, ScriptedCall, Turn
from tests.fakes.openai_server import ScriptedOpenAI

WAIT_SECONDS = 10


@tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


@tool(response_format="content_and_artifact")
async def search(query: str) -> tuple[str, dict]:
    """Search."""
    return f"found {query}", {"sources": [{"id": query, "title": query}]}


async def _cancel(run: "asyncio.Task[Told]") -> None:
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_a_question_that_was_never_saved_is_asked(model, fake):
    saver = MortalSaver()
    saver.is_dead = True
    conversation = Conversation(model, checkpointer=saver)
    pause = fake.hang(after=2)
    run = asyncio.create_task(conversation.say("Hello"))
    await asyncio.wait_for(pause.reached.wait(), WAIT_SECONDS)
    await _cancel(run)
    saver.is_dead = False
    fake.reply("Good morning.")

    told = await conversation.taken_over().say(None)

    assert told.events[0] == Resumed(content="")
    assert told.finished.content == "Good morning."
    assert [m.text for m in await conversation.messages()] == ["Hello", "Good morning."]


async def test_an_answer_that_was_cut_off_is_asked_for_again_and_what_was_told_is_void(model, fake):
    conversation = Conversation(model, [add])
    fake.call("add", {"a": 1, "b": 1}, text="Let me see.")
    pause = fake.hang(after=3)
    run = asyncio.create_task(conversation.say("1 + 1?"))
    await asyncio.wait_for(pause.reached.wait(), WAIT_SECONDS)
    await _cancel(run)
    fake.reply("Two.")

    told = await conversation.taken_over().say(None)

    assert told.events[0] == Resumed(content="Let me see.")
    assert told.text == "\n\nTwo."
    assert told.finished.content == "Let me see.\n\nTwo."
    questions = [m for m in await conversation.messages() if isinstance(m, HumanMessage)]
    assert [question.id for question in questions] == [conversation.question.message_id]


async def test_a_run_that_had_ended_takes_no_step_and_tells_its_end_again(model, fake):
    conversation = Conversation(model, [search])
    fake.call("search", {"query": "cats"}, text="Searching.")
    fake.reply("Cats.", thinking="Cats, I think.")
    first = await conversation.say("What?")

    told = await conversation.taken_over().say(None)

    assert len(fake.requests) == 2
    stands = Resumed(content="Searching.\n\nCats.", reasoning="Cats, I think.")
    assert told.events[:-1] == [stands]
    again, ended = told.finished, first.finished
    assert (again.content, again.reasoning) == (ended.content, ended.reasoning)
    assert (again.sources, again.model) == (ended.sources, ended.model)
    assert (again.status, again.iterations, again.tokens_out) == ("success", 0, 0)


async def test_going_on_twice_at_the_end_changes_nothing(model, fake):
    conversation = Conversation(model)
    await conversation.say("Hello")
    before = await conversation.messages()

    for _ in range(2):
        await conversation.taken_over().say(None)

    assert await conversation.messages() == before


async def test_sources_of_an_earlier_attempt_are_among_those_at_the_end(model, fake):
    conversation = Conversation(model, [search])
    fake.call("search", {"query": "cats"})
    fake.cut_after(0)
    fake.call("search", {"query": "dogs"})
    fake.reply("Both.")
    with pytest.raises(ModelUnavailable):
        await conversation.say("What?")

    told = await conversation.taken_over().say(None)

    assert [source["id"] for source in told.finished.sources] == ["cats", "dogs"]


@pytest.mark.parametrize(
    "text", ['{"unfinished": ', "Hello.", " \n", '{"name": "missing", "arguments": {}}']
)
async def test_what_was_told_is_what_is_kept(model, fake, text):
    conversation = Conversation(model, [add], unfinished_answer="Nescio.")
    fake.call("add", {"a": 1, "b": 1}, text=text)
    fake.reply("")
    fake.reply(text, thinking="Hm.")

    first = await conversation.say("1 + 1?")
    told = await conversation.taken_over().say(None)

    assert first.text == first.finished.content
    assert told.events[0] == Resumed(content=first.text, reasoning=first.reasoning)


async def test_a_question_has_the_id_that_it_was_given(model, fake):
    conversation = Conversation(model)

    await conversation.say("Hello")

    assert (await conversation.messages())[0].id == conversation.question.message_id


async def test_every_call_of_the_model_is_told_with_what_it_cost(model, fake):
    conversation = Conversation(model, [add], history_tokens=100)
    for number in range(3):
        await conversation.say(f"Question {number}? " + "lorem ipsum " * 20)
    fake.reply("What they said.")
    fake.call("add", {"a": 1, "b": 1})
    fake.reply("Two words.")

    told = await conversation.say("1 + 1? " + "lorem ipsum " * 20)

    calls = told.of(ModelCalled)
    assert [call.purpose for call in calls] == ["summary", "answer", "answer"]
    assert calls[-1].model == "scripted"
    assert [call.tokens_out for call in calls] == [3, 1, 2]
    assert not any(call.estimated for call in calls)
    assert told.finished.tokens_in == sum(call.tokens_in for call in calls)
    assert told.finished.iterations == 3


async def test_a_call_of_the_model_that_is_cancelled_is_told_with_an_estimate(model, fake):
    fake.hang(after=5)
    told, heard = Told(), asyncio.Event()

    def hear(event: AgentEvent) -> None:
        told.events.append(event)
        if told.text.endswith("word5 "):
            heard.set()

    run = asyncio.create_task(
        run_agent(
            Conversation(model, [add]).agent,
            Question(content="word " * 100, message_id="1"),
            thread_id="1",
            run_id="1",
            context=AgentContext(),
            tell=hear,
        )
    )
    await asyncio.wait_for(heard.wait(), WAIT_SECONDS)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    [call] = told.of(ModelCalled)
    assert (call.model, call.estimated, call.tokens_out) == ("scripted", True, 5)
    assert call.tokens_in > 125


@pytest.mark.parametrize(("words", "tokens_in"), [(0, 0), (4, None)])
async def test_a_call_of_the_model_that_fails_is_told_with_an_estimate(
    model, fake, words, tokens_in
):
    fake.cut_after(words)
    told = Told()

    with pytest.raises(ModelUnavailable):
        await Conversation(model).say("Hello", told=told)

    [call] = told.of(ModelCalled)
    assert (call.estimated, call.tokens_out) == (True, words)
    assert call.tokens_in == tokens_in if tokens_in is not None else call.tokens_in > 0
    assert told.finished.iterations == 1


async def test_a_step_that_takes_too_long_ends_the_run(model, fake):
    pause = fake.hang(after=1)
    told = Told()

    with pytest.raises(StepTimeout) as raised:
        await Conversation(model, step_timeout_seconds=0.2).say("Hello", told=told)

    assert raised.value.code == told.finished.error_code == "STEP_TIMEOUT"
    assert told.finished.content == "word1 "
    assert [call.estimated for call in told.of(ModelCalled)] == [True]
    await asyncio.wait_for(pause.left.wait(), WAIT_SECONDS)


async def test_tools_that_take_too_long_together_end_the_run(model, fake):
    @tool
    async def never() -> str:
        """Wait for ever."""
        await asyncio.Event().wait()
        return ""

    fake.calls(("never", {}), ("never", {}))

    with pytest.raises(StepTimeout):
        await Conversation(model, [never], step_timeout_seconds=0.2).say("Go")


async def test_no_two_calls_of_a_run_have_one_id():
    async with ScriptedOpenAI() as fake:
        settings = ChatModelSettings(openai_base_url=fake.base_url)
        secret = ScriptedCall(tool="add", args={"a": 1, "b": 1}, id="what.the.user.said")
        fake.add(Turn(calls=(secret, ScriptedCall(tool="add", args={"a": 1, "b": 2}))))
        fake.call("add", {"a": 1, "b": 3})
        fake.reply("Done.")
        async with open_chat_model("openai:scripted", settings) as model:
            told = await Conversation(model, [add]).say("Add")

    started = [event.call_id for event in told.of(ToolCall) if event.status == "start"]
    assert "said" not in "".join(started)
    assert len(set(started)) == len(started) == 3
    asked = [m for m in fake.requests[-1].messages if m.get("tool_calls")]
    results = [m["tool_call_id"] for m in fake.requests[-1].messages if m["role"] == "tool"]
    assert [c["id"] for m in asked for c in m["tool_calls"]] == results == started


async def test_thoughts_that_were_cut_off_are_void_and_those_of_a_step_that_ended_are_not(
    model, fake
):
    conversation = Conversation(model, [add])
    calls = (ScriptedCall(tool="add", args={"a": 1, "b": 1}),)
    fake.add(Turn(thinking="Add them. ", calls=calls))
    pause = Pause()
    fake.add(Turn(thinking="Half a ", ending="hang", pause=pause))
    run = asyncio.create_task(conversation.say("1 + 1?"))
    await asyncio.wait_for(pause.reached.wait(), WAIT_SECONDS)
    await _cancel(run)
    fake.reply("Two.", thinking="A whole thought.")

    told = await conversation.taken_over().say(None)

    assert told.events[0] == Resumed(content="", reasoning="Add them. ")
    assert told.finished.reasoning == "Add them. A whole thought."
