import pytest

from graph.llm.embedded.argument_prompt import begin_answer, write_question
from graph.llm.embedded.argument_rules import copy_value, is_asked, is_callable, stands_in
from graph.llm.embedded.numbers_in_text import find_numbers, mentions_number
from graph.llm.embedded.request_parts import split_request
from graph.llm.embedded.tool_schema import Tool, ToolParameter, read_tools
from graph.llm.embedded.value_grammar import grammar_for
from graph.llm.embedded.zone_names import is_zone_parameter, zones_for


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Convert 42 km to miles", ["42"]),
        ("98.6 fahrenheit", ["98.6"]),
        ("1,250 grams", ["1250"]),
        ("120km/h and 5'", ["120", "5"]),
        ("-40 celsius", ["-40"]),
        ("the X200 pump, version 1.2.3", []),
        ("How long is 26.2 miles?", ["26.2"]),
        ("It is 7.", ["7"]),
        ("no number", []),
        ("5 and 5.0 and 6", ["5", "6"]),
    ],
)
def test_numbers_are_found_as_people_write_them(text, numbers):
    assert find_numbers(text) == numbers


def test_number_words_count_as_a_quantity():
    assert mentions_number("How many minutes are two hours?")
    assert mentions_number("half a mile in km")
    assert not mentions_number("What time is it?")


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ("What time is it in Tokyo?", ["What time is it in Tokyo?"]),
        (
            "Convert 10 kg to pounds and tell me the time in Paris.",
            ["Convert 10 kg to pounds", "tell me the time in Paris."],
        ),
        ("Is it late there? What time is it?", ["Is it late there?", "What time is it?"]),
        ("bread and butter", ["bread and butter"]),
    ],
)
def test_messages_are_split_where_a_new_request_begins(message, parts):
    assert split_request(message) == parts


def tool(**parameters):
    required = [name for name, schema in parameters.items() if not schema.pop("optional", False)]
    (read,) = read_tools(
        [
            {
                "function": {
                    "name": "server__tool",
                    "description": "Do something.",
                    "parameters": {"properties": parameters, "required": required},
                }
            }
        ]
    )
    return read


def only(read: Tool) -> ToolParameter:
    (parameter,) = read.parameters
    return parameter


def test_a_tool_without_parameters_is_read():
    (read,) = read_tools([{"function": {"name": "ping"}}])
    assert read.parameters == ()
    assert read.meaning == "ping"


def test_a_choice_of_types_is_read_as_the_first_that_is_not_null():
    assert only(tool(x={"anyOf": [{"type": "null"}, {"type": "string"}]})).kind == "string"
    assert only(tool(x={"type": ["null", "integer"]})).kind == "integer"
    assert only(tool(x={})).kind == "any"


def test_a_tool_that_needs_a_number_is_not_called_without_one():
    assert not is_callable(tool(value={"type": "number"}), "What is love?")
    assert is_callable(tool(value={"type": "number"}), "Convert 5 km")


def test_a_tool_that_needs_an_id_is_not_called_without_one():
    assert not is_callable(tool(source_id={"type": "string"}), "Read me the source")


def test_a_tool_that_needs_an_address_is_not_called_without_one():
    fetch = tool(url={"type": "string"})
    assert not is_callable(fetch, "Open the page")
    assert copy_value(only(fetch), "Open https://example.org/a.", fetch.parameters) == (
        "https://example.org/a"
    )


def test_a_search_takes_the_message_as_it_is():
    search = tool(query={"type": "string"})
    assert copy_value(only(search), "Who is it?", search.parameters) == "Who is it?"


def test_a_single_number_is_copied_and_two_are_not():
    convert = tool(value={"type": "number"})
    assert copy_value(only(convert), "98.6 degrees", convert.parameters) == 98.6
    assert copy_value(only(convert), "2 or 3 degrees", convert.parameters) is None


def test_optional_arguments_are_looked_for_only_where_they_can_be_found():
    assert is_asked(only(tool(city={"type": "string", "optional": True})), "in Rome")
    assert not is_asked(only(tool(limit={"type": "integer", "optional": True})), "in Rome")
    assert not is_asked(only(tool(deep={"type": "boolean", "optional": True})), "in Rome")


def test_a_value_stands_in_the_message_when_a_word_of_it_does():
    city = only(tool(city={"type": "string"}))
    assert stands_in("Europe/Rome", "time in rome", city)
    assert not stands_in("Tokyo", "What time is it?", city)
    value = only(tool(value={"type": "number"}))
    assert stands_in(42, "Convert 42 km", value)
    assert not stands_in(7, "Convert 42 km", value)


def test_examples_in_a_description_are_not_shown_to_the_model():
    read = tool(zone={"type": "string", "description": "City, for example Tokyo or Europe/Rome."})
    question = write_question(read, read.parameters, "time in Oslo").text
    assert "Tokyo" not in question
    assert "zone: City." in question


def test_an_answer_begins_with_the_values_that_are_known():
    begun = begin_answer({"value": 42, "from": "km"}, only(tool(to={"type": "string"})))
    assert begun == '{"value": 42, "from": "km", "to":'


def test_choices_become_a_grammar_of_json_values():
    assert grammar_for("string", ["a", 'say "b"']) == (
        r'root ::= " "? ("\"a\"" | "\"say \\\"b\\\"\"")'
    )
    assert grammar_for("object", None) is None


def test_zones_are_narrowed_to_the_cities_that_are_named():
    zone = only(tool(timezone={"type": "string", "description": "IANA timezone name"}))
    assert is_zone_parameter(zone)
    assert zones_for("What time is it in New York?") == ["America/New_York"]
    assert len(zones_for("What time is it in Milan?")) > 300
