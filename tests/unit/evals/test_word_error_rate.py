"""How far what was understood is from what was said."""

import pytest

from evals.scorers.behaviour import MeasureOptions
from evals.scorers.speech import word_error_rate
from evals.scorers.verdict import Expectation
from evals.target.answer import Answer

SAID = "Mr. Dashwood was not an ill-disposed young man."


def rate(heard, said=SAID):
    judge = word_error_rate(MeasureOptions())
    return judge(Answer(content="", transcript=heard), Expectation(more={"transcript": said}))


@pytest.mark.parametrize(
    ("heard", "value"),
    [
        ("mister dashwood was not an ill disposed young man", 0),
        ("Mr Dashwood was NOT an ill-disposed \u201cyoung\u201d man!", 0),
        ("Mr Dashwood was an ill disposed young man", 1 / 9),
        ("Mr Dashwood was not an ill disposed young young man", 1 / 9),
        ("Mr Dashwood was not an ill exposed young man", 1 / 9),
        ("", 1),
        (" ".join(["no"] * 18), 2),
    ],
)
def test_words_are_counted_that_are_wrong_missing_or_too_many(heard, value):
    assert rate(heard).value == pytest.approx(value)


def test_what_was_heard_is_told():
    assert rate("nothing of it").explanation == "heard 'nothing of it'"


def test_words_of_any_script_and_with_apostrophes_are_words():
    assert (
        rate(
            "l\u2019\u00e9t\u00e9 c'est \u043b\u0435\u0442\u043e",
            "L'\u00c9T\u00c9, c\u2019est \u041b\u0415\u0422\u041e",
        ).value
        == 0
    )


def test_a_sample_that_tells_no_words_is_not_scored():
    judge = word_error_rate(MeasureOptions())
    assert judge(Answer(content="", transcript="x"), Expectation()) is None
