import pytest

from graph.llm.embedded.sampling import (
    ANSWER_MAX_TOKENS,
    OptionRefused,
    read_format,
    read_options,
)


def test_without_options_the_model_does_not_gamble():
    options = read_options(None, room=2000)
    assert options["temperature"] == 0
    assert options["n_predict"] == ANSWER_MAX_TOKENS


def test_options_of_ollama_are_translated():
    given = {"temperature": 0.7, "seed": 3, "num_predict": 20, "stop": "\n", "num_ctx": 99}
    options = read_options(given, room=2000)
    assert options == {
        "temperature": 0.7,
        "repeat_penalty": 1.05,
        "seed": 3,
        "n_predict": 20,
        "stop": ["\n"],
    }


@pytest.mark.parametrize(("wanted", "given"), [(5000, 2000), (-1, 2000), (7, 7)])
def test_an_answer_never_outgrows_its_room(wanted, given):
    assert read_options({"num_predict": wanted}, room=2000)["n_predict"] == given


@pytest.mark.parametrize(
    "options", [{"temperature": "hot"}, {"seed": True}, {"stop": [1]}, {"num_predict": 1.5}]
)
def test_options_of_the_wrong_type_are_refused(options):
    with pytest.raises(OptionRefused):
        read_options(options, room=2000)


def test_a_format_becomes_a_schema():
    assert read_format("json") == {"json_schema": {"type": "object"}}
    assert read_format({"type": "array"}) == {"json_schema": {"type": "array"}}
    assert read_format(None) == read_format("") == {}


@pytest.mark.parametrize(
    "wanted",
    [
        {"type": "nonsense"},
        {"type": 3},
        {"properties": 3},
        {"properties": {"a": {"type": "text"}}},
        {"items": []},
    ],
)
def test_what_is_no_schema_is_refused(wanted):
    with pytest.raises(OptionRefused):
        read_format(wanted)
