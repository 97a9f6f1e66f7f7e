"""Suites put to a running product, whose model follows a script."""

import asyncio

import pytest
import yaml

from evals.cli.running import RunRequest, run_suites
from evals.errors import TargetFailed
from evals.records.gate import check_suite
from evals.records.logs import newest_logs, read_answers
from evals.records.record import RunRecord, dump_run, load_run
from evals.records.summary import SuiteSummary
from evals.suite.loading import find_suite, read_suite
from evals.target.opening import Target, open_target
from tests.integration.evals.quiet import run_quietly

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = {"tool": "datetime.now", "arguments": {"timezone": "Asia/Tokyo"}}
SMOKE_CALLS = (
    ("in Tokyo", "datetime__now", {"timezone": "Asia/Tokyo"}),
    ("in Rome", "datetime__now", {"timezone": "Europe/Rome"}),
    ("10 kilometers", "units__convert", {"value": 10, "from_unit": "km", "to_unit": "mile"}),
    ("100 celsius", "units__convert", {"value": 100, "from_unit": "degC", "to_unit": "degF"}),
    ("canteen", "semantic__search", {"query": "canteen open"}),
    ("canteen", "semantic__search", {"query": "canteen open"}),
    ("badge", "semantic__search", {"query": "parking badge"}),
    ("leave", "semantic__search", {"query": "annual leave"}),
)
"""What a question holds, and what is called for it; two users ask about the canteen."""
LEAVES_SECONDS = 60
SUITE = {
    "name": "mine",
    "description": "One of mine.",
    "scorers": ["includes", {"tool_trajectory": {"mode": "strict"}}, "latency", "tokens"],
}


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
        [{"id": "slow", "input": "Slow?", "target": "x"}], limits={"seconds": 5}
    )
    [attempt] = record.attempts
    assert (attempt.passed, attempt.limit) == (False, "time")
    assert attempt.scores["latency"].value is None
    assert pause.reached.is_set()  # else the time was up before the model was asked
    async with asyncio.timeout(LEAVES_SECONDS):
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


async def test_a_record_takes_no_more_of_its_log_than_it_holds(evaluate, tmp_path):
    record = await evaluate([{"id": "echo", "input": "Say this.", "target": "Say this"}])
    [kept] = (await newest_logs(tmp_path / "run0")).values()
    whole = await kept.open()
    assert whole.record == record == await kept.read()
    assert whole.log.samples[0].events
    [sample] = (await read_answers(kept.info.name)).samples
    assert not any((sample.events, sample.messages, sample.attachments))


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


@pytest.fixture
def put_smoke(put, shared_product):
    """Puts `smoke` to a model that calls what it should, and says what it is given."""

    async def run():
        for question, tool, arguments in SMOKE_CALLS:
            shared_product.model.call(tool, arguments, when=question)
        record = await put(find_suite("smoke"), concurrency=4)
        assert [each.error for each in record.attempts] == [None] * len(record.attempts)
        kept = {each.bound.name: each.holds for each in check_suite(SuiteSummary(record))}
        return kept, {each.sample for each in record.attempts if each.passed}

    return run


async def test_smoke_lets_an_agent_pass_that_uses_its_tools(put_smoke):
    kept, passed = await put_smoke()
    assert kept == {"passed": True, "tool_trajectory": True, "recall": True}
    assert passed == {each.id for each in find_suite("smoke").samples}


async def test_smoke_catches_a_product_whose_tools_are_off(put_smoke, switch_off):
    await switch_off("datetime.now", "units.convert", "semantic.search")
    kept, passed = await put_smoke()
    assert kept == {"passed": False, "tool_trajectory": False, "recall": False}
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
        return await asyncio.to_thread(run_quietly, run_suites, request)

    assert await run("good") == 0
    assert await run("again", baseline=tmp_path / "good") == 0
    assert await run("below", fail_under=("latency>=1000",)) == 1
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
    code = await asyncio.to_thread(run_quietly, run_suites, request)
    [record] = load_run(tmp_path / "out").suites
    assert (code, record.failure) == (0, None)
    [attempt] = record.attempts
    assert attempt.error is None
    assert (attempt.passed, attempt.answer.content) == (True, "Paris")


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
