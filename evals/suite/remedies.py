"""What an evaluator is told to do about a fault in a suite."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError


def one_of(given: str, known: Iterable[str]) -> str:
    """The nearest name there is, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(given, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(names)}"


def faults(
    error: ValidationError, form: type[BaseModel]
) -> list[tuple[tuple[int | str, ...], str]]:
    """Each fault's place and what to do about it."""
    return [(each["loc"], _told(each, form)) for each in error.errors(include_url=False)]


def _told(fault: Mapping[str, Any], form: type[BaseModel]) -> str:
    match fault["type"]:
        case "missing":
            return "is missing: add it"
        case "extra_forbidden":
            name, known = str(fault["loc"][-1]), _fields(form, fault["loc"][:-1])
            return (
                f"is not known here; {one_of(name, known)}" if known else "is not known: remove it"
            )
        case "value_error":
            return str(fault["ctx"]["error"])
    return f"{fault['msg'][0].lower()}{fault['msg'][1:]}, not {fault['input']!r}"


def _fields(form: type[BaseModel], place: tuple[int | str, ...]) -> set[str]:
    """The names that a part of the form has, as far as its annotations tell."""
    current: Any = form
    for step in place:
        fields = getattr(current, "model_fields", {})
        if isinstance(step, int) or step not in fields:
            continue
        current = _model_in(fields[step].annotation)
    fields = getattr(current, "model_fields", {})
    return {field.alias or name for name, field in fields.items()}


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(each) for each in getattr(annotation, "__args__", ()))
    return next((each for each in inner if each is not None), None)
