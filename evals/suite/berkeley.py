"""Samples of the Berkeley Function Calling set, as the suite `tools` has them.

    python -m evals.suite.berkeley DATA [--count 12] > samples.jsonl

DATA is the folder `bfcl_eval/data` of the package `bfcl-eval` (Apache-2.0), which need not be
installed: unpack its wheel. Of each category COUNT samples are taken that are evenly far apart:
the first, and so on. What is right there is right here: see `evals.scorers.arguments`.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

CATEGORIES = {
    "simple": "simple_python",
    "multiple": "multiple",
    "parallel": "parallel",
    "parallel_multiple": "parallel_multiple",
    "irrelevance": "irrelevance",
}
"""Tag and file: one function and one call; one call and several functions to choose from; several
calls of one function; several calls of several functions; no call, as no function fits."""
COUNT = 12
LEFT_OUT = ""
"""Stands among the right values of an argument that need not be given."""

_FILE = "BFCL_v4_{}.json"
_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}
_KEPT = ("description", "enum", "default", "format", "minimum", "maximum")


def convert(folder: Path, count: int = COUNT) -> Iterator[dict[str, Any]]:
    """Samples of all categories, as lines of a suite's file."""
    for tag, name in CATEGORIES.items():
        questions = _read(folder / _FILE.format(name))
        answered = folder / "possible_answer" / _FILE.format(name)
        answers = {each["id"]: each["ground_truth"] for each in _read(answered)}
        for question in spread(questions, count):
            yield convert_sample(question, answers.get(question["id"], []), tag)


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """So many of them, evenly far apart; all if there are no more."""
    if len(items) <= count:
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]


def convert_sample(
    question: dict[str, Any], answers: Sequence[dict[str, Any]], tag: str
) -> dict[str, Any]:
    """One sample; its system message, which some have, goes before what is asked."""
    [turn] = question["question"]
    functions = [_function(each) for each in question["function"]]
    forms = {each["name"]: each["parameters"] for each in question["function"]}
    calls = [
        {"tool": tool, "arguments": _arguments(expected, forms[tool])}
        for answer in answers
        for tool, expected in answer.items()
    ]
    return {
        "id": question["id"],
        "input": "\n\n".join(each["content"] for each in turn),
        "tags": [tag],
        "functions": functions,
        "expect": {"calls": calls},
    }


def convert_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema: the set's own have Python's names for types."""
    kind = schema.get("type", "string")
    converted = {"type": _TYPES.get(kind, kind)}
    converted |= {name: schema[name] for name in _KEPT if name in schema}
    if "items" in schema:
        converted["items"] = convert_schema(schema["items"])
    if "properties" in schema:
        converted["properties"] = {
            name: convert_schema(each) for name, each in schema["properties"].items()
        }
        converted["required"] = schema.get("required", [])
    return converted


def _function(function: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": function["name"],
        "description": function["description"],
        "parameters": convert_schema(function["parameters"]),
    }


def _arguments(expected: dict[str, list[Any]], form: dict[str, Any]) -> dict[str, Any]:
    needed = form.get("required", ())
    return {
        name: _pattern(
            _values(choices, form["properties"].get(name, {})),
            is_optional=LEFT_OUT in choices and name not in needed,
        )
        for name, choices in expected.items()
    }


def _values(choices: Sequence[Any], form: dict[str, Any]) -> list[Any]:
    """What may be given; an empty text only where a text may be."""
    kind = form.get("type")
    if kind == "dict":
        return [_object(each) for each in choices if each != LEFT_OUT]
    if kind in {"array", "tuple"} and form["items"].get("type") == "dict":
        return [[_object(item) for item in each] for each in choices if each != LEFT_OUT]
    return [each for each in choices if each != LEFT_OUT or kind in {"string", "any"}]


def _object(value: Any) -> Any:
    """Objects have a list of right values for each key, one level deep."""
    if not isinstance(value, dict):
        return value
    return {
        name: _pattern(choices, is_optional=LEFT_OUT in choices) for name, choices in value.items()
    }


def _pattern(values: Sequence[Any], *, is_optional: bool) -> Any:
    pattern = values[0] if len(values) == 1 else {"$any_of": list(values)}
    return {"$optional": pattern} if is_optional else pattern


def _read(path: Path) -> list[dict[str, Any]]:
    """JSON, one object a line; what is not there has no right calls."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m evals.suite.berkeley")
    parser.add_argument("data", type=Path, help="the folder bfcl_eval/data")
    parser.add_argument("--count", type=int, default=COUNT, help="samples of each category")
    chosen = parser.parse_args()
    for sample in convert(chosen.data, chosen.count):
        print(json.dumps(sample, ensure_ascii=False))


if __name__ == "__main__":
    main()
