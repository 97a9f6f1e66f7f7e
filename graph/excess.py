"""Messages that ask for more calls than one may: the rest is left out, and the model is told."""

from collections.abc import Sequence

from langchain_core.messages import AIMessage, ToolMessage

_LEFT_OUT = "calls_left_out"
"""Where a message keeps how many calls it has lost; it is not sent to the model."""
_NOTE = (
    "[{left_out} more calls of this message were not made: only {made} may be made at once.]\n\n"
)


def leave_out_excess(message: AIMessage, most: int) -> AIMessage:
    """The message with so many calls at most, the proper ones first."""
    proper, invalid = message.tool_calls[:most], message.invalid_tool_calls
    invalid = invalid[: most - len(proper)]
    left_out = len(message.tool_calls) + len(message.invalid_tool_calls)
    left_out -= len(proper) + len(invalid)
    if not left_out:
        return message
    return message.model_copy(
        update={
            "tool_calls": proper,
            "invalid_tool_calls": invalid,
            "additional_kwargs": message.additional_kwargs | {_LEFT_OUT: left_out},
        }
    )


def has_excess(message: AIMessage) -> bool:
    """Whether calls of the message were left out."""
    return _LEFT_OUT in message.additional_kwargs


def note_excess(message: AIMessage, results: Sequence[ToolMessage]) -> Sequence[ToolMessage]:
    """The results of a message's calls, the last of which says also what was left out of it.

    The note comes first in it: long results are cut at their end.
    """
    if not has_excess(message) or not results:
        return results
    made = len(message.tool_calls) + len(message.invalid_tool_calls)
    note = _NOTE.format(left_out=message.additional_kwargs[_LEFT_OUT], made=made)
    last = results[-1]
    return [*results[:-1], last.model_copy(update={"content": f"{note}{last.text}"})]
