"""A message as the model is asked it."""

from collections.abc import Mapping, Sequence
from typing import Any


def question_content(text: str, images: Sequence[Mapping[str, Any]]) -> str | list[dict[str, Any]]:
    """The text alone, or the text and the images as content blocks that all models' clients read.

    Args:
        text: What was typed and said; may be empty when there are images.
        images: Each with its `mime` and `data_b64`.
    """
    if not images:
        return text
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    return blocks + [
        {
            "type": "image_url",
            "image_url": {"url": f"data:{image['mime']};base64,{image['data_b64']}"},
        }
        for image in images
    ]
