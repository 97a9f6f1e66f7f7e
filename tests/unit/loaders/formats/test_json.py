"""JSON: every value keeps its name, and numbers stay as they are written."""

import pytest

from loaders.document import Element, ElementKind
from loaders.errors import UnreadableDocument
from loaders.formats import json


def _pairs(elements: list[Element]) -> list[tuple[str, str]]:
    return [(str(each.kind), each.text) for each in elements]


def test_a_list_of_flat_records_is_a_table() -> None:
    [table] = json.load('[{"id": "007", "price": 1.50}, {"id": "8", "note": null, "price": 2}]')

    assert table.kind is ElementKind.TABLE
    assert table.text == "id | price | note\n007 | 1.50 | \n8 | 2 | null"


def test_an_object_becomes_lines_that_say_where_a_value_stands() -> None:
    elements = json.load(
        '{"name": "Anna", "tags": ["a", "b"], "address": {"town": "Rome", "zip": "00100"},'
        ' "is_open": true}'
    )

    assert _pairs(elements) == [
        ("text", "name: Anna\ntags: a, b"),
        ("text", "address.town: Rome\naddress.zip: 00100"),
        ("text", "is_open: true"),
    ]


def test_lists_of_records_stand_last_each_under_its_name() -> None:
    elements = json.load('{"people": [{"id": 1}, {"id": 2}], "of": "2024"}')

    assert _pairs(elements) == [
        ("text", "of: 2024"),
        ("heading", "people"),
        ("table", "id\n1\n2"),
    ]


def test_records_with_members_of_their_own_are_one_element_each() -> None:
    elements = json.load('[{"id": 1, "at": {"town": "Rome"}}, {"id": 2, "at": {"town": "Oslo"}}]')

    assert _pairs(elements) == [
        ("text", "id: 1\nat.town: Rome"),
        ("text", "id: 2\nat.town: Oslo"),
    ]


def test_records_with_long_texts_are_no_table() -> None:
    story = "A long story. " * 40

    assert [each.kind for each in json.load(f'[{{"id": 1, "story": "{story}"}}, {{"id": 2}}]')] == [
        ElementKind.TEXT,
        ElementKind.TEXT,
    ]


def test_names_that_stand_twice_are_both_kept() -> None:
    assert _pairs(json.load('{"a": 1, "a": 2}')) == [("text", "a: 1\na: 2")]
    assert _pairs(json.load('[{"a": 1, "a": 2}]')) == [("text", "a: 1\na: 2")]


@pytest.mark.parametrize("number", ["1e400", "-0.10", "9" * 20_000, "1E+2", "12345678901234567890"])
def test_a_number_stays_as_it_is_written(number: str) -> None:
    assert json.load(f'{{"n": {number}}}')[0].text == f"n: {number}"


@pytest.mark.parametrize("text", ["{}", "[]", "[[], {}]"])
def test_nothing_in_it_gives_nothing(text: str) -> None:
    assert [each for each in json.load(text) if each.text.strip()] == []


def test_lines_of_records_are_one_table() -> None:
    [table] = json.load_lines('{"a": 1, "b": 2}\n\n{"a": 3, "b": 4}\n')

    assert table.text == "a | b\n1 | 2\n3 | 4"


def test_a_line_that_breaks_off_is_named() -> None:
    with pytest.raises(UnreadableDocument, match="line 3"):
        json.load_lines('{"a": 1}\n\n{"a": \n{"a": 2}')


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 100_000, id="open brackets"),
        pytest.param("[" * 100_000 + "]" * 100_000, id="a deep list"),
        pytest.param('{"a":' * 500 + "1" + "}" * 500, id="a deep object"),
        pytest.param('[{"a":' * 200 + "1" + "}]" * 200, id="deep records"),
        pytest.param('{"a": 1', id="broken off"),
        pytest.param("{'a': 1}", id="the quotation marks of Python"),
        pytest.param('{"a": "\t\x01"}', id="a control character"),
    ],
)
def test_what_is_damaged_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(UnreadableDocument):
        json.load(text)


def test_wide_lists_of_lists_keep_every_value() -> None:
    assert json.load("[[1, 2], [3, [4, 5]]]")[-1].text == "[0]: 3\n[1]: 4, 5"
