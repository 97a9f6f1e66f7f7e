"""The forms that servers ask people to fill in: flat, small, and nothing in them that hides."""

from collections.abc import Mapping, Sequence
from typing import Any

from persistence.visible_text import show
from tools.errors import RequestDeclined

FIELDS_MAX = 40
CHOICES_MAX = 200
NAME_MAX_CHARS = 100
TEXT_MAX_CHARS = 1_000
FORMATS = frozenset({"email", "uri", "date", "date-time"})

_LIMITS: Mapping[str, tuple[str, ...]] = {
    "string": ("minLength", "maxLength"),
    "number": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
    "boolean": (),
    "array": ("minItems", "maxItems"),
}
_PYTHON: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
}


class _NoForm(Exception):
    """The schema is not one of a form; the message says why."""


def read_form(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a form with nothing in it but what the protocol knows, made to be shown.

    Texts that are only shown are cleaned and cut. What an answer has to repeat, such as names and
    choices, must be as it shows.

    Raises:
        RequestDeclined: It is not one that a person could fill in; the message tells the server.
    """
    try:
        return _form(schema)
    except _NoForm as exc:
        raise RequestDeclined(f"This form cannot be shown: {exc}.") from exc


def _form(schema: Mapping[str, Any]) -> dict[str, Any]:
    fields = schema.get("properties", {})
    if schema.get("type", "object") != "object" or not isinstance(fields, dict):
        raise _NoForm("it is not an object with properties")
    if len(fields) > FIELDS_MAX:
        raise _NoForm(f"it has more than {FIELDS_MAX} fields")
    required = schema.get("required") or []
    if not isinstance(required, list) or not all(
        isinstance(name, str) and name in fields for name in required
    ):
        raise _NoForm("it requires fields that it does not have")
    return {
        "type": "object",
        "properties": {_exact(name, NAME_MAX_CHARS): _field(each) for name, each in fields.items()},
        "required": list(dict.fromkeys(required)),
    }


def _field(schema: object) -> dict[str, Any]:
    kind = schema.get("type") if isinstance(schema, dict) else None
    if not isinstance(schema, dict) or not isinstance(kind, str) or kind not in _LIMITS:
        raise _NoForm("a field is neither text, number, yes or no, nor a choice")
    shown: dict[str, Any] = {"type": kind} | _texts(schema)
    for limit in _LIMITS[kind]:
        if (value := schema.get(limit)) is not None:
            shown[limit] = _number(value)
    if kind == "string":
        shown |= _choices(schema)
        if schema.get("format") in FORMATS:
            shown["format"] = schema["format"]
    if kind == "array":
        shown["items"] = _items(schema.get("items"))
        # No more than there is to choose from: so an answer is checked in little time.
        shown["maxItems"] = min(shown.get("maxItems", CHOICES_MAX), _count(shown["items"]))
    if "default" in schema:
        shown["default"] = _default(schema["default"], kind)
    return shown


def _texts(schema: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: show(text).strip()[:TEXT_MAX_CHARS]
        for name in ("title", "description")
        if isinstance(text := schema.get(name), str)
    }


def _choices(schema: Mapping[str, Any], key: str = "oneOf") -> dict[str, Any]:
    """What a text is chosen from, in either of the protocol's forms."""
    if (values := schema.get("enum")) is not None:
        names = schema.get("enumNames")
        shown = {"enum": [_exact(each, TEXT_MAX_CHARS) for each in _listed(values)]}
        if isinstance(names, list) and len(names) == len(shown["enum"]):
            shown["enumNames"] = [show(str(name))[:TEXT_MAX_CHARS] for name in names]
        return shown
    if (options := schema.get(key)) is None:
        return {}
    return {key: [_option(each) for each in _listed(options)]}


def _items(schema: object) -> dict[str, Any]:
    if not isinstance(schema, dict):
        raise _NoForm("a list has no choices")
    shown = _choices(schema, "anyOf")
    if not shown:
        raise _NoForm("a list has no choices")
    return {"type": "string", **shown} if "enum" in shown else shown


def _count(items: Mapping[str, Any]) -> int:
    return len(items.get("enum") or items.get("anyOf") or ())


def _option(option: object) -> dict[str, str]:
    if not isinstance(option, dict):
        raise _NoForm("a choice is not given by its value")
    title = option.get("title")
    value = _exact(option.get("const"), TEXT_MAX_CHARS)
    shown = show(title).strip()[:TEXT_MAX_CHARS] if isinstance(title, str) else value
    return {"const": value, "title": shown}


def _listed(values: object) -> Sequence[object]:
    if not isinstance(values, list) or not 0 < len(values) <= CHOICES_MAX:
        raise _NoForm(f"a choice has nothing, or more than {CHOICES_MAX} values, to choose from")
    return values


def _exact(text: object, max_chars: int) -> str:
    if not isinstance(text, str) or len(text) > max_chars or show(text) != text or "\n" in text:
        raise _NoForm("a name or a choice is too long, or holds characters that do not show")
    return text


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e15:
        raise _NoForm("a limit is not a number")
    return value


def _default(value: object, kind: str) -> Any:
    fits = isinstance(value, _PYTHON[kind]) and (kind == "boolean" or not isinstance(value, bool))
    if not fits:
        raise _NoForm("a default is of another type than its field")
    if isinstance(value, str):
        return show(value)[:TEXT_MAX_CHARS]
    if isinstance(value, list):
        return [_exact(each, TEXT_MAX_CHARS) for each in value[:CHOICES_MAX]]
    return value if isinstance(value, bool) else _number(value)
