"""The models that the settings name, over real HTTP."""

import asyncio

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from pydantic import SecretStr

from graph.errors import ModelError, ModelNotAllowed, ModelNotConfigured, ModelUnavailable
from graph.events import ToolCall
from graph.llm.chat_model import open_chat_model, open_chat_models, open_model_address
from graph.settings import ChatModelSettings
from tests.fakes.conversation import Conversation, Told
from tests.fakes.ollama_server import ScriptedOllama
from tests.fakes.openai_server import ScriptedOpenAI

WAIT_SECONDS = 10


@tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


@pytest.fixture
async def openai_fake():
    async with ScriptedOpenAI(api_key="sk-local") as server:
        yield server


@pytest.fixture
def openai_settings(openai_fake):
    return ChatModelSettings(
        openai_base_url=openai_fake.base_url, openai_api_key=SecretStr("sk-local")
    )


async def test_settings_of_the_model_reach_ollama(fake):
    settings = ChatModelSettings(
        ollama_base_url=fake.base_url,
        ollama_api_key=SecretStr("k"),
        num_ctx=8192,
        temperature=0.25,
        keep_alive="30m",
    )

    async with open_chat_model("ollama:small:1b", settings) as model:
        await Conversation(model).say("Hello")

    request = fake.requests[0]
    assert request.body["model"] == "small:1b"
    assert request.body["options"] == {"num_ctx": 8192, "temperature": 0.25}
    assert request.body["keep_alive"] == "30m"
    assert request.headers["Authorization"] == "Bearer k"


async def test_an_ollama_model_is_a_langchain_model_for_everybody_else(fake):
    fake.call("add", {"a": 1, "b": 2})
    fake.reply("Three.", thinking="Easy.")
    fake.reply("One two")
    settings = ChatModelSettings(ollama_base_url=fake.base_url)

    async with open_chat_model("scripted", settings) as model:
        asked = await model.bind_tools([add]).ainvoke("1 + 2?")
        answer = await model.ainvoke("1 + 2?")
        chunks = [chunk async for chunk in model.astream("count")]

    assert asked.tool_calls[0]["args"] == {"a": 1, "b": 2}
    assert isinstance(answer, AIMessage)
    assert answer.content == "Three."
    assert answer.additional_kwargs["reasoning_content"] == "Easy."
    assert answer.usage_metadata is not None
    assert "".join(chunk.text for chunk in chunks) == "One two"


async def test_an_ollama_model_can_be_asked_without_an_event_loop(fake):
    fake.reply("Hi.")
    settings = ChatModelSettings(ollama_base_url=fake.base_url)

    async with open_chat_model("scripted", settings) as model:
        answer = await asyncio.to_thread(model.invoke, "Hello")

    assert answer.content == "Hi."


async def test_an_openai_model_streams_thinks_and_calls_tools(openai_fake, openai_settings):
    openai_fake.call("add", {"a": 2, "b": 3}, text="Wait.")
    openai_fake.reply("It is five.", thinking="Sum.")

    async with open_chat_model("openai:local", openai_settings) as model:
        told = await Conversation(model, [add]).say("2 + 3?")

    assert told.of(ToolCall)[-1].result == "5"
    assert openai_fake.requests[1].messages[-1]["content"] == "5"
    assert told.text == told.finished.content == "Wait.\n\nIt is five."
    assert len(told.events) > 6
    assert told.reasoning == "Sum."
    assert (told.finished.model, told.finished.tokens_out) == ("local", 4)


async def test_garbled_arguments_of_an_openai_model_are_repaired(openai_fake, openai_settings):
    openai_fake.call("add", "{'a': 2, 'b': 3}")
    openai_fake.reply("5")

    async with open_chat_model("openai:local", openai_settings) as model:
        told = await Conversation(model, [add]).say("2 + 3?")

    assert told.of(ToolCall)[-1].result == "5"


@pytest.mark.parametrize(("status", "kind"), [(400, ModelError), (503, ModelUnavailable)])
async def test_refusals_of_an_openai_server_become_model_errors(
    openai_fake, openai_settings, status, kind
):
    openai_fake.fail("no", status=status)

    async with open_chat_model("openai:local", openai_settings) as model:
        with pytest.raises(ModelError) as raised:
            await Conversation(model).say("Hello")

    assert type(raised.value) is kind


async def test_an_openai_server_that_fails_in_the_middle_is_a_model_error(
    openai_fake, openai_settings
):
    openai_fake.fail("broke", after=2)
    openai_fake.cut_after(2)
    told = Told()

    async with open_chat_model("openai:local", openai_settings) as model:
        with pytest.raises(ModelError):
            await Conversation(model).say("Hello", told=told)
        with pytest.raises(ModelUnavailable):
            await Conversation(model).say("Hello")

    assert told.finished.content == "word1 word2 "


@pytest.mark.parametrize("words", [0, 2])
async def test_an_openai_server_that_falls_silent_is_given_up(openai_fake, openai_settings, words):
    openai_settings.first_token_timeout_seconds = 0.2
    openai_fake.hang(after=words)

    async with open_chat_model("openai:local", openai_settings) as model:
        with pytest.raises(ModelUnavailable):
            await Conversation(model).say("Hello")


async def test_leaving_an_openai_stream_closes_the_request(openai_fake, openai_settings):
    pause = openai_fake.hang(after=1)

    async with open_chat_model("openai:local", openai_settings) as model:
        stream = Conversation(model).stream("Hello")
        await anext(stream)
        await stream.aclose()
        await asyncio.wait_for(pause.left.wait(), WAIT_SECONDS)


async def test_requests_choose_among_the_allowed_models(fake, openai_fake):
    settings = ChatModelSettings(
        ollama_base_url=fake.base_url,
        openai_base_url=openai_fake.base_url,
        openai_api_key=SecretStr("sk-local"),
        chat_model="small",
        allowed_models=("large", "openai:local"),
    )

    async with open_chat_models(settings) as models:
        assert list(models.by_spec) == ["small", "large", "openai:local"]
        assert models.choose(None) is models.default
        for spec, name in (("large", "large"), ("openai:local", "local")):
            told = await Conversation(models.choose(spec)).say("Hello")
            assert told.finished.model == name
        with pytest.raises(ModelNotAllowed, match="'huge' is not offered"):
            models.choose("huge")


async def test_ollama_models_share_their_connections(fake):
    settings = ChatModelSettings(
        ollama_base_url=fake.base_url, chat_model="small", allowed_models=("large",)
    )

    async with open_chat_models(settings) as models:
        for model in models.by_spec.values():
            await Conversation(model).say("Hello")

    assert [request.body["model"] for request in fake.requests] == ["small", "large"]
    assert len(fake.connections) == 1


async def test_the_server_of_the_default_model_can_be_pinged(fake, openai_fake, openai_settings):
    async with open_chat_models(ChatModelSettings(ollama_base_url=fake.base_url)) as models:
        await models.ping()
        await fake.stop()
        with pytest.raises(ModelUnavailable):
            await models.ping()
    openai_settings.chat_model = "openai:local"
    async with open_chat_models(openai_settings) as models:
        await models.ping()


async def test_a_key_that_the_server_refuses_is_a_model_error():
    async with ScriptedOllama(api_key="right") as fake:
        settings = ChatModelSettings(
            ollama_base_url=fake.base_url, ollama_api_key=SecretStr("wrong-key")
        )
        async with open_chat_model("scripted", settings) as model:
            with pytest.raises(ModelError, match="401") as raised:
                await Conversation(model).say("Hello")

    assert "wrong-key" not in str(raised.value)


@pytest.mark.parametrize("spec", ["small", "ollama:small", "openai:local"])
async def test_a_model_without_an_address_is_refused(spec):
    with pytest.raises(ModelNotConfigured, match="BASE_URL"):
        async with open_chat_model(spec, ChatModelSettings()):
            pass


async def test_a_configured_address_is_used_as_it_is(fake):
    settings = ChatModelSettings(ollama_base_url=fake.base_url)

    async with open_model_address(settings) as served:
        assert served is settings


async def test_a_model_that_is_not_embedded_needs_an_address():
    with pytest.raises(ModelNotConfigured, match="not embedded"):
        async with open_model_address(ChatModelSettings(chat_model="llama3:70b")):
            pass
