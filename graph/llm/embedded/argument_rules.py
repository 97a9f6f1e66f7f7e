"""What can be said of a tool's arguments by looking at the message, without a model."""

import json
import re
from collections.abc import Sequence
from typing import Any

from graph.llm.embedded.numbers_in_text import find_numbers, mentions_number
from graph.llm.embedded.tool_schema import Tool, ToolParameter
from graph.llm.embedded.zone_names import is_zone_parameter

VERBATIM_NAMES = frozenset({"query", "question", "q", "search", "search_query", "search_term"})
"""Arguments that take the message as it is: people say best what they look for."""

_NUMERIC = frozenset({"number", "integer"})
_UNASKED_KINDS = frozenset({"object", "array", "boolean", "any"})
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"']*[^\s<>\"'.,;:!?)]")
_WORD = re.compile(r"\w{2,}")


def is_callable(tool: Tool, message: str) -> bool:
    """Whether the message could hold what the tool must be told."""
    for parameter in tool.parameters:
        if not parameter.required:
            continue
        if parameter.kind in _NUMERIC and not mentions_number(message):
            return False
        if _is_identifier(parameter) and not any(c.isdigit() for c in message):
            return False
        if _is_address(parameter) and _URL.search(message) is None:
            return False
    return True


def is_asked(parameter: ToolParameter, message: str) -> bool:
    """Whether to look for the argument at all: small models fill in whatever they are shown."""
    if parameter.required:
        return True
    if parameter.kind in _UNASKED_KINDS:
        return False
    if parameter.kind in _NUMERIC:
        return bool(find_numbers(message))
    return not _is_identifier(parameter)


def copy_value(
    parameter: ToolParameter, message: str, asked: Sequence[ToolParameter]
) -> Any | None:
    """What can be taken from the message as it stands, if anything."""
    if parameter.kind == "string" and parameter.required and parameter.name in VERBATIM_NAMES:
        return message
    if _is_address(parameter) and (address := _URL.search(message)):
        return address[0]
    if parameter.kind in _NUMERIC:
        numbers = find_numbers(message)
        rivals = [entry for entry in asked if entry.kind in _NUMERIC]
        if len(numbers) == 1 and len(rivals) == 1:
            return json.loads(numbers[0])
    return None


def stands_in(value: Any, message: str, parameter: ToolParameter) -> bool:
    """Whether the value comes from the message; what does not is the model's guess."""
    if isinstance(value, bool) or "enum" in parameter.schema or is_zone_parameter(parameter):
        return True
    if isinstance(value, int | float):
        return json.dumps(value) in find_numbers(message) or not find_numbers(message)
    if isinstance(value, str):
        plain = message.casefold()
        words = _WORD.findall(value.casefold().replace("_", " "))
        return value.casefold() in plain or any(word in plain for word in words)
    return True


def _is_identifier(parameter: ToolParameter) -> bool:
    return parameter.kind == "string" and (
        parameter.name == "id" or parameter.name.endswith(("_id", "Id"))
    )


def _is_address(parameter: ToolParameter) -> bool:
    return parameter.name in ("url", "uri") or parameter.schema.get("format") == "uri"
