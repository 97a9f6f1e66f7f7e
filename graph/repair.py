"""Makes proper tool calls of what models write instead.

Small models send arguments that are not quite JSON, and print a call as text instead of making it.
"""

import ast
import json
import re
import secrets
import string
from collections.abc import Callable
from typing import Any

import orjson
from langchain_core.messages import AIMessage, InvalidToolCall, ToolCall
from langchain_core.messages.tool import invalid_tool_call, tool_call

CALL_START_CHARS = 60
"""By then a printed call has shown its first key."""

_NAME_KEYS = ("name", "tool", "tool_name", "function")
_ARGS_KEYS = ("arguments", "args", "parameters", "input")
_BETWEEN_VALUES = re.compile(r"(?:[\s,;]|```(?:json)?|</?tool_call>)*")
_WRAPPING = re.compile(r"\A\s*(?:```(?:json)?|<tool_call>)|(?:```|</tool_call>)\s*\Z")
_FIRST_KEY = "|".join((*_NAME_KEYS, *_ARGS_KEYS, "type"))
_CALL_START = re.compile(
    rf"\s*(?:```(?:json)?|<tool_call>)?\s*\[?\s*{{\s*[\"'](?:{_FIRST_KEY})[\"']\s*:"
)
_TRAILING_COMMA = re.compile(r",(?=\s*[}\]])")
_TOO_DEEP = "nested too deep"
_CLOSERS = {"{": "}", "[": "]"}
_ID_ALPHABET = string.ascii_letters + string.digits
_ID_CHARS = 9
"""The templates of some models take no other length, and nothing but letters and digits."""


def repair_calls(message: AIMessage, knows_tool: Callable[[str], bool]) -> AIMessage:
    """The message with every call that can be understood as a proper one, under an id of ours.

    Arguments beyond repair stay in `invalid_tool_calls`, to be reported back to the model.
    """
    if message.invalid_tool_calls:
        message = _with_repaired_arguments(message)
    elif not message.tool_calls and (printed := find_printed_calls(message.text, knows_tool)):
        message = message.model_copy(update={"content": "", "tool_calls": printed})
    message = _without_unsendable(message)
    for call in (*message.tool_calls, *message.invalid_tool_calls):
        # Ids are kept in clear, and what a model gives may hold words of the user; some servers
        # give none, or count from 0 in every answer.
        call["id"] = _new_id()
    return message


def find_printed_calls(text: str, knows_tool: Callable[[str], bool]) -> list[ToolCall]:
    """The calls of known tools that a text opens with; models like to explain them afterwards."""
    if not may_start_call(text):
        return []
    calls = []
    for item in _leading_values(text):
        call = _as_call(item)
        if call is None or not knows_tool(call["name"]):
            break
        calls.append(call)
    return calls


def may_start_call(text: str) -> bool:
    """Whether a text that has only begun may turn out to be a printed call."""
    if len(text) >= CALL_START_CHARS:
        return _CALL_START.match(text) is not None
    stripped = text.lstrip()
    return not stripped or any(
        opener.startswith(stripped) or stripped.startswith(opener)
        for opener in ("{", "[", "```json", "```\n", "<tool_call>")
    )


def parse_loosely(text: str) -> Any:
    """Parse JSON as models write it: fenced, with trailing commas, in Python's quotes, cut short.

    Returns:
        The value, or None when no sense can be made of the text.
    """
    bare = _WRAPPING.sub("", text).strip()
    closed = _close_brackets(_TRAILING_COMMA.sub("", bare))
    for parse, candidate in (
        (json.loads, text),
        (json.loads, bare),
        (json.loads, closed),
        (ast.literal_eval, closed),
    ):
        try:
            return parse(candidate)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def _with_repaired_arguments(message: AIMessage) -> AIMessage:
    calls = list(message.tool_calls)
    invalid: list[InvalidToolCall] = []
    for broken in message.invalid_tool_calls:
        args = parse_loosely(broken["args"] or "{}")
        if isinstance(args, dict) and broken["name"]:
            calls.append(tool_call(name=broken["name"], args=args, id=broken["id"]))
        else:
            invalid.append(broken)
    return message.model_copy(update={"tool_calls": calls, "invalid_tool_calls": invalid})


def _leading_values(text: str) -> list[Any]:
    values: list[Any] = []
    decoder = json.JSONDecoder()
    place = _after_separators(text, 0)
    while place < len(text):
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            break
        values += value if isinstance(value, list) else [value]
        place = _after_separators(text, end)
    if values:
        return values
    value = parse_loosely(text)
    return value if isinstance(value, list) else [value]


def _after_separators(text: str, place: int) -> int:
    separators = _BETWEEN_VALUES.match(text, place)
    return separators.end() if separators else place


def _as_call(item: Any) -> ToolCall | None:
    if not isinstance(item, dict):
        return None
    item = item["function"] if isinstance(item.get("function"), dict) else item
    name = next((item[key] for key in _NAME_KEYS if isinstance(item.get(key), str)), None)
    args = next((item[key] for key in _ARGS_KEYS if key in item), None)
    if isinstance(args, str):
        args = parse_loosely(args)
    if name is None or not isinstance(args, dict):
        return None
    return tool_call(name=name, args=args, id=None)


def _without_unsendable(message: AIMessage) -> AIMessage:
    """Counts arguments that are nested too deep for the wire among the invalid ones."""
    sendable = [call for call in message.tool_calls if _is_sendable(call["args"])]
    if len(sendable) == len(message.tool_calls):
        return message
    refused = [call for call in message.tool_calls if not _is_sendable(call["args"])]
    return message.model_copy(
        update={
            "tool_calls": sendable,
            "invalid_tool_calls": [
                *message.invalid_tool_calls,
                *(
                    invalid_tool_call(name=call["name"], args="", id=call["id"], error=_TOO_DEEP)
                    for call in refused
                ),
            ],
        }
    )


def _is_sendable(args: dict[str, Any]) -> bool:
    try:
        orjson.dumps(args)
    except TypeError:
        return False
    return True


def _new_id() -> str:
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_CHARS))


def _close_brackets(text: str) -> str:
    """Add the quotes and brackets that a text lacks at its end, drop those it has too many."""
    open_brackets: list[str] = []
    in_string = escaped = False
    for place, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = in_string
        elif char == '"':
            in_string = not in_string
        elif in_string:
            continue
        elif char in _CLOSERS:
            open_brackets.append(_CLOSERS[char])
        elif char in "}]":
            if not open_brackets:
                return text[:place]
            open_brackets.pop()
    return text + '"' * in_string + "".join(reversed(open_brackets))
