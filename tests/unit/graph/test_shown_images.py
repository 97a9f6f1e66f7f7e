"""Which images of tool results a model is shown."""

from collections.abc import Mapping, Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from graph.history import IMAGE_TOKENS, count_tokens
from graph.llm.result_images import BROUGHT, put_images_apart
from graph.shown_images import SHOWN_MAX, show_images
from graph.tool_contents import ShownImage
from tools.contents import ContentKeeper

ASKED = AIMessage("", tool_calls=[{"name": "s__draw", "args": {}, "id": "c"}])


class Album:
    """Has every image but those that are lost."""

    def __init__(self, *lost: str) -> None:
        self._lost = lost

    def keeper_of(self, call_id: str) -> ContentKeeper:
        raise NotImplementedError

    async def load_images(self, ids: Sequence[str]) -> Mapping[str, ShownImage]:
        return {
            each: ShownImage(mime="image/png", data_b64=each)
            for each in ids
            if each not in self._lost
        }


def result(*images: str, name: str = "s__draw") -> ToolMessage:
    contents = [{"id": each, "kind": "image"} for each in images]
    artifact = {"contents": [*contents, {"id": "a", "kind": "audio"}, "malformed", {}]}
    return ToolMessage("drawn", tool_call_id="c", name=name, artifact=artifact)


def seen(messages: Sequence[AnyMessage]) -> list[list[str]]:
    return [
        [
            block["image_url"]["url"].partition("base64,")[2]
            for block in message.content
            if isinstance(block, dict) and block["type"] == "image_url"
        ]
        for message in messages
        if isinstance(message.content, list)
    ]


async def test_results_that_the_model_has_not_read_bring_their_images_whatever_the_budget() -> None:
    said = [HumanMessage("Draw."), ASKED, result("1", "2"), result("3")]

    shown = await show_images(said, Album(), budget=1)

    assert seen(shown) == [["1", "2"], ["3"]]
    assert [message.text for message in shown] == [message.text for message in said]
    assert [type(message.content) for message in said] == [str] * 4


async def test_images_of_earlier_results_come_again_the_newest_first_while_there_is_room() -> None:
    said = [
        HumanMessage("Draw."),
        ASKED,
        result("old"),
        AIMessage("Drawn."),
        HumanMessage("Again."),
        ASKED,
        result("newer"),
        ASKED,
        result("newest"),
    ]
    words = count_tokens(said)

    for room, expected in [
        (1, ["newest"]),
        (2, ["newer", "newest"]),
        (3, ["old", "newer", "newest"]),
    ]:
        shown = await show_images(said, Album(), budget=words + room * IMAGE_TOKENS)
        assert seen(shown) == [[each] for each in expected]


async def test_a_model_is_shown_so_many_at_once_and_no_more() -> None:
    said = [HumanMessage("Draw."), ASKED, *(result(*"abcd") for _ in range(5))]
    shown = await show_images(said, Album(), budget=10**6)
    assert sum(map(len, seen(shown))) == SHOWN_MAX


async def test_an_image_that_is_gone_and_a_run_without_any_leave_the_words() -> None:
    said = [HumanMessage("Draw."), ASKED, result("1")]
    assert await show_images(said, Album("1"), budget=10**6) == said
    assert await show_images(said, None, budget=10**6) == said


async def test_for_protocols_of_text_they_stand_behind_all_results_of_the_step() -> None:
    said = [
        HumanMessage("Draw."),
        ASKED,
        result("1"),
        result("2", name="s__paint"),
        ASKED,
        result("3"),
    ]
    shown = put_images_apart(await show_images(said, Album(), budget=10**6))

    assert [message.type for message in shown] == [
        "human",
        "ai",
        "tool",
        "tool",
        "human",
        "ai",
        "tool",
        "human",
    ]
    assert seen(shown) == [["1", "2"], ["3"]]
    assert [message.content for message in shown if message.type == "tool"] == ["drawn"] * 3
    assert shown[4].content[0] == {"type": "text", "text": BROUGHT.format(name="s__draw")}
    assert BROUGHT.format(name="s__paint") in shown[4].text


def test_messages_without_images_stay_as_they_are() -> None:
    said = [HumanMessage("Draw."), ASKED, result()]
    assert put_images_apart(said) == said
