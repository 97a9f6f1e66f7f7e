"""Whether arguments that a person has edited are such as the tool takes."""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import SchemaError, UnknownType
from referencing import Registry
from referencing.exceptions import Unresolvable

FAULTS_MAX = 20
EXPECTATION_MAX_CHARS = 200

# Regular expressions of a foreign server can stand still, and the last one grows with the square.
# The tool itself judges by them.
_UNCHECKED = frozenset({"pattern", "patternProperties", "uniqueItems"})
_RELATED = frozenset({"additionalProperties", "unevaluatedProperties"})
_STUMBLES = (
    SchemaError,
    UnknownType,
    Unresolvable,
    RecursionError,
    TypeError,
    ValueError,
    AttributeError,
)
"""What the library raises over things that foreign servers call a schema."""
_NO_DOCUMENTS: Registry[Any] = Registry()
"""Keeps references from being looked up in the network."""


def faults_in(args: Mapping[str, Any], schema: Mapping[str, Any]) -> list[dict[str, str]]:
    """What is wrong with arguments, as `{"argument", "problem"}`; nothing of their values.

    Regular expressions in the schema are left to the tool.
    """
    validator = Draft202012Validator(_without_unchecked(schema), registry=_NO_DOCUMENTS)
    faults: list[dict[str, str]] = []
    try:
        for error in validator.iter_errors(args):
            if (fault := _explain(error)) not in faults:  # each argument that lacks is an error
                faults.append(fault)
            if len(faults) == FAULTS_MAX:
                break
    except _STUMBLES:
        return [{"argument": "", "problem": "the tool's schema cannot be read"}]
    return faults


def _explain(error: ValidationError) -> dict[str, str]:
    """By the schema's words alone: the library's quote the value."""
    place = ".".join(str(step) for step in error.absolute_path)
    keyword = str(error.validator)
    if keyword == "required" and isinstance(error.validator_value, list):
        missing = [name for name in error.validator_value if name not in (error.instance or ())]
        return {"argument": place, "problem": f"lacks {', '.join(map(str, missing))}"}
    if isinstance(error.validator_value, dict):
        return {"argument": place, "problem": f"does not fit '{keyword}'"}
    expected = str(error.validator_value)[:EXPECTATION_MAX_CHARS]
    return {"argument": place, "problem": f"does not fit '{keyword}': {expected}"}


def _without_unchecked(schema: Any, *, names: bool = False) -> Any:
    """The schema less what is not checked; `names` when its keys are names of arguments."""
    if isinstance(schema, list):
        return [_without_unchecked(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    left_out: frozenset[str] = frozenset()
    if not names:
        left_out = _UNCHECKED | _RELATED if "patternProperties" in schema else _UNCHECKED
    return {
        key: _without_unchecked(value, names=key == "properties" and not names)
        for key, value in schema.items()
        if key not in left_out
    }
