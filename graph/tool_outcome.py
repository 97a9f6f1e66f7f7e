"""What comes of a tool call, for the model and for the record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core import messages as lc
from pydantic import ValidationError

from graph.journal import EarlierCall
from graph.tool_contents import contents_in
from graph.turn import sources_in


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one call."""

    call: lc.ToolCall
    text: str
    is_error: bool = False
    sources: Sequence[Mapping[str, Any]] = ()
    contents: Sequence[Mapping[str, Any]] = ()
    """What refers to the pictures, sounds and files that are kept for the person."""

    @classmethod
    def returned(cls, call: lc.ToolCall, value: Any) -> "Outcome":
        """The tool has answered."""
        if not isinstance(value, lc.ToolMessage):
            return cls(call=call, text=str(value))
        return cls(
            call=call,
            text=str(value.text),
            is_error=value.status == "error",
            sources=sources_in(value.artifact),
            contents=contents_in(value.artifact),
        )

    @classmethod
    def failed(cls, call: lc.ToolCall, text: str) -> "Outcome":
        """There is no answer, and the model is told why."""
        return cls(call=call, text=text, is_error=True)

    @classmethod
    def recalled(cls, call: lc.ToolCall, earlier: EarlierCall) -> "Outcome":
        """An earlier attempt heard the answer."""
        return cls(
            call=call,
            text=earlier.text,
            is_error=earlier.status == "error",
            sources=earlier.sources,
            contents=earlier.contents,
        )

    def as_message(self) -> lc.ToolMessage:
        """The answer as the conversation keeps it; what it brought for a later attempt."""
        brought = {"sources": list(self.sources), "contents": list(self.contents)}
        return lc.ToolMessage(
            self.text,
            tool_call_id=self.call["id"] or "",
            name=self.call["name"],
            status="error" if self.is_error else "success",
            artifact={name: values for name, values in brought.items() if values} or None,
        )


def report_invalid(call: lc.InvalidToolCall) -> lc.ToolMessage:
    """What the model hears of a call that cannot be understood."""
    name = call["name"] or ""
    return lc.ToolMessage(
        NOT_JSON.format(name=name), tool_call_id=call["id"] or "", name=name, status="error"
    )


def reasons_of(error: ValidationError) -> str:
    """What does not fit, without the values."""
    return "; ".join(
        f"{'.'.join(map(str, reason['loc'])) or 'arguments'}: {reason['msg']}"
        for reason in error.errors(include_url=False, include_input=False)
    )


REPEATED = "{name} was called with these arguments several times already. Use what it answered."
UNKNOWN = "There is no tool named {name}. The tools are: {offered}."
TIMED_OUT = "The tool gave no answer within {seconds:g} seconds."
MISFIT = "The arguments do not fit the tool: {reasons}."
BROKEN = "The tool failed ({kind}). Go on without it or try other arguments."
NOT_JSON = "The arguments of {name} were not valid JSON. Call it again with one JSON object."
