"""What of a stranger's form and address a person is shown."""

from typing import Any

import pytest

from graph.approvals import ProposedCall
from graph.hearing import PersonQuestion
from server.questions.addresses import read_address
from server.questions.forms import CHOICES_MAX, FIELDS_MAX, read_form
from server.questions.wording import MESSAGE_MAX_CHARS, as_shown
from tools.errors import RequestDeclined

CALL = ProposedCall(call_id="1", tool="odd.tool", args={}, read_only=False, repeatable=False)


def form(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields}


def test_every_kind_of_field_of_the_protocol_is_shown():
    fields: dict[str, Any] = {
        "text": {"type": "string", "minLength": 1, "maxLength": 9, "format": "email"},
        "number": {"type": "number", "minimum": 0, "maximum": 1.5, "default": 0.5},
        "whole": {"type": "integer", "default": 3},
        "yes": {"type": "boolean", "default": True},
        "old": {"type": "string", "enum": ["a", "b"], "enumNames": ["A", "B"], "default": "a"},
        "one": {"type": "string", "oneOf": [{"const": "a", "title": "A"}]},
        "some": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {"anyOf": [{"const": "a", "title": "A"}]},
            "default": ["a"],
        },
        "listed": {
            "type": "array",
            "maxItems": 2,
            "items": {"type": "string", "enum": ["x", "y"]},
        },
    }
    shown = read_form({**form(**fields), "required": ["text"]})
    assert shown == {**form(**fields), "required": ["text"]}


@pytest.mark.parametrize(("given", "shown"), [(None, 2), (1, 1), (1e15, 2)])
def test_nobody_chooses_more_than_there_is_to_choose_from(given: float | None, shown: int):
    field = {"type": "array", "items": {"type": "string", "enum": ["x", "y"]}}
    if given is not None:
        field["maxItems"] = given
    assert read_form(form(some=field))["properties"]["some"]["maxItems"] == shown


def test_what_the_protocol_does_not_know_is_left_out_and_texts_are_cleaned():
    shown = read_form(
        {
            "type": "object",
            "$defs": {"a": {}},
            "properties": {
                "name": {
                    "type": "string",
                    "title": "Na\u202eme\x07",
                    "description": "d" * 5_000,
                    "pattern": "(a+)+$",
                    "format": "made-up",
                    "$ref": "#/$defs/a",
                }
            },
        }
    )
    field = shown["properties"]["name"]
    assert field == {"type": "string", "title": "Name", "description": "d" * 1_000}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"properties": [1]},
        form(deep={"type": "object", "properties": {}}),
        form(ref={"$ref": "#/x"}),
        form(kind={"type": ["string", "null"]}),
        form(kind="string"),
        {"type": "object", "properties": {"a\u200bb": {"type": "string"}}},
        form(**{"n" * 500: {"type": "string"}}),
        form(hidden={"type": "string", "enum": ["yes\u2062"]}),
        form(none={"type": "string", "enum": []}),
        form(many={"type": "string", "enum": ["x"] * (CHOICES_MAX + 1)}),
        form(numbers={"type": "string", "enum": [1, 2]}),
        form(one={"type": "string", "oneOf": ["a"]}),
        form(free={"type": "array", "items": {"type": "string"}}),
        form(limit={"type": "integer", "minimum": "1"}),
        form(limit={"type": "number", "maximum": 1e300}),
        form(default={"type": "integer", "default": "3"}),
        form(default={"type": "integer", "default": True}),
        form(**{f"f{number}": {"type": "string"} for number in range(FIELDS_MAX + 1)}),
        {**form(a={"type": "string"}), "required": ["b"]},
        {**form(a={"type": "string"}), "required": "a"},
    ],
)
def test_what_no_person_could_fill_in_is_shown_to_nobody(schema: dict[str, Any]):
    with pytest.raises(RequestDeclined, match="This form cannot be shown"):
        read_form(schema)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/sign?a=1#b",
        "https://xn--bcher-kva.example/",
        "http://127.0.0.1:8080/cb",
        "http://localhost/x",
        "http://[::1]:1/",
    ],
)
def test_plain_addresses_are_shown(url: str):
    assert read_address(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://example.org/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "https://bank.example@evil.example/",
        "https://b\u00fccher.example/",
        "https://example.org/\u202egpj",
        "https://example.org/a b",
        "https://example.org/\n",
        "https:///nowhere",
        "https://[::1/",
        "https://example.org:port/",
        "http://127.0.0.1.evil.example/",
        "\\\\host\\share",
    ],
)
def test_other_addresses_are_not(url: str):
    with pytest.raises(RequestDeclined):
        read_address(url)


def test_a_long_question_says_how_much_of_it_is_not_shown():
    asked = PersonQuestion(kind="sampling", message="x" * (MESSAGE_MAX_CHARS + 5))
    shown = as_shown(CALL, asked)
    assert shown.message.endswith("(5 more characters are not shown)")
    assert (shown.server, shown.schema, shown.url) == ("odd", None, None)


def test_a_question_of_which_nothing_shows_is_put_to_nobody():
    with pytest.raises(RequestDeclined):
        as_shown(CALL, PersonQuestion(kind="form", message="\u200b\u2060 "))
