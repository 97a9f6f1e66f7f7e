"""The suite `rag`, put to products that find and to one that does not."""

import gc
import warnings
from dataclasses import replace

import pytest
import pytest_asyncio

from evals.records.gate import check_suite
from evals.records.summary import SuiteSummary
from evals.running.run import RunOptions, SuiteRunner
from evals.suite.loading import find_suite
from evals.target.opening import Target, open_target

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = ("chaffee-zoo", "fire-cause", "baltic-movement")
CAUGHT_BY = {"includes@answerable", "recall", "mrr", "citation_recall"}


@pytest.fixture
def suite():
    """Three questions, and the documents that answer them."""
    whole = find_suite("rag")
    samples = [each for each in whole.samples if each.id in ASKED]
    wanted = {
        f"documents/{name}"
        for each in samples
        for name, grade in each.expect.relevant.items()
        if grade == 2
    }
    documents = [each for each in whole.spec.fixtures.documents if each.path in wanted]
    fixtures = whole.spec.fixtures.model_copy(update={"documents": documents})
    spec = whole.spec.model_copy(update={"fixtures": fixtures})
    return replace(whole, spec=spec, samples=samples)


@pytest.fixture
def kept(shared_product, suite, tmp_path):
    """Asks a model that searches for what it is asked, and says what it is given.

    Returns which thresholds are kept.
    """

    async def run():
        for sample in suite.samples:
            [question] = sample.input
            shared_product.model.call("semantic__search", {"query": question}, when=question)
        target = Target(url=shared_product.url, key=shared_product.secrets.root_api_key)
        options = RunOptions(folder=tmp_path / "logs")
        with warnings.catch_warnings():
            # Inspect leaves a stream unclosed for each sample; it is found when it is collected.
            warnings.simplefilter("ignore", ResourceWarning)
            async with open_target(target, shared_product.settings) as product:
                runner = SuiteRunner(product, target, shared_product.settings, options)
                [record] = [each async for each in runner.run([suite])]
            gc.collect()
        assert [each.error for each in record.attempts] == [None] * len(ASKED)
        return {each.bound.name: each.holds for each in check_suite(SuiteSummary(record))}

    return run


@pytest_asyncio.fixture(loop_scope="module")
async def search_is_off(shared_product):
    client = shared_product.client
    tools = (await client.get("/v1/tools", params={"limit": 100})).json()["tools"]
    [path] = [f"/v1/tools/{each['id']}" for each in tools if each["name"] == "semantic.search"]
    assert (await client.patch(path, json={"enabled": False})).status_code == 200
    yield
    await client.patch(path, json={"enabled": True})


async def test_rag_lets_an_agent_pass_that_finds_and_says_what_it_finds(kept):
    outcome = await kept()
    assert {name for name in CAUGHT_BY if outcome[name]} == CAUGHT_BY


@pytest.mark.usefixtures("search_is_off")
async def test_rag_catches_an_agent_whose_search_is_off(kept):
    outcome = await kept()
    assert {name for name in CAUGHT_BY if not outcome[name]} == CAUGHT_BY
