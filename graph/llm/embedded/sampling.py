"""Ollama's options and formats in the words of llama.cpp."""

from collections.abc import Mapping
from typing import Any

ANSWER_MAX_TOKENS = 1024
"""A small model that does not find an end is stopped here unless the client asks for more."""
_PASSED_ON = (
    "seed",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "repeat_last_n",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
)
_NUMBER = (int, float)
_SCHEMA_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")


class OptionRefused(ValueError):
    """An option has a value that makes no sense."""


def read_options(options: Mapping[str, Any] | None, *, room: int) -> dict[str, Any]:
    """Translate the options of a request; unknown ones are ignored, as Ollama does.

    Args:
        options: As the client sent them.
        room: How many tokens the answer can have at most.

    Raises:
        OptionRefused: A value has the wrong type.
    """
    given = options or {}
    # Without a wish of the client this model is most use when it does not gamble.
    translated: dict[str, Any] = {"temperature": 0, "repeat_penalty": 1.05}
    for name in _PASSED_ON:
        value = given.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, _NUMBER):
            raise OptionRefused(f"option {name!r} must be a number")
        translated[name] = value
    translated["n_predict"] = _read_limit(given.get("num_predict"), room)
    stop = given.get("stop")
    if stop:
        words = [stop] if isinstance(stop, str) else stop
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise OptionRefused("option 'stop' must be text or a list of texts")
        translated["stop"] = words
    return translated


def read_format(wanted: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Translate the `format` of a request into a constraint.

    Raises:
        OptionRefused: The format is no JSON schema; the engine would ignore it without a word.
    """
    if not wanted:
        return {}
    if isinstance(wanted, str):
        return {"json_schema": {"type": "object"}}
    _check_schema(wanted)
    return {"json_schema": dict(wanted)}


def _check_schema(schema: Any) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        raise OptionRefused("format is not a JSON schema")
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not isinstance(kinds, list) or not all(kind in _SCHEMA_TYPES for kind in kinds):
        raise OptionRefused(f"format has an unknown type: {kinds!r}")
    for keyword in ("properties", "$defs"):
        nested = schema.get(keyword, {})
        if not isinstance(nested, Mapping):
            raise OptionRefused(f"format has {keyword!r} that is not an object")
        for entry in nested.values():
            _check_schema(entry)
    if "items" in schema:
        _check_schema(schema["items"])


def _read_limit(wanted: Any, room: int) -> int:
    if wanted is None:
        return min(ANSWER_MAX_TOKENS, room)
    if isinstance(wanted, bool) or not isinstance(wanted, int):
        raise OptionRefused("option 'num_predict' must be a whole number")
    return min(wanted, room) if wanted >= 0 else room
