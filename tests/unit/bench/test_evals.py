"""The benchmark of evals asks for what the scripted model understands."""

from bench.evals import TOKENS, Question, write_suite
from bench.scripted_model import script_in
from evals.suite.loading import find_suite

QUESTION = Question(port=1, key="k")


def test_the_suite_that_is_measured_can_be_used(tmp_path):
    write_suite(tmp_path / "scripted", QUESTION, 3)
    suite = find_suite(str(tmp_path / "scripted"))
    assert [each.id for each in suite.samples] == ["q0", "q1", "q2"]
    assert not any(each.tools for each in suite.samples)


def test_both_sides_ask_the_same():
    assert script_in(QUESTION.text.encode()).tokens == TOKENS
    wave = QUESTION.wave(streams=2, turns=3)
    assert (wave.streams, wave.turns) == (2, 3)
    assert script_in(wave.body.encode()) == script_in(QUESTION.text.encode())
