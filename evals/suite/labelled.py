"""Answers that people have labelled, by which a grader is held to them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from evals.errors import SuiteInvalid
from evals.scorers.model_graded import GRADES, RubricOptions
from evals.suite.remedies import faults


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | int | float) else value


class LabelledAnswer(BaseModel):
    """An answer and what a person says of it."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    id: str = ""
    question: str
    answer: str
    target: Annotated[list[str], BeforeValidator(_as_list)] = []
    label: bool | int | str
    """A grade of the scorer's scale: pass, fail, true or false, or a number from 1 to 5."""


def read_labelled(path: Path, options: RubricOptions) -> list[LabelledAnswer]:
    """All labelled answers of a file of JSON lines.

    Raises:
        SuiteInvalid: Names every fault by file, line and place, and what to do.
    """
    told: list[str] = []
    labelled: list[LabelledAnswer] = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise SuiteInvalid(f"{path}: cannot be read ({exc}).") from exc
    for number, line in enumerate(lines, start=1):
        if line.strip():
            read = list(_read(line, options, number, labelled))
            told += [f"{path}, line {number}: {fault}" for fault in read]
    if not labelled and not told:
        told.append(f"{path}: there are no labelled answers: add one.")
    if told:
        raise SuiteInvalid("\n".join(told))
    return labelled


def _read(
    line: str, options: RubricOptions, number: int, labelled: list[LabelledAnswer]
) -> Iterator[str]:
    """Takes one, or tells what is wrong with it."""
    try:
        each = LabelledAnswer.model_validate(json.loads(line))
    except ValidationError as exc:
        for place, fault in faults(exc, LabelledAnswer):
            yield f"{'.'.join(map(str, place)) or 'the answer'} {fault}."
        return
    except ValueError as exc:
        yield f"no JSON ({exc})."
        return
    each = each.model_copy(update={"id": each.id or str(number)})
    if options.value_of(each.label) is None:
        grades = ", ".join(GRADES[options.scale])
        yield f"label {each.label!r} is no grade of this scale: use one of {grades}."
    elif options.rubric is None and not each.target:
        yield "target is missing: without a rubric, answers are held to it."
    labelled.append(each)
