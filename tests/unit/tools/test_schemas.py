from typing import Any

import pytest
from langchain_core.utils.function_calling import convert_to_openai_function

from tools.schemas import simplify_schema


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


BOMB = {
    "properties": {"a": {"$ref": "#/$defs/0"}},
    "$defs": {
        str(n): {
            "properties": {"x": {"$ref": f"#/$defs/{n + 1}"}, "y": {"$ref": f"#/$defs/{n + 1}"}}
        }
        for n in range(40)
    }
    | {"40": {}},
}


def test_a_plain_schema_stays_as_it_is() -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "d"}},
        "required": ["city"],
    }

    assert simplify_schema(schema) == schema


def test_references_are_filled_in() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A", "description": "d"}},
        "$defs": {"A": {"type": "string"}},
    }

    assert simplify_schema(schema)["properties"] == {"a": {"type": "string", "description": "d"}}


def test_a_type_that_contains_itself_is_described_once() -> None:
    tree = {"type": "object", "properties": {"child": {"$ref": "#/$defs/T"}}}

    simple = simplify_schema({"properties": {"t": {"$ref": "#/$defs/T"}}, "$defs": {"T": tree}})

    assert simple["properties"]["t"] == {"type": "object", "properties": {"child": {}}}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "array", "items": {}},
        {"properties": None, "required": None},
        {"properties": {"a": True, "b": None, "c": 5}},
        {"properties": {"a": {"$ref": "#/$defs/Missing"}}},
        {"properties": {"a": {"$ref": "http://example.com/schema.json"}}},
        {"properties": {"a": {"$ref": 5}}},
        {"properties": {"a": {"$ref": "#"}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": {}}}}},
        nested(20),
        nested(5_000),
        BOMB,
    ],
)
def test_any_schema_becomes_one_that_a_model_can_be_told(schema: dict[str, Any]) -> None:
    simple = simplify_schema(schema)

    assert simple["type"] == "object"
    assert all(isinstance(value, dict) for value in simple["properties"].values())
    assert convert_to_openai_function({"title": "t", "description": "d", **simple})
