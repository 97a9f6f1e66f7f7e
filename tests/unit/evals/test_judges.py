"""What each judge says of an answer."""

import asyncio
import math
from inspect import iscoroutine

import pytest

from evals.scorers.catalogue import JUDGES, MEASURES
from evals.scorers.verdict import Expectation
from evals.target.answer import Answer, CalledTool, FoundSource
from tests.fakes.scripted_grader import ScriptedGrader


def judge(name, answer, *target, options=None, **more):
    built = JUDGES[name].judge(options or {}, ScriptedGrader())
    said = built(answer, Expectation(target=target, more=more))
    said = asyncio.run(said) if iscoroutine(said) else said
    return None if said is None else said.value


def says(content):
    return Answer(content=content)


def calls(*made):
    return Answer(content="", calls=tuple(CalledTool(name=n, arguments=a) for n, a in made))


def found(*names, cited=(), unknown=()):
    return Answer(
        content="",
        sources=tuple(FoundSource(filename=n, title=n, page=1, cited=n in cited) for n in names),
        unknown_citations=unknown,
    )


@pytest.mark.parametrize("name", sorted(JUDGES.keys() - MEASURES - {"clean_answer"}))
def test_a_judge_says_nothing_where_a_sample_does_not_ask(name):
    assert judge(name, says("anything")) is None


@pytest.mark.parametrize(
    ("name", "content", "target", "options", "right"),
    [
        ("exact", " Noon\n", ["noon"], {}, 1),
        ("exact", "at noon", ["noon"], {}, 0),
        ("exact", "Noon", ["noon"], {"ignore_case": False}, 0),
        ("includes", "It is 12:30 there.", ["noon", "12:30"], {}, 1),
        ("includes", "It is 12:30 there.", ["noon", "12:30"], {"all": True}, 0),
        ("includes", "1,250 metres", ["1250"], {}, 1),
        ("includes", "perche\u0301", ["perch\u00e9"], {}, 1),
        ("includes", "", ["x"], {}, 0),
    ],
)
def test_texts(name, content, target, options, right):
    assert judge(name, says(content), *target, options=options) == right


def test_that_an_answer_is_a_target_has_nothing_to_do_with_all_of_them():
    with pytest.raises(ValueError, match="all"):
        JUDGES["exact"].judge({"all": True})


def test_patterns_are_found_or_fit_the_whole():
    assert judge("regex", says("call 555-1234"), pattern=r"\d{3}-\d{4}") == 1
    assert judge("regex", says("call 555-1234"), pattern=r"\d+", options={"whole": True}) == 0


@pytest.mark.parametrize(
    ("content", "options", "right"),
    [
        ("It is 6.2137 miles.", {"absolute": 0.001}, 1),
        ("It is 6.22 miles.", {"absolute": 0.001}, 0),
        ("about 6.3", {"relative": 0.02}, 1),
        ("none", {}, 0),
    ],
)
def test_numbers_are_right_within_the_tolerance(content, options, right):
    assert judge("numeric", says(content), number=6.2137, options=options) == right


def test_numbers_are_read_as_english_writes_them():
    assert judge("numeric", says("1,234,567.5 in all"), number=1234567.5) == 1
    assert judge("numeric", says("it is \u221240 °C"), number=-40) == 1
    assert judge("numeric", says("version v2"), number=2) == 0


def test_json_is_held_to_its_schema():
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    assert judge("json_schema", says('Here:\n```json\n{"a": 1}\n```'), schema=schema) == 1
    assert judge("json_schema", says('{"a": "x"}'), schema=schema) == 0
    assert judge("json_schema", says("no JSON"), schema=schema) == 0


A, B = ("s.a", {"x": 1}), ("s.b", {"y": "Tokyo"})
WANT_A, WANT_B = {"tool": "s.a", "arguments": {"x": 1}}, {"tool": "s.b"}


@pytest.mark.parametrize(
    ("mode", "made", "wanted", "right"),
    [
        ("strict", [A, B], [WANT_A, WANT_B], 1),
        ("strict", [B, A], [WANT_A, WANT_B], 0),
        ("strict", [A], [WANT_A, WANT_B], 0),
        ("unordered", [B, A], [WANT_A, WANT_B], 1),
        ("unordered", [A, A], [WANT_A, WANT_B], 0),
        ("subset", [A], [WANT_A, WANT_B], 1),
        ("subset", [A, A], [WANT_A, WANT_B], 0),
        ("subset", [], [WANT_A], 1),
        ("superset", [A, B], [WANT_A], 1),
        ("superset", [B], [WANT_A], 0),
        ("superset", [A], [WANT_A, WANT_A], 0),
    ],
)
def test_trajectories(mode, made, wanted, right):
    assert judge("tool_trajectory", calls(*made), calls=wanted, options={"mode": mode}) == right


@pytest.mark.parametrize("mode", ["strict", "unordered", "subset", "superset"])
def test_where_no_tool_is_needed_any_call_is_wrong(mode):
    options = {"mode": mode}
    assert judge("tool_trajectory", calls(), calls=[], options=options) == 1
    assert judge("tool_trajectory", calls(A), calls=[], options=options) == 0


def test_a_call_that_fits_two_is_given_to_the_one_that_nothing_else_fits():
    wide = {"tool": "s.a"}
    made = [("s.a", {"x": 1}), ("s.a", {"x": 2})]
    options = {"mode": "unordered"}
    assert judge("tool_trajectory", calls(*made), calls=[wide, WANT_A], options=options) == 1


@pytest.mark.parametrize(
    ("how", "given", "right"),
    [
        ("exact", {"x": 1}, 1),
        ("exact", {"x": 1, "z": 2}, 0),
        ("superset", {"x": 1, "z": 2}, 1),
        ("superset", {}, 0),
        ("subset", {}, 1),
        ("subset", {"x": 1, "z": 2}, 0),
        ("ignore", {"x": 9}, 1),
        ("superset", {"x": True}, 0),
        ("superset", {"x": 1.0}, 1),
    ],
)
def test_arguments_of_calls(how, given, right):
    options = {"arguments": how}
    assert judge("tool_trajectory", calls(("s.a", given)), calls=[WANT_A], options=options) == right


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        ("tokyo", 1),
        ({"$any_of": ["Asia/Tokyo", "Tokyo"]}, 1),
        ({"$includes": "TOK"}, 1),
        ({"$regex": "^tok"}, 1),
        ({"$any_of": ["Rome"]}, 0),
        ({"$includes": "o", "other": 1}, 0),
    ],
)
def test_an_argument_may_be_right_in_more_than_one_way(asked, right):
    wanted = [{"tool": "s.b", "arguments": {"y": asked}}]
    assert judge("tool_trajectory", calls(B), calls=wanted) == right


def test_ranks_of_what_was_found():
    answer = found("x", "a", "a", "b")
    assert judge("recall", answer, relevant=["a", "b"], options={"k": 2}) == 0.5
    assert judge("recall", answer, relevant=["a", "b"], options={"k": 3}) == 1
    assert judge("mrr", answer, relevant=["a", "b"]) == 0.5
    assert judge("mrr", answer, relevant=["b"], options={"k": 2}) == 0
    best = 2 + 1 / math.log2(3)
    gain = 2 / math.log2(3) + 1 / math.log2(4)
    assert judge("ndcg", answer, relevant={"a": 2, "b": 1}) == pytest.approx(gain / best)


def test_pages_count_where_they_are_asked_for():
    assert judge("recall", found("a"), relevant=["a#1"]) == 1
    assert judge("recall", found("a"), relevant=["a#2"]) == 0


def test_citations():
    answer = found("a", "b", "c", cited=("a", "b"), unknown=("zz",))
    assert judge("citation_precision", answer, relevant=["a"]) == pytest.approx(1 / 3)
    assert judge("citation_recall", answer, relevant=["a", "c"]) == 0.5
    assert judge("citation_precision", found("a"), relevant=["a"]) == 0


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("recall", (1, 1)),
        ("mrr", (1, 0.5)),
        ("ndcg", (pytest.approx(0.8597, abs=1e-4), pytest.approx(0.6309, abs=1e-4))),
        ("citation_precision", (1, 0.5)),
        ("citation_recall", (1, 1)),
    ],
)
def test_what_has_too_low_a_grade_does_not_count(name, values):
    answer, grades = found("b", "a", cited=("a", "b")), {"a": 2, "b": 1}
    assert judge(name, answer, relevant=grades) == values[0]
    assert judge(name, answer, relevant=grades, options={"grade": 2}) == values[1]


@pytest.mark.parametrize(
    ("content", "refuses"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I couldn\u2019t find anything about it.", True),
        ("The documents do not mention a parking lot.", True),
        ("There is no information about this.", True),
        ("The canteen opens at 12:30.", False),
        ("You cannot park there on Mondays.", False),
    ],
)
def test_refusals(content, refuses):
    assert judge("refusal", says(content), refusal=refuses) == 1
    assert judge("refusal", says(content), refusal=not refuses) == 0


def test_measures_tell_what_was_measured():
    answer = Answer(content="x", seconds=2.5, tokens_in=3, tokens_out=4, steps=2)
    told = {name: judge(name, answer) for name in MEASURES - {"first_token", "word_error_rate"}}
    assert told == {"latency": 2.5, "tokens": 7.0, "steps": 2.0, "tool_calls": 0.0}


def test_what_was_not_measured_is_unscored():
    assert math.isnan(judge("first_token", Answer(content="")))


def test_of_a_conversation_what_its_last_search_found_is_ranked():
    first, second = found("x.md", "y.md"), found("right.md")
    whole = says("Thanks.").after(second.after(first))
    assert len(whole.sources) == 3
    assert judge("mrr", whole, relevant=["right.md"]) == 1
    assert judge("recall", first.after(None), relevant=["x.md"]) == 1
