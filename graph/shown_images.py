"""Which images of tool results a model is shown, and where they stand in its prompt.

They are put into what is sent, and only there: the conversation refers to them. The results that
the model has not read yet bring theirs in any case; those of earlier ones come again, the newest
first, while there is room in the budget that the words have left.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage

from graph.history import IMAGE_TOKENS, count_tokens
from graph.tool_contents import RunContents, ShownImage, images_in

SHOWN_MAX = 8
"""How many images a model is shown at once."""


async def show_images(
    messages: Sequence[AnyMessage], contents: RunContents | None, *, budget: int
) -> list[AnyMessage]:
    """Return the messages, results with the images that they brought.

    Args:
        messages: What is sent, as far as it is words.
        contents: Has the images; without it none is shown.
        budget: How many tokens of a conversation the model sees.
    """
    shown = list(messages)
    if contents is None:
        return shown
    wanted = _choose(messages, budget - count_tokens(messages))
    if not wanted:
        return shown
    images = await contents.load_images([each for ids in wanted.values() for each in ids])
    for place, ids in wanted.items():
        if there := [images[each] for each in ids if each in images]:
            shown[place] = _with_images(messages[place], there)
    return shown


def _choose(messages: Sequence[AnyMessage], room: int) -> dict[int, list[str]]:
    """The ids of the images to show, by the places of the results that brought them."""
    wanted: dict[int, list[str]] = {}
    count, is_unread = 0, True
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        is_unread = is_unread and not isinstance(message, AIMessage)
        if not isinstance(message, ToolMessage):
            continue
        for image in images_in(message.artifact):
            room -= IMAGE_TOKENS
            if count == SHOWN_MAX or (room < 0 and not is_unread):
                return wanted
            wanted.setdefault(place, []).append(image)
            count += 1
    return wanted


def _with_images(message: AnyMessage, images: Iterable[ShownImage]) -> AnyMessage:
    blocks: list[Mapping[str, Any]] = [{"type": "text", "text": message.text}]
    blocks += [
        {"type": "image_url", "image_url": {"url": f"data:{image.mime};base64,{image.data_b64}"}}
        for image in images
    ]
    return message.model_copy(update={"content": blocks})
