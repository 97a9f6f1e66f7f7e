"""The border between what tools answered and what the model reads of it.

The conversation keeps results as they came, and people see them so.
"""

from collections.abc import Sequence

from langchain_core.messages import AnyMessage, ToolMessage

from graph.turn import sources_in
from tools.fences import close_fence
from tools.quotation import as_data


def as_model_reads(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The messages, tool results in the form in which they cannot pass for anything else."""
    return [_read(message) if isinstance(message, ToolMessage) else message for message in messages]


def _read(message: ToolMessage) -> ToolMessage:
    told = str(message.text)
    # Only the tool of our own that brings sources may quote: it has read its texts as data already.
    quotes = bool(sources_in(message.artifact))
    text = as_data(told, keeps_fence=quotes)
    if quotes:
        text = close_fence(text)  # where the rest did not fit
    return message if text == told else message.model_copy(update={"content": text})
