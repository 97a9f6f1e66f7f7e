"""Fields of forms, as they are filled in at a terminal."""

from typing import Any

import pytest

from server.cli.form_fields import FormField


def field(*, required: bool = False, **schema: Any) -> FormField:
    return FormField("name", schema, is_required=required)


TITLED = [{"const": "a", "title": "Anna"}, {"const": "b", "title": "Bert"}]


@pytest.mark.parametrize(
    ("schema", "typed", "value"),
    [
        ({"type": "string"}, " Ada ", "Ada"),
        ({"type": "string"}, "", None),
        ({"type": "string", "default": "x"}, "", "x"),
        ({"type": "integer", "minimum": 1}, "3", 3),
        ({"type": "number"}, "2.5", 2.5),
        ({"type": "boolean"}, "Yes", True),
        ({"type": "boolean", "default": True}, "n", False),
        ({"type": "string", "enum": ["a", "b"]}, "2", "b"),
        ({"type": "string", "enum": ["a", "b"], "enumNames": ["A", "B"]}, "a", "a"),
        ({"type": "string", "oneOf": TITLED}, "1", "a"),
        ({"type": "array", "items": {"anyOf": TITLED}}, "1, 2", ["a", "b"]),
        ({"type": "array", "items": {"type": "string", "enum": ["x"]}}, "x", ["x"]),
    ],
)
def test_what_is_typed_becomes_what_the_field_takes(schema: dict[str, Any], typed: str, value: Any):
    assert field(**schema).read(typed) == value


@pytest.mark.parametrize(
    ("schema", "typed", "told"),
    [
        ({"type": "string", "required": True}, " ", "needed"),
        ({"type": "string", "minLength": 2}, "a", "2 to any number of characters"),
        ({"type": "string", "maxLength": 2}, "abc", "0 to 2"),
        ({"type": "integer"}, "1.5", "not such a number"),
        ({"type": "integer", "minimum": 1}, "0", "at least 1"),
        ({"type": "number", "maximum": 9}, "10", "at most 9"),
        ({"type": "boolean"}, "perhaps", "yes or no"),
        ({"type": "string", "oneOf": TITLED}, "3", "from 1 to 2"),
        ({"type": "array", "minItems": 2, "items": {"anyOf": TITLED}}, "1", "Choose 2"),
    ],
)
def test_what_does_not_fit_is_told_why(schema: dict[str, Any], typed: str, told: str):
    with pytest.raises(ValueError, match=told):
        field(**schema).read(typed)


def test_the_prompt_says_what_is_wanted():
    assert field(type="integer", title="Seats", required=True).prompt == "Seats (a whole number)"
    assert field(type="string", format="email").prompt == "name (email, may be empty)"
    assert field(type="boolean", default=False).prompt == "name (yes or no, empty: no)"
    choice = field(type="string", oneOf=TITLED, default="b", description="Who?")
    assert choice.prompt == "name (a number of these, empty: Bert)"
    assert choice.explanation == ["Who?", "1) Anna (a)", "2) Bert (b)"]
    several = field(type="array", items={"anyOf": TITLED}, default=["a"])
    assert several.prompt == "name (numbers, separated by commas, empty: Anna)"
