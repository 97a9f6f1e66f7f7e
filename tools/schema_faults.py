"""Where a value does not fit a JSON schema of a foreign server, found in bounded time."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.exceptions import SchemaError, UnknownType
from referencing import Registry
from referencing.exceptions import Unresolvable

from tools.errors import SchemaUnusable

FAULTS_MAX = 20
CHECK_SECONDS = 0.5
GLANCE_SECONDS = 0.002
"""How long a small value may be held against a schema where everybody else waits for it."""
EXPECTATION_MAX_CHARS = 200

# Regular expressions of a foreign server can stand still, and `uniqueItems` grows with the square.
# The tool itself judges by them. `$schema` would bring another validator, without its time limit.
_UNCHECKED = frozenset({"$schema", "pattern", "patternProperties", "uniqueItems"})
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
_deadline: ContextVar[float] = ContextVar("deadline of a schema check")


@dataclass(frozen=True, kw_only=True)
class SchemaFault:
    """What is wrong at one place; nothing of the value itself."""

    place: str
    """The steps to it, with dots between; empty for the whole."""
    problem: str


class SchemaChecker:
    """Holds values against one schema; regular expressions in it are passed over."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Read a schema.

        Raises:
            SchemaUnusable: It is none.
        """
        try:
            self._validator = _TimedValidator(_without_unchecked(schema), registry=_NO_DOCUMENTS)
        except _STUMBLES as error:
            raise SchemaUnusable("the schema cannot be read") from error

    def find_faults(self, value: Any, *, seconds: float | None = None) -> list[SchemaFault]:
        """Say where a value does not fit.

        Raises:
            SchemaUnusable: It cannot be found out, or not in so many seconds (`CHECK_SECONDS`).
        """
        reset = _deadline.set(time.monotonic() + (CHECK_SECONDS if seconds is None else seconds))
        faults: list[SchemaFault] = []
        try:
            for error in self._validator.iter_errors(value):
                if (fault := _explain(error)) not in faults:  # each argument that lacks is an error
                    faults.append(fault)
                if len(faults) == FAULTS_MAX:
                    break
        except _STUMBLES as error:
            raise SchemaUnusable("the schema cannot be read") from error
        finally:
            _deadline.reset(reset)
        return faults


def _timed(check: Callable[..., Any]) -> Callable[..., Iterator[ValidationError]]:
    """The check of one keyword, which ends the whole when its time is over.

    A small schema can ask for more steps than anybody has time for: each of thirty definitions
    needs only name the next one twice.
    """

    def apply(checker: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        if time.monotonic() > _deadline.get():
            raise SchemaUnusable("the schema takes too long")
        yield from check(checker, wanted, value, schema) or ()

    return apply


_TimedValidator: Any = validators.extend(
    Draft202012Validator,
    validators={name: _timed(check) for name, check in Draft202012Validator.VALIDATORS.items()},
)


def _explain(error: ValidationError) -> SchemaFault:
    """By the schema's words alone: the library's quote the value."""
    place = ".".join(str(step) for step in error.absolute_path)
    keyword = str(error.validator)
    if keyword == "required" and isinstance(error.validator_value, list):
        missing = [name for name in error.validator_value if name not in (error.instance or ())]
        return SchemaFault(place=place, problem=f"lacks {', '.join(map(str, missing))}")
    if isinstance(error.validator_value, dict):
        return SchemaFault(place=place, problem=f"does not fit '{keyword}'")
    expected = str(error.validator_value)[:EXPECTATION_MAX_CHARS]
    return SchemaFault(place=place, problem=f"does not fit '{keyword}': {expected}")


def _without_unchecked(schema: Any, *, names: bool = False) -> Any:
    """The schema less what is not checked; `names` when its keys are names of properties."""
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
