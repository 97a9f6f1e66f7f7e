"""The prompt with which the model reads arguments out of a message.

Its beginning never changes, so the engine reads it once; the function and the message come last.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from graph.llm.embedded.chat_prompt import PromptMessage
from graph.llm.embedded.tool_schema import Tool, ToolParameter

DESCRIPTION_MAX_CHARS = 160

_SYSTEM = "You read the arguments of a function out of a message."
_EXCHANGE = """\
exchange_money
amount: The amount.
from_currency: Currency of the amount.
to_currency: Currency to change into.
Message: """
_SHOTS = (
    (
        "rain_forecast\ncity: Name of the city.\nMessage: Will it rain in San Jose tomorrow?",
        '{"city": "San Jose"}',
    ),
    (
        f"{_EXCHANGE}How many dollars are 20 euros?",
        '{"amount": 20, "from_currency": "euros", "to_currency": "dollars"}',
    ),
    (
        f"{_EXCHANGE}I have 75 yen, what is that in pounds?",
        '{"amount": 75, "from_currency": "yen", "to_currency": "pounds"}',
    ),
)
# A small model takes an example in a description for the value.
_EXAMPLE = re.compile(
    r"[\s,;:(]*\b(?:for example|for instance|such as|like|e\.g\.|eg\.?)\s.*$", re.I | re.S
)


def write_preamble() -> list[PromptMessage]:
    """The part that is the same for all tools."""
    turns = [PromptMessage(role="system", text=_SYSTEM)]
    for question, answer in _SHOTS:
        turns.append(PromptMessage(role="user", text=question))
        turns.append(PromptMessage(role="assistant", text=answer))
    return turns


def write_question(tool: Tool, asked: Sequence[ToolParameter], message: str) -> PromptMessage:
    """The function, the arguments that are wanted, and the message."""
    lines = [tool.name, *(f"{entry.name}: {_explain(entry)}" for entry in asked)]
    return PromptMessage(role="user", text="\n".join([*lines, f"Message: {message}"]))


def begin_answer(values: Mapping[str, Any], parameter: ToolParameter) -> str:
    """The JSON object up to the value that is wanted next."""
    written = "".join(
        f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}, "
        for name, value in values.items()
    )
    return "{" + written + json.dumps(parameter.name) + ":"


def _explain(parameter: ToolParameter) -> str:
    first = _EXAMPLE.sub("", parameter.description).strip().rstrip(".")
    return f"{first[:DESCRIPTION_MAX_CHARS] or parameter.name}."
