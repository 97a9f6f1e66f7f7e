"""Functions that samples bring: how they are written, and what is said of faults."""

import json

import pytest

from evals.errors import SuiteInvalid
from evals.suite.samples import read_samples

WEATHER = {"name": "weather", "parameters": {"type": "object"}}
SAMPLE = {"id": "one", "input": "Rome?"}


def read(folder, functions, **more):
    path = folder / "samples.jsonl"
    path.write_text(json.dumps(SAMPLE | {"functions": functions} | more), "utf-8")
    [sample] = read_samples(path)
    return sample


def test_a_function_needs_no_more_than_a_name(tmp_path):
    [function] = read(tmp_path, [{"name": "now"}]).functions
    assert function.parameters == {"type": "object"}
    assert (function.result, function.read_only) == ({"ok": True}, True)


@pytest.mark.parametrize(
    ("name", "text"),
    [("functions.json", json.dumps([WEATHER])), ("functions.yaml", "- name: weather\n")],
)
def test_a_file_of_functions_is_found_beside_the_one_that_names_it(tmp_path, name, text):
    (tmp_path / name).write_text(text, "utf-8")
    assert [each.name for each in read(tmp_path, name).functions] == ["weather"]


@pytest.mark.parametrize(
    ("functions", "more", "told"),
    [
        ([{"name": "a", "parameters": {"type": "string"}}], {}, "begin it with type: object"),
        ([{"name": "a", "parameters": {"type": "object", "required": 1}}], {}, "no JSON schema"),
        ([{"name": "a", "descr": "x"}], {}, "functions.0.descr is not known here"),
        ([{"name": "get.it"}, {"name": "get_it"}], {}, "look the same to a model: rename one"),
        ([WEATHER], {"user": "anna"}, "which a user of its own has: remove user"),
        ("gone.json", {}, "gone.json: functions cannot be read"),
    ],
)
def test_a_fault_is_told_with_its_remedy(tmp_path, functions, more, told):
    with pytest.raises(SuiteInvalid) as refused:
        read(tmp_path, functions, **more)
    assert told in str(refused.value)
