"""The suite `robustness`, and what it needs, put to a product whose model follows a script."""

import pytest
import pytest_asyncio
import yaml

from evals.errors import TargetFailed
from evals.records.summary import SuiteSummary
from evals.suite.loading import find_suite, read_suite
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.product import new_secrets, open_product, settings_for

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("evals-robustness"),
]
FAULTS = ("stock", "delivery", "invoice", "prices", "supplier", "warehouse")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(postgres_server, tmp_path_factory):
    """One that takes servers that are commands, as one does that is started for an eval."""
    database_url = postgres_server.lend()
    async with ScriptedOllama() as model:
        settings = settings_for(tmp_path_factory.mktemp("product"), database_url, model)
        mcp = settings.mcp.model_copy(update={"allow_stdio_by_api": True})
        settings = settings.model_copy(update={"mcp": mcp})
        async with open_product(settings, new_secrets(), model) as running:
            yield running
    postgres_server.take_back(database_url)


@pytest.fixture
def evaluate(put, tmp_path):
    """Puts one sample to the product; returns the record."""

    async def run(**sample):
        content = {
            "name": "mine",
            "description": "One of mine.",
            "scorers": ["includes", "clean_answer", "error_code", "latency"],
            "samples": [{"id": "one", **sample}],
        }
        (tmp_path / "suite.yaml").write_text(yaml.safe_dump(content), "utf-8")
        return await put(read_suite(tmp_path / "suite.yaml"))

    return run


async def test_runs_go_on_with_an_answer_whatever_a_tool_does(put, product):
    for name in FAULTS:
        product.model.call(f"faulty__{name}", {"name": "4711"})
        product.model.reply("I could not find that out.")
    record = await put(find_suite("robustness"), tags=("fault",))
    assert [each.passed for each in record.attempts] == [True] * len(FAULTS)
    calls = {call.name: call for each in record.attempts for call in each.answer.calls}
    assert list(calls) == [f"faulty.{name}" for name in FAULTS]
    failed = {name for name, call in calls.items() if call.status == "error"}
    assert failed >= {"faulty.stock", "faulty.delivery", "faulty.supplier", "faulty.warehouse"}
    seen = max(len(str(request.messages)) for request in product.model.requests)
    assert seen < 100_000  # a megabyte was cut before the model had to read it
    assert (await product.client.get("/v1/tool-limits")).json()["total"] == 0


async def test_what_must_be_refused_is_right_when_it_is(put):
    record = await put(find_suite("robustness"), tags=("refused",))
    assert {each.sample for each in record.attempts if each.passed} == {
        "empty",
        "spaces-only",
        "line-ends-only",
        "too-long",
    }
    assert {each.answer.error_code for each in record.attempts} == {"VALIDATION_ERROR"}
    assert SuiteSummary(record).figure("latency") is None


async def test_what_should_be_refused_and_is_not_is_wrong(evaluate):
    [attempt] = (await evaluate(input="Hello.", expect={"error": "VALIDATION_ERROR"})).attempts
    assert (attempt.passed, attempt.error) == (False, None)


async def test_a_refusal_that_nobody_expects_is_an_error(evaluate):
    [attempt] = (await evaluate(input=" ", target="Paris")).attempts
    assert attempt.passed is None
    assert "[VALIDATION_ERROR]" in attempt.error


async def test_another_refusal_than_the_expected_one_is_an_error(evaluate):
    [attempt] = (await evaluate(input=" ", expect={"error": "MODEL_UNKNOWN"})).attempts
    assert "[VALIDATION_ERROR]" in attempt.error


async def test_messages_that_are_sent_at_once_are_answered_one_after_the_other(evaluate, product):
    for said in ("Paris.", "Rome."):
        product.model.reply(said)
    record = await evaluate(input=["France?", "Italy?"], at_once=True, target=["Rome"])
    [attempt] = record.attempts
    assert attempt.passed
    assert sorted(attempt.answer.content.split("\n\n")) == ["Paris.", "Rome."]
    assert len(set(attempt.answer.run_ids)) == 2
    last = [each["content"] for each in product.model.requests[-1].messages]
    assert {"France?", "Italy?"} <= set(last)


async def test_a_server_that_a_suite_brings_and_that_does_not_start_is_told(put, tmp_path):
    content = {
        "name": "mine",
        "description": "One of mine.",
        "scorers": ["clean_answer"],
        "samples": [{"id": "a", "input": "b"}],
        "fixtures": {
            "mcp_servers": [
                {"name": "gone", "config": {"command": "{python}", "args": ["{suite}/gone.py"]}}
            ]
        },
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(content), "utf-8")
    with pytest.raises(TargetFailed, match="gone"):
        await put(read_suite(tmp_path / "suite.yaml"))
