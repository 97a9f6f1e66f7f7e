"""Functions that a sample brings: tools that are there for its question alone."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from evals.errors import SuiteInvalid
from evals.suite.yaml_places import read_yaml
from tools.definitions import NAME_MAX_CHARS
from tools.names import make_safe


def require_json_schema(value: dict[str, Any]) -> dict[str, Any]:
    """Returns a JSON schema as it is.

    Raises:
        ValueError: It is none.
    """
    try:
        Draft202012Validator.check_schema(value)
    except SchemaError as exc:
        raise ValueError(f"is no JSON schema: {exc.message}") from exc
    return value


def _require_object(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("type") != "object":
        raise ValueError("describes no arguments: begin it with type: object")
    return require_json_schema(value)


class FunctionSpec(BaseModel):
    """One of them."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=NAME_MAX_CHARS)]
    description: str = ""
    parameters: Annotated[dict[str, Any], AfterValidator(_require_object)] = {"type": "object"}
    """A JSON schema."""
    result: Any = {"ok": True}
    """What each call is answered with."""
    read_only: bool = True
    """Whether it says of itself that it only reads; of others a person is asked by default."""


def require_distinct(functions: Sequence[FunctionSpec]) -> None:
    """Sees to it that a model can tell them apart: it is not told of dots in names.

    Raises:
        ValueError: It cannot.
    """
    seen = Counter(make_safe("", each.name).casefold() for each in functions)
    alike = [each.name for each in functions if seen[make_safe("", each.name).casefold()] > 1]
    if alike:
        raise ValueError(f"functions {alike} look the same to a model: rename one")


def with_functions_of_file(sample: Any, folder: Path) -> Any:
    """A sample as it was written, with the functions of the file that it names.

    Raises:
        SuiteInvalid: The file cannot be read.
    """
    if not isinstance(sample, dict) or not isinstance(sample.get("functions"), str):
        return sample
    path = folder / sample["functions"]
    if path.suffix != ".json":
        return {**sample, "functions": read_yaml(path).content}
    try:
        return {**sample, "functions": json.loads(path.read_text("utf-8"))}
    except (OSError, ValueError) as exc:
        raise SuiteInvalid(f"{path}: functions cannot be read ({exc}).") from exc
