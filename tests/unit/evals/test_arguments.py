"""Arguments of calls, as the checker of the Berkeley set judges them."""

import pytest

from evals.scorers.catalogue import JUDGES
from evals.scorers.verdict import Expectation
from evals.suite.berkeley import convert_sample
from evals.target.answer import Answer, CalledTool

PLAY = {
    "name": "spotify.play",
    "description": "Plays tracks.",
    "parameters": {
        "type": "dict",
        "required": ["artist"],
        "properties": {
            "artist": {"type": "string"},
            "minutes": {"type": "integer"},
            "volume": {"type": "float"},
            "shuffle": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "device": {
                "type": "dict",
                "properties": {"room": {"type": "string"}, "channel": {"type": "integer"}},
            },
            "queue": {"type": "array", "items": {"type": "dict", "properties": {}}},
        },
    },
}


def right(given, expected, *, function=PLAY, calls=1):
    """Whether a call is what the set says is right."""
    question = {"id": "q", "question": [[{"content": "Play!"}]], "function": [function]}
    sample = convert_sample(question, [{"spotify.play": expected}], "simple")
    kind = JUDGES["tool_trajectory"]
    options = {"mode": "unordered", "arguments": "exact", "ignore_punctuation": True}
    judge = kind.build(kind.options.model_validate(options))
    made = tuple([CalledTool(name="spotify.play", arguments=given)] * calls)
    return judge(Answer(content="", calls=made), Expectation(more=sample["expect"])).value == 1


@pytest.mark.parametrize(
    ("given", "expected", "is_right"),
    [
        ({"artist": "Maroon 5"}, {"artist": ["Maroon 5"]}, True),
        ({"artist": "maroon-5"}, {"artist": ["Maroon 5"]}, True),
        ({"artist": "April 1,2024"}, {"artist": ["April 1, 2024"]}, True),
        ({"artist": "it's"}, {"artist": ['it"s']}, True),
        ({"artist": "Maroon"}, {"artist": ["Maroon 5"]}, False),
        ({"artist": ["Maroon 5"]}, {"artist": ["Maroon 5"]}, False),
        ({"artist": "b"}, {"artist": ["a", "b"]}, True),
        # What is not among the right arguments is wrong, and so is what is missing.
        ({"artist": "a", "minutes": 5}, {"artist": ["a"]}, False),
        ({}, {"artist": ["a"]}, False),
        # An empty text among the right values: need not be given, unless the function needs it.
        ({"artist": "a"}, {"artist": ["a"], "minutes": [5, ""]}, True),
        ({"artist": "a", "minutes": 5}, {"artist": ["a"], "minutes": [5, ""]}, True),
        ({"artist": "a", "minutes": 6}, {"artist": ["a"], "minutes": [5, ""]}, False),
        ({"artist": "a", "minutes": ""}, {"artist": ["a"], "minutes": [5, ""]}, False),
        ({"artist": ""}, {"artist": ["a", ""]}, True),
        ({}, {"artist": ["a", ""]}, False),
        # Types: a whole number is one with a point, too, and nothing is true but true.
        ({"artist": "a", "volume": 5}, {"artist": ["a"], "volume": [5.0]}, True),
        ({"artist": "a", "minutes": "5"}, {"artist": ["a"], "minutes": [5]}, False),
        ({"artist": "a", "minutes": True}, {"artist": ["a"], "minutes": [1]}, False),
        ({"artist": "a", "shuffle": True}, {"artist": ["a"], "shuffle": [True]}, True),
        ({"artist": "a", "shuffle": 1}, {"artist": ["a"], "shuffle": [True]}, False),
        # Lists have an order, objects a list of right values for each key.
        (
            {"artist": "a", "tags": ["Rock-Pop", "x"]},
            {"artist": ["a"], "tags": [["rock pop", "x"]]},
            True,
        ),
        ({"artist": "a", "tags": ["x", "y"]}, {"artist": ["a"], "tags": [["y", "x"]]}, False),
        ({"artist": "a", "tags": ["x"]}, {"artist": ["a"], "tags": [["x", "y"]]}, False),
        (
            {"artist": "a", "device": {"room": "Hall"}},
            {"artist": ["a"], "device": [{"room": ["hall", "lobby"], "channel": [1, ""]}]},
            True,
        ),
        (
            {"artist": "a", "device": {"room": "hall", "channel": 2}},
            {"artist": ["a"], "device": [{"room": ["hall"], "channel": [1, ""]}]},
            False,
        ),
        ({"artist": "a", "device": {}}, {"artist": ["a"], "device": [{"room": ["hall"]}]}, False),
        ({"artist": "a", "queue": [{"n": 1}]}, {"artist": ["a"], "queue": [[{"n": [1, 2]}]]}, True),
        (
            {"artist": "a", "queue": [{"n": 3}]},
            {"artist": ["a"], "queue": [[{"n": [1, 2]}]]},
            False,
        ),
    ],
)
def test_arguments_are_right_as_the_set_says(given, expected, is_right):
    assert right(given, expected) is is_right


def test_a_call_too_many_is_wrong():
    assert not right({"artist": "a"}, {"artist": ["a"]}, calls=2)


def test_punctuation_counts_unless_a_suite_says_otherwise():
    kind = JUDGES["tool_trajectory"]
    judge = kind.build(kind.options.model_validate({}))
    answer = Answer(content="", calls=(CalledTool(name="s.a", arguments={"x": "a-b"}),))
    calls = [{"tool": "s.a", "arguments": {"x": "a b", "y": {"$optional": 1}}}]
    assert judge(answer, Expectation(more={"calls": calls})).value == 0
