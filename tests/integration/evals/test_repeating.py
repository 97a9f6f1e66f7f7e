"""The same suite put again: its scores, answers from the cache, and what has changed by name."""

import pytest
import yaml

from evals.errors import UsageMistake
from evals.records.record import RunRecord
from evals.records.run_comparison import compare_runs
from evals.suite.loading import find_suite, read_suite

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ("one", "two", "three")
SUITE = {
    "name": "mine",
    "description": "One of mine.",
    "scorers": ["includes", "latency", "tokens"],
    "samples": [{"id": name, "input": f"Say {name}", "target": name} for name in NAMES],
}


@pytest.fixture
def suite(tmp_path):
    """Writes a suite; returns it."""

    def write(**more):
        path = tmp_path / "suite.yaml"
        path.write_text(yaml.safe_dump(SUITE | more), "utf-8")
        return read_suite(path)

    return write


def scores(record):
    return {
        each.sample: {n: s.value for n, s in each.scores.items() if n != "latency"}
        for each in record.attempts
    }


async def test_the_same_suite_twice_has_the_same_scores(put, suite):
    mine = suite()
    first, second = await put(mine), await put(mine)
    assert scores(first) == scores(second)
    runs = (RunRecord(run="r", suites=(each,)) for each in (first, second))
    [compared] = compare_runs(*runs).suites
    assert (compared.flips, compared.missing, compared.is_worse) == ((), (), False)


async def test_a_comparison_names_exactly_the_samples_that_changed(put, suite, shared_product):
    mine = suite()
    shared_product.model.reply("I will not.", when="Say three")
    before = await put(mine)
    shared_product.model.reply("Never.", when="Say two")
    after = await put(mine)
    runs = (RunRecord(run="r", suites=(each,)) for each in (before, after))
    [compared] = compare_runs(*runs).suites
    assert [(each.sample, each.direction) for each in compared.flips] == [
        ("two", "worse"),
        ("three", "better"),
    ]


async def test_an_answer_from_the_cache_is_the_same_and_says_so(
    put, suite, shared_product, tmp_path
):
    cache = tmp_path / "cache"
    shared_product.model.fail("out of memory")
    first = await put(suite(), cache=cache)
    assert [each.error is None for each in first.attempts] == [False, True, True]
    asked = len(shared_product.model.requests)

    # Another expectation asks for no other answer.
    samples = [each | {"target": "nothing of it"} for each in SUITE["samples"]]
    second = await put(suite(samples=samples), cache=cache)
    assert len(shared_product.model.requests) == asked + 1
    assert [each.cached for each in second.attempts] == [False, True, True]
    assert [each.passed for each in second.attempts] == [False, False, False]
    assert second.attempts[1].answer == first.attempts[1].answer
    times = [each.scores["latency"].value is None for each in second.attempts]
    assert times == [False, True, True]
    assert second.attempts[1].scores["tokens"] == first.attempts[1].scores["tokens"]

    third = await put(suite(), epochs=2, cache=cache)
    assert [each.cached for each in third.attempts] == [True, False] * 3


async def test_an_answer_that_takes_more_than_it_may_is_wrong_and_says_of_what(
    put, suite, shared_product
):
    shared_product.model.call("datetime__now", {"timezone": "Asia/Tokyo"})
    shared_product.model.reply("one")
    record = await put(suite(limits={"tool_calls": 0}))
    first, *others = record.attempts
    assert (first.passed, first.limit) == (False, "1 tool calls, at most 0")
    assert first.answer.content == "one"
    assert first.scores["includes"].value == 0
    assert first.scores["tokens"].value > 0
    assert [each.passed for each in others] == [True, True]


async def test_users_of_a_suite_are_erased_with_their_sessions(put, suite, shared_product):
    before = (await shared_product.client.get("/v1/users")).json()["total"]
    samples = [{"id": "a", "input": "Say a", "target": "a", "user": "anna"}]
    record = await put(suite(samples=samples, fixtures={"users": ["anna"]}))
    assert record.attempts[0].passed
    assert (await shared_product.client.get("/v1/users")).json()["total"] == before


async def test_samples_of_a_task_in_python_are_chosen_by_tags_of_their_metadata(put, tmp_path):
    path = tmp_path / "theirs.py"
    path.write_text(TASK, "utf-8")
    record = await put(find_suite(str(path)), tags=("europe",))
    assert [each.input for each in record.attempts] == [("The capital of France?",)]
    with pytest.raises(UsageMistake, match=r"no sample with these tags.*'asia', 'europe'"):
        await put(find_suite(str(path)), tags=("africa",))


TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate


@task
def capitals():
    samples = [
        Sample(input="The capital of Japan?", target="Tokyo", metadata={"tags": ["asia"]}),
        Sample(input="The capital of France?", target="Paris", metadata={"tags": ["europe"]}),
    ]
    return Task(dataset=samples, solver=generate(), scorer=includes())
"""
