"""Suites put to a running product, whose model follows a script."""

import asyncio
import gc
import warnings

import pytest
import yaml

from evals.cli.running import RunRequest, run_suites
from evals.errors import TargetFailed
from evals.records.gate import check_suite
from evals.records.record import RunRecord, dump_run, load_run
from evals.records.summary import SuiteSummary
from evals.running.run import RunOptions, SuiteRunner
from evals.suite.loading import find_suite, read_suite
from evals.target.opening import Target, open_target

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = {"tool": "datetime.now", "arguments": {"timezone": "Asia/Tokyo"}}
SUITE = {
    "name": "mine",
    "description": "One of mine.",
    "scorers": ["includes", {"tool_trajectory": {"mode": "strict"}}, "latency", "tokens"],
}


@pytest.fixture
def put(shared_product, tmp_path):
    """Puts a suite to the product; returns the record."""

    async def run(suite, *, epochs=1, concurrency=1):
        target = Target(
            url=shared_product.url,
            key=shared_product.secrets.root_api_key,
            concurrency=concurrency,
        )
        options = RunOptions(folder=tmp_path / "logs", epochs=epochs)
        with warnings.catch_warnings():
            # Inspect leaves a stream unclosed for each sample; it is found when it is collected.
            warnings.simplefilter("ignore", ResourceWarning)
            async with open_target(target, shared_product.settings) as product:
                runner = SuiteRunner(product, target, shared_product.settings, options)
                [record] = [each async for each in runner.run([suite])]
            gc.collect()
        return record

    return run


@pytest.fixture
def evaluate(put, tmp_path):
    """Puts samples to the product; returns the record."""

    async def run(samples, *, epochs=1, **more):
        path = tmp_path / "suite.yaml"
        path.write_text(yaml.safe_dump(SUITE | {"samples": samples} | more), "utf-8")
        return await put(read_suite(path), epochs=epochs)

    return run


async def test_an_answer_is_kept_with_calls_costs_and_scores(evaluate, shared_product):
    shared_product.model.call("datetime__now", {"timezone": "Asia/Tokyo"})
    shared_product.model.reply("It is noon.")
    record = await evaluate(
        [{"id": "time", "input": "Time?", "target": "noon", "expect": {"calls": [NOW]}}]
    )
    [attempt] = record.attempts
    assert attempt.passed
    assert attempt.answer.content == "It is noon."
    assert [(each.name, each.status) for each in attempt.answer.calls] == [("datetime.now", "end")]
    assert attempt.answer.steps == 2
    assert attempt.scores["tokens"].value > 0
    assert attempt.answer.run_ids[0]


async def test_an_error_of_the_product_is_no_wrong_answer(evaluate, shared_product):
    shared_product.model.fail("out of memory")
    record = await evaluate(
        [
            {"id": "broken", "input": "One?", "target": "one"},
            {"id": "wrong", "input": "Two?", "target": "no such words"},
        ]
    )
    broken, wrong = record.attempts
    assert broken.passed is None
    assert "[LLM_ERROR]" in broken.error
    assert (wrong.passed, wrong.error) == (False, None)
    assert SuiteSummary(record).figure("includes").values == 1


async def test_messages_of_one_sample_go_to_one_session(evaluate, shared_product):
    shared_product.model.reply("First.")
    shared_product.model.reply("Second.")
    record = await evaluate([{"id": "talk", "input": ["Hello", "And?"], "target": "Second."}])
    [attempt] = record.attempts
    assert attempt.passed
    assert len(attempt.answer.run_ids) == 2
    said = [each["content"] for each in shared_product.model.requests[-1].messages]
    assert "First." in said


async def test_each_epoch_asks_anew_and_a_sample_may_be_flaky(evaluate, shared_product):
    shared_product.model.reply("yes")
    shared_product.model.reply("no")
    record = await evaluate([{"id": "coin", "input": "Yes or no?", "target": "yes"}], epochs=2)
    assert [each.passed for each in record.attempts] == [True, False]
    assert SuiteSummary(record).state("coin") == "flaky"
    first, second = record.attempts
    assert first.answer.session_id != second.answer.session_id


async def test_the_loop_of_the_product_is_left_as_it_is(evaluate):
    await evaluate([{"id": "echo", "input": "Say this.", "target": "Say this"}])
    assert asyncio.run.__module__ == "asyncio.runners"


async def test_an_answer_that_is_not_there_in_time_is_wrong_and_its_run_ends(
    evaluate, shared_product
):
    pause = shared_product.model.hang()
    record = await evaluate(
        [{"id": "slow", "input": "Slow?", "target": "x"}], limits={"seconds": 1}
    )
    [attempt] = record.attempts
    assert (attempt.passed, attempt.limit) == (False, "time")
    assert attempt.scores["latency"].value is None
    await pause.left.wait()


async def test_users_groups_and_documents_are_there_before_the_first_question(
    evaluate, shared_product, tmp_path
):
    (tmp_path / "canteen.md").write_text("# Canteen\n\nOpen from 12:30.\n", "utf-8")
    for _ in range(2):
        shared_product.model.call("semantic__search", {"query": "canteen"})
        shared_product.model.reply("I have looked.")
    asked = {"input": "When?", "expect": {"relevant": ["canteen.md"]}}
    record = await evaluate(
        [asked | {"id": "member", "user": "ben"}, asked | {"id": "stranger", "user": "eve"}],
        scorers=[{"recall": {"k": 3}}],
        fixtures={
            "users": ["anna", "ben", "eve"],
            "groups": {"staff": ["anna", "ben"]},
            "documents": [{"path": "canteen.md", "owner": "anna", "group": "staff"}],
        },
    )
    assert [each.scores["recall"].value for each in record.attempts] == [1.0, 0.0]
    documents = (await shared_product.client.get("/v1/documents")).json()
    assert documents["total"] == 0


async def test_what_a_suite_needs_and_cannot_have_is_an_error_of_the_surroundings(
    evaluate, tmp_path
):
    (tmp_path / "odd.pdf").write_bytes(b"%PDF-1.4 and no more")
    with pytest.raises(TargetFailed, match=r"odd\.pdf"):
        await evaluate(
            [{"id": "a", "input": "x", "target": "x"}],
            fixtures={"documents": [{"path": "odd.pdf"}]},
        )


async def test_a_record_is_the_same_when_it_was_written_down(evaluate, tmp_path):
    record = await evaluate([{"id": "echo", "input": "Say this.", "target": "Say this"}])
    run = RunRecord(run="r", suites=(record,))
    (tmp_path / "results.json").write_bytes(dump_run(run))
    assert load_run(tmp_path) == run
    conditions = record.conditions
    assert (conditions.seed, conditions.epochs) == (0, 1)
    assert conditions.versions["inspect-ai"]
    assert record.log.endswith(".eval")


async def test_nobody_at_the_address_is_an_error_of_the_surroundings(shared_product):
    target = Target(url="http://127.0.0.1:9", key="k")
    with pytest.raises(TargetFailed, match="nothing answers"):
        async with open_target(target, shared_product.settings):
            pass


async def test_smoke_catches_an_agent_that_uses_no_tools(put):
    record = await put(find_suite("smoke"), concurrency=4)  # the model says what it is asked
    kept = {check.bound.name: check.holds for check in check_suite(SuiteSummary(record))}
    assert kept == {"passed": False, "tool_trajectory": False, "recall": False}
    passed = {each.sample for each in record.attempts if each.passed}
    assert passed == {"small-talk", "thanks", "not-his-documents"}


async def test_the_command_ends_with_a_code_that_says_how_it_went(shared_product, tmp_path):
    path = tmp_path / "suite.yaml"
    samples = [{"id": "echo", "input": "Say this.", "target": "Say this"}]
    path.write_text(yaml.safe_dump(SUITE | {"samples": samples}), "utf-8")

    async def run(name, **more):
        request = RunRequest(
            suites=(str(path),),
            url=shared_product.url,
            key=shared_product.secrets.root_api_key,
            out=tmp_path / name,
            **more,
        )
        return await asyncio.to_thread(_run_and_collect, request)

    assert await run("good") == 0
    assert await run("again", baseline=tmp_path / "good") == 0
    assert await run("below", fail_under=("latency=1000",)) == 1
    shared_product.model.fail("out of memory")
    assert await run("broken", baseline=tmp_path / "good") == 3
    written = {each.name.rpartition(".")[2] for each in (tmp_path / "good").iterdir()}
    assert written == {"eval", "html", "json", "md", "xml"}


async def test_a_task_in_python_is_put_to_the_product(shared_product, tmp_path):
    path = tmp_path / "theirs.py"
    path.write_text(TASK, "utf-8")
    shared_product.model.reply("Paris")
    request = RunRequest(
        suites=(str(path),),
        url=shared_product.url,
        key=shared_product.secrets.root_api_key,
        out=tmp_path / "out",
    )
    code = await asyncio.to_thread(_run_and_collect, request)
    [record] = load_run(tmp_path / "out").suites
    assert (code, record.failure) == (0, None)
    [attempt] = record.attempts
    assert attempt.error is None
    assert (attempt.passed, attempt.answer.content) == (True, "Paris")


def _run_and_collect(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # Inspect's use of tenacity
        code = run_suites(request)
        gc.collect()
    return code


TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import match
from inspect_ai.solver import generate


@task
def capitals():
    sample = Sample(input="The capital of France?", target="Paris")
    return Task(dataset=[sample], solver=generate(), scorer=match())
"""
