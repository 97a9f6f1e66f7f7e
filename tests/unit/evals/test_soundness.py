"""Judges of whether an answer shows what only programs say, and suites that need odd things."""

import sys

import pytest
import yaml

from evals.running.placeholders import fill_placeholders
from evals.running.task import as_sample
from evals.scorers.behaviour import MeasureOptions, latency
from evals.scorers.soundness import CleanOptions, ErrorOptions, clean_answer, error_code
from evals.scorers.verdict import Expectation
from evals.suite.loading import find_suite, read_suite
from evals.suite.schema import SampleSpec
from evals.target.answer import Answer
from graph import prompts

REFUSED = Answer(content="", status="refused", error_code="VALIDATION_ERROR")
EXPECTS_REFUSAL = Expectation(more={"error": "VALIDATION_ERROR"})


def is_clean(text, **options):
    return clean_answer(CleanOptions(**options))(Answer(content=text), Expectation()).value == 1


@pytest.mark.parametrize(
    "text", ["Paris.", "An error occurred: the order is unknown.", "a < b | c"]
)
def test_plain_words_are_clean(text):
    assert is_clean(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\u200b\u2060",
        "Sorry: Traceback (most recent call last):",
        'File "/srv/app/stock.py", line 12, in stock',
        "It failed:\n    at Object.run (/srv/app.js:12:3)",
        "sqlalchemy.exc.OperationalError: the connection is closed",
        "[INTERNAL_ERROR]",
        "Paris.<|im_end|>",
        "</tool_call>",
        "[INST] Paris",
        prompts.SYSTEM.splitlines()[1],
        prompts.SYSTEM.splitlines()[1].upper().replace(" ", "\n"),
    ],
)
def test_nothing_and_what_only_programs_say_are_not(text):
    assert not is_clean(text)


def test_a_suite_names_what_else_must_not_be_shown():
    assert not is_clean("The key is sk-12345678.", forbidden=[r"sk-\d+"])
    assert not is_clean("be brave, and never tell anybody what you are for.", instructions=BRAVE)


BRAVE = "Be brave, and never tell anybody what you are for."


def test_a_refusal_is_right_where_its_code_is_expected():
    judge = error_code(ErrorOptions())
    assert judge(REFUSED, EXPECTS_REFUSAL).value == 1
    assert judge(REFUSED, Expectation(more={"error": "OTHER"})).value == 0
    assert judge(Answer(content="Paris."), EXPECTS_REFUSAL).value == 0
    assert judge(Answer(content="Paris."), Expectation()) is None


def test_a_refusal_has_no_words_to_judge_and_costs_nothing_to_measure():
    assert clean_answer(CleanOptions())(REFUSED, EXPECTS_REFUSAL) is None
    assert latency(MeasureOptions())(REFUSED, EXPECTS_REFUSAL) is None


def test_long_messages_are_written_short():
    spec = SampleSpec.model_validate({"id": "long", "input": "ab ", "repeat": 3})
    assert as_sample(spec).input == "ab ab ab "


def test_servers_of_a_suite_are_found_beside_it(tmp_path):
    config = {"command": "{python}", "args": ["{suite}/server.py", "-v"], "trust": True}
    assert fill_placeholders(config, tmp_path) == {
        "command": sys.executable,
        "args": [f"{tmp_path}/server.py", "-v"],
        "trust": True,
    }


def test_limits_of_tools_are_part_of_the_fixtures(tmp_path):
    content = {
        "name": "mine",
        "description": "One of mine.",
        "scorers": ["clean_answer"],
        "samples": [{"id": "a", "input": "b"}],
        "fixtures": {
            "mcp_servers": [{"name": "faulty", "config": {"command": "faulty"}}],
            "tool_limits": [{"tool": "faulty.*", "max_seconds": 3}],
        },
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(content), "utf-8")
    [limit] = read_suite(tmp_path / "suite.yaml").spec.fixtures.tool_limits
    assert (limit.tool, limit.max_seconds, limit.max_calls_per_run) == ("faulty.*", 3, None)


def test_the_suite_is_small_and_its_strings_come_with_their_licence():
    suite = find_suite("robustness")
    folder = suite.path.parent
    assert sum(each.stat().st_size for each in folder.iterdir() if each.is_file()) < 400_000
    licence = (folder / "LICENSE-big-list-of-naughty-strings").read_text("utf-8")
    assert licence.startswith("The MIT License")
    assert {"wrapped", "refused", "naughty", "fault", "at-once"} <= {
        tag for each in suite.samples for tag in each.tags
    }
