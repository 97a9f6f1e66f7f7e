"""Answers of a running product that a model grades."""

import asyncio
import json

import pytest
import yaml

from evals.cli.running import RunRequest, run_suites
from evals.records.record import load_run
from evals.records.summary import SuiteSummary
from evals.scorers.model_graded import RubricOptions, rubric_inquiry
from evals.scorers.verdict import Expectation
from evals.target.answer import Answer
from tests.fakes.model_turns import Turn
from tests.integration.evals.quiet import run_quietly

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRADING = "You judge an answer"
SAMPLE = {"id": "time", "input": "When?", "target": "noon"}


@pytest.fixture
def run(shared_product, tmp_path):
    """Puts one sample by the command; returns its exit code and the record."""

    async def put(sample, scorers, *, grader=None, **more):
        path = tmp_path / "suite.yaml"
        suite = {"name": "mine", "description": "Mine.", "samples": [sample], "scorers": scorers}
        path.write_text(yaml.safe_dump(suite | more), "utf-8")
        request = RunRequest(
            suites=(str(path),),
            url=shared_product.url,
            key=shared_product.secrets.root_api_key,
            out=tmp_path / "out",
            grader=grader,
        )
        code = await asyncio.to_thread(run_quietly, run_suites, request)
        [record] = load_run(tmp_path / "out").suites
        return code, record

    return put


def verdict(answer, grade):
    """What a grader says of an answer to the sample."""
    expected = Expectation(target=["noon"], question=["When?"])
    inquiry = rubric_inquiry(RubricOptions(), Answer(content=answer), expected)
    return f"I have compared them.\nVERDICT {inquiry.digest('verdict', 0)}: {grade}"


async def test_a_model_grades_its_own_answers_and_is_held_to_labels_first(
    run, shared_product, tmp_path, capfd
):
    labels = [
        {"question": "When?", "target": "noon", "answer": "At 12.", "label": "pass"},
        {"question": "When?", "target": "noon", "answer": "At 9.", "label": "fail"},
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, labels)), "utf-8")
    for answer in ("At 12.", "At 9.", "Twelve."):
        shared_product.model.reply(verdict(answer, "PASS"), when=f"ANSWER\n{answer}")
    shared_product.model.reply("Twelve.")
    code, record = await run(
        SAMPLE,
        [{"model_graded": {"labelled": "labels.jsonl"}}],
        thresholds={"passed": 1, "model_graded.agreement": 0.9},
    )
    [attempt] = record.attempts
    assert attempt.scores["model_graded"].explanation == "PASS: I have compared them."
    assert SuiteSummary(record).figure("model_graded.agreement").mean == 0.5
    assert [each.answer for each in record.agreements["model_graded"].mistaken] == ["At 9."]
    assert code == 1
    assert (record.conditions.grader, record.conditions.grades_itself) == ("default", True)
    assert "the model grades its own answers" in capfd.readouterr().err
    asked = [each for each in shared_product.model.requests if GRADING in str(each.messages)]
    assert [each.body.get("tools") for each in asked[-3:]] == [None] * 3


async def test_a_grader_that_fails_is_an_error_and_no_wrong_answer(run, shared_product):
    shared_product.model.add(Turn(status=500, error="out of memory", when=GRADING))
    shared_product.model.reply("Twelve.")
    code, record = await run(SAMPLE, ["model_graded"])
    [attempt] = record.attempts
    assert (attempt.passed, attempt.answer.content) == (None, "Twelve.")
    assert "the grader did not reply" in attempt.error
    assert code == 3


async def test_a_model_of_inspects_grades_and_what_it_does_not_say_is_unscored(run, shared_product):
    shared_product.model.reply("Twelve.")
    code, record = await run(SAMPLE, ["model_graded", "steps"], grader="mockllm/model")
    [attempt] = record.attempts
    score = attempt.scores["model_graded"]
    assert (score.value, score.reason) == (None, "unreadable")
    assert (code, record.conditions.grader) == (0, "mockllm/model")


async def test_answers_are_held_to_whole_passages(run, shared_product, tmp_path):
    (tmp_path / "canteen.md").write_text(
        f"# Canteen\n\n{'We cook with care. ' * 20}It opens at 12:30.\n", "utf-8"
    )
    shared_product.model.call("semantic__search", {"query": "canteen"})
    shared_product.model.reply("The canteen opens at 12:30. It closes at 15:45.")
    _, record = await run(
        {"id": "hours", "input": "When?", "user": "anna"},
        ["groundedness"],
        fixtures={"users": ["anna"], "documents": [{"path": "canteen.md", "owner": "anna"}]},
    )
    [attempt] = record.attempts
    [source] = attempt.answer.sources
    assert "12:30" in source.text
    assert "12:30" not in source.snippet
    assert attempt.scores["groundedness"].value == 0.5
    assert "15.45" in attempt.scores["groundedness"].explanation
