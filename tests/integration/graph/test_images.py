"""Images that users send and tools bring reach models over both protocols, within the history."""

from base64 import b64encode

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from graph.history import IMAGE_TOKENS, count_tokens
from graph.llm.chat_model import open_chat_model
from graph.llm.reply import stream_reply
from graph.settings import ChatModelSettings
from tests.fakes.conversation import Conversation
from tests.fakes.openai_server import ScriptedOpenAI

PNG = b64encode(b"\x89PNG\r\n\x1a\n and so on").decode()
JPEG = b64encode(b"\xff\xd8\xff and so on").decode()
QUESTION = [
    {"type": "text", "text": "What do they show?"},
    {"type": "image", "base64": PNG, "mime_type": "image/png"},
    {"type": "image", "base64": JPEG, "mime_type": "image/jpeg"},
]


async def test_images_reach_ollama_as_base64_beside_the_text(model, fake):
    fake.reply("A cat and a dog.")

    told = await Conversation(model).say(QUESTION)

    assert told.finished.content == "A cat and a dog."
    sent = fake.requests[0].messages[-1]
    assert sent == {"role": "user", "content": "What do they show?", "images": [PNG, JPEG]}


async def test_images_of_the_form_of_openai_reach_ollama_too(model, fake):
    url = {"url": f"data:image/png;base64,{PNG}"}

    await Conversation(model).say([{"type": "image_url", "image_url": url}])

    assert fake.requests[0].messages[-1]["images"] == [PNG]


async def test_images_reach_openai_as_data_urls():
    async with ScriptedOpenAI() as fake:
        settings = ChatModelSettings(openai_base_url=fake.base_url)
        async with open_chat_model("openai:scripted", settings) as model:
            await Conversation(model).say(QUESTION)

    assert fake.requests[0].messages[-1]["content"] == [
        {"type": "text", "text": "What do they show?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{JPEG}"}},
    ]


async def test_images_of_earlier_turns_are_seen_until_they_no_longer_fit(model, fake):
    conversation = Conversation(model, history_tokens=2 * IMAGE_TOKENS + 100)
    await conversation.say(QUESTION)
    await conversation.say("And now?")
    fake.reply("They showed animals.")
    fake.reply("Nothing more.")

    await conversation.say(QUESTION)

    _, second, summarised, last = fake.requests
    assert second.messages[1]["images"] == [PNG, JPEG]
    assert PNG not in str(summarised.messages)
    assert "What do they show?" in str(summarised.messages)
    assert [len(m.get("images", ())) for m in last.messages] == [0, 2]
    assert count_tokens((await conversation.messages())[:1]) > 2 * IMAGE_TOKENS


def drawn() -> list[AnyMessage]:
    url = {"url": f"data:image/png;base64,{PNG}"}
    shown = [{"type": "text", "text": "drawn"}, {"type": "image_url", "image_url": url}]
    return [
        HumanMessage("Draw."),
        AIMessage("", tool_calls=[{"name": "s__draw", "args": {}, "id": "c"}]),
        ToolMessage(shown, tool_call_id="c", name="s__draw"),
    ]


async def test_images_of_a_tool_result_reach_ollama_beside_its_text(model, fake):
    fake.reply("A cat.")
    [_ async for _ in stream_reply(model, drawn(), tool_schemas=[])]
    sent = fake.requests[0].messages[-1]
    assert (sent["role"], sent["content"], sent["images"]) == ("tool", "drawn", [PNG])


async def test_images_of_a_tool_result_reach_openai_behind_it():
    async with ScriptedOpenAI() as fake:
        settings = ChatModelSettings(openai_base_url=fake.base_url)
        async with open_chat_model("openai:scripted", settings) as model:
            [_ async for _ in stream_reply(model, drawn(), tool_schemas=[])]

    *_, result, brought = fake.requests[0].messages
    assert (result["role"], result["content"]) == ("tool", "drawn")
    assert brought["role"] == "user"
    told, image = brought["content"]
    assert "the tool s__draw has answered with" in told["text"]
    assert image == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
