"""Samples of the Berkeley set in the form of a suite."""

import json

import pytest
from jsonschema import Draft202012Validator

from evals.suite.berkeley import CATEGORIES, convert, convert_schema, spread
from evals.suite.loading import find_suite
from evals.suite.schema import SampleSpec

FUNCTION = {
    "name": "math.hypot",
    "description": "The longest side.",
    "parameters": {
        "type": "dict",
        "properties": {
            "x": {"type": "float", "description": "One side."},
            "rest": {"type": "tuple", "items": {"type": "float"}},
            "note": {"type": "any", "optional": True},
        },
        "required": ["x"],
    },
}


def write(folder, name, lines):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(json.dumps(each) for each in lines), "utf-8")


def question(number):
    said = [{"role": "user", "content": f"How long is {number}?"}]
    return {"id": f"q{number}", "question": [said], "function": [FUNCTION]}


@pytest.fixture
def data(tmp_path):
    """Four questions of each category; those of irrelevance have no right calls."""
    for tag, name in CATEGORIES.items():
        write(tmp_path, f"BFCL_v4_{name}.json", [question(number) for number in range(4)])
        if tag != "irrelevance":
            answers = [
                {"id": f"q{number}", "ground_truth": [{"math.hypot": {"x": [number, ""]}}]}
                for number in range(4)
            ]
            write(tmp_path, f"possible_answer/BFCL_v4_{name}.json", answers)
    return tmp_path


def test_samples_of_each_category_are_evenly_far_apart(data):
    samples = list(convert(data, 2))
    assert [(each["tags"], each["id"]) for each in samples] == [
        ([tag], name) for tag in CATEGORIES for name in ("q0", "q2")
    ]
    assert spread(range(10), 3) == [0, 3, 6]
    assert spread(range(2), 3) == [0, 1]


def test_a_sample_brings_its_functions_and_the_right_calls(data):
    samples = {each["tags"][0]: SampleSpec.model_validate(each) for each in convert(data, 1)}
    simple = samples["simple"]
    assert simple.input == ["How long is 0?"]
    assert [each.name for each in simple.functions] == ["math.hypot"]
    [call] = simple.expect.calls
    assert (call.tool, call.arguments) == ("math.hypot", {"x": 0})  # needed, so not left out
    assert samples["irrelevance"].expect.calls == []


def test_types_are_those_of_json_schema():
    schema = convert_schema(FUNCTION["parameters"])
    Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    assert schema["properties"]["x"] == {"type": "number", "description": "One side."}
    assert schema["properties"]["rest"] == {"type": "array", "items": {"type": "number"}}
    assert schema["properties"]["note"] == {"type": "string"}


def test_the_suite_has_as_many_samples_of_each_category_and_no_threshold_over_all():
    suite = find_suite("tools")
    tags = [tag for sample in suite.samples for tag in sample.tags]
    assert {tags.count(tag) for tag in CATEGORIES} == {len(tags) // len(CATEGORIES)}
    # A model that never calls anything would keep one.
    assert all("@" in metric for metric in suite.spec.thresholds)
    assert "tool_trajectory@irrelevance" in suite.spec.thresholds
