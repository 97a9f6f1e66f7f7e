"""Judges of answers that are numbers or JSON: numeric, json_schema."""

import json
import math
import re
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError
from pydantic import BaseModel, ConfigDict, NonNegativeFloat

from evals.scorers.verdict import Expectation, Judge, Verdict, verdict
from evals.target.answer import Answer

_NUMBER = re.compile(
    r"(?<![\w.])[-+\u2212]?(?:\d{1,3}(?:[,\u00a0\u202f]\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?"
)
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


class NumericOptions(BaseModel):
    """How far a number may be off: by `absolute`, or by a share of the right one."""

    model_config = ConfigDict(extra="forbid")

    absolute: NonNegativeFloat = 0.0
    relative: NonNegativeFloat = 1e-6


class SchemaOptions(BaseModel):
    """Nothing to choose."""

    model_config = ConfigDict(extra="forbid")


def numeric(options: NumericOptions) -> Judge:
    """A number of the answer is `expect.number`, within the tolerance."""

    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        wanted = expected.more.get("number")
        if wanted is None:
            return None
        found = numbers_in(answer.content)
        right = any(
            math.isclose(each, wanted, rel_tol=options.relative, abs_tol=options.absolute)
            for each in found
        )
        return verdict(right, f"{wanted} among {found}")

    return judge


def json_schema(options: SchemaOptions) -> Judge:
    """The answer is JSON, bare or fenced, and fits `expect.schema`."""

    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        schema = expected.more.get("schema")
        if schema is None:
            return None
        try:
            jsonschema.validate(_json_in(answer.content), schema)
        except ValueError as exc:
            return verdict(False, f"no JSON: {exc}")
        except ValidationError as exc:
            return verdict(False, f"{exc.json_path}: {exc.message}")
        return verdict(True)

    return judge


def numbers_in(text: str) -> list[float]:
    """All numbers, read as English writes them: `1,250.5` is one."""
    return [
        float(re.sub("[,\u00a0\u202f]", "", each).replace("\u2212", "-"))
        for each in _NUMBER.findall(text)
    ]


def _json_in(text: str) -> Any:
    fenced = _FENCED.search(text)
    return json.loads(fenced[1] if fenced else text)
