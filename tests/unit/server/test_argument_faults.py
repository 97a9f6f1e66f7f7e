"""Arguments that a person edited, held against the schema of a foreign tool."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from server import argument_faults
from server.argument_faults import faults_in, find_faults
from tools.schema_faults import FAULTS_MAX
from tools.weight import LIGHT_CHARS

SCHEMA = {
    "type": "object",
    "properties": {
        "to": {"type": "string", "pattern": "^(a+)+$"},
        "count": {"type": "integer", "maximum": 5},
        "mode": {"enum": ["fast", "slow"]},
        "pattern": {"type": "string"},
    },
    "required": ["to", "count"],
    "additionalProperties": False,
}


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done in threads, by name."""
    done: list[str] = []
    in_thread = asyncio.to_thread

    async def note(work: Callable[..., Any], *given: Any) -> Any:
        done.append(work.__name__)
        return await in_thread(work, *given)

    monkeypatch.setattr(asyncio, "to_thread", note)
    return done


def test_what_fits_has_no_faults():
    assert faults_in({"to": "a", "count": 1, "mode": "fast", "pattern": "x"}, SCHEMA) == []


def test_a_fault_names_the_argument_and_what_is_expected_but_no_value():
    faults = faults_in({"to": 7, "count": 9, "mode": "my-secret"}, SCHEMA)
    assert faults == [
        {"argument": "to", "problem": "does not fit 'type': string"},
        {"argument": "count", "problem": "does not fit 'maximum': 5"},
        {"argument": "mode", "problem": "does not fit 'enum': ['fast', 'slow']"},
    ]


def test_what_lacks_is_named_once():
    assert faults_in({}, SCHEMA) == [{"argument": "", "problem": "lacks to, count"}]


def test_an_argument_that_the_tool_does_not_know_is_a_fault():
    assert faults_in({"to": "a", "count": 1, "my-secret": 1}, SCHEMA) == [
        {"argument": "", "problem": "does not fit 'additionalProperties': False"}
    ]


@pytest.mark.timeout(20)
def test_a_regular_expression_of_a_foreign_server_is_never_tried():
    text = "a" * 60 + "!"
    schema = {**SCHEMA, "patternProperties": {"^(b+)+$": {"type": "string"}}}
    assert faults_in({"to": text, "count": 1}, SCHEMA) == []
    assert faults_in({"to": text, "count": 1, "b" * 60 + "!": 1}, schema) == []


def test_no_more_faults_are_told_than_anybody_reads():
    schema = {"type": "object", "properties": {str(n): {"type": "string"} for n in range(50)}}
    assert len(faults_in({str(n): n for n in range(50)}, schema)) == FAULTS_MAX


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#"},
        {"type": "no type"},
        {"properties": 5},
        {"required": 5},
        {"minimum": "a", "properties": {"a": {"minimum": "b"}}},
    ],
)
def test_what_is_no_schema_lets_nothing_through(schema: dict[str, object]):
    assert faults_in({"a": 1}, schema) == [
        {"argument": "", "problem": "the tool's schema cannot be read"}
    ]


async def test_small_arguments_are_looked_at_here_and_large_ones_in_a_thread(
    apart: list[str],
):
    assert await find_faults({"to": "a", "count": 9}, SCHEMA) == [
        {"argument": "count", "problem": "does not fit 'maximum': 5"}
    ]
    assert apart == []
    assert await find_faults({"to": "a" * LIGHT_CHARS, "count": 1}, SCHEMA) == []
    large = {**SCHEMA, "description": "x" * LIGHT_CHARS}
    assert await find_faults({"to": "a", "count": 1}, large) == []
    assert apart == ["faults_in"] * 2


async def test_small_arguments_get_more_time_where_a_glance_does_not_suffice(
    apart: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(argument_faults, "GLANCE_SECONDS", -1.0)
    assert await find_faults({"to": "a"}, SCHEMA) == [{"argument": "", "problem": "lacks count"}]
    assert apart == ["faults_in"]
