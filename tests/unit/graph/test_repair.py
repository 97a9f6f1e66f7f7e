import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage

from graph.repair import (
    find_printed_calls,
    may_start_call,
    parse_loosely,
    repair_calls,
)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def _knows_all(name: str) -> bool:
    return True


@given(st.dictionaries(st.text(), JSON_VALUES))
def test_proper_json_is_read_as_it_is(value):
    assert parse_loosely(json.dumps(value)) == value


@given(st.text())
def test_nothing_that_a_model_writes_breaks_the_reader(text):
    parse_loosely(text)
    find_printed_calls(text, _knows_all)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2', {"a": [1, 2]}),
        ('{"a": "cut', {"a": "cut"}),
        ('{"a": 1}}', {"a": 1}),
        ('{"a": [1, 2,], }', {"a": [1, 2]}),
        ("{'a': True, 'b': None}", {"a": True, "b": None}),
        ('{"a": "}]\\""', {"a": '}]"'}),
        ("[" * 100_000, None),
        ("no json", None),
    ],
)
def test_json_that_models_get_wrong_is_read_as_they_meant_it(text, value):
    assert parse_loosely(text) == value


def test_a_text_that_grows_into_a_call_is_never_ruled_out():
    call = '{"name": "add", "arguments": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}}'

    assert all(may_start_call(call[:length]) for length in range(len(call) + 1))
    assert all(may_start_call("```json\n" + call[:length]) for length in range(len(call) + 1))
    assert all(may_start_call("<tool_call>\n" + call[:length]) for length in range(len(call) + 1))


@pytest.mark.parametrize("text", ["Hello", "I {", "<b>", "```python\n", "1. [", "` {"])
def test_plain_text_is_ruled_out_at_once(text):
    assert not may_start_call(text)


@pytest.mark.parametrize("text", ['{"temperature": 21', "[1, 2, 3", '```json\n{"city": '])
def test_other_json_is_ruled_out_once_its_first_key_is_there(text):
    assert not may_start_call(text + " " * 60)


def test_calls_are_given_ids_of_their_own():
    text = '{"name": "a", "arguments": {}}\n{"name": "a", "arguments": {}}'

    first, second = repair_calls(AIMessage(text), _knows_all).tool_calls

    assert first["id"] != second["id"]
    assert re.fullmatch(r"[A-Za-z0-9]{9}", first["id"])


def test_a_message_with_calls_is_left_alone():
    message = AIMessage(
        '{"name": "x", "arguments": {}}', tool_calls=[{"name": "y", "args": {}, "id": "1"}]
    )

    assert repair_calls(message, _knows_all) is message


def test_a_call_without_a_name_stays_invalid():
    broken = {"name": None, "args": "{}", "id": "1", "error": None, "type": "invalid_tool_call"}

    repaired = repair_calls(AIMessage("", invalid_tool_calls=[broken]), _knows_all)

    assert repaired.invalid_tool_calls
    assert not repaired.tool_calls


def test_calls_that_a_server_did_not_number_are_told_apart():
    calls = [{"name": "y", "args": {}, "id": ""}, {"name": "y", "args": {}, "id": None}]

    repaired = repair_calls(AIMessage("", tool_calls=calls), _knows_all)

    assert len({call["id"] for call in repaired.tool_calls} - {"", None}) == 2


@pytest.mark.parametrize("given", ["call_0", "call_abcdefghi12", "what.the.user.said", "Abcdef789"])
def test_no_id_of_the_models_is_kept(given):
    call = {"name": "y", "args": {}, "id": given}
    broken = {"name": "y", "args": "no", "id": given, "error": None, "type": "invalid_tool_call"}
    message = AIMessage("", tool_calls=[call, call], invalid_tool_calls=[broken])

    repaired = repair_calls(message, _knows_all)

    ids = {each["id"] for each in (*repaired.tool_calls, *repaired.invalid_tool_calls)}
    assert len(ids - {given}) == 3
