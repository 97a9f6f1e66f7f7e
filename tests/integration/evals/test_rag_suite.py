"""The suite `rag`, put to products that find and to one that does not."""

from dataclasses import replace

import pytest

from evals.records.gate import check_suite
from evals.records.summary import SuiteSummary
from evals.suite.loading import find_suite

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
def kept(put, shared_product, suite):
    """Asks a model that searches for what it is asked, and says what it is given.

    Returns which thresholds are kept.
    """

    async def run():
        for sample in suite.samples:
            [question] = sample.input
            shared_product.model.call("semantic__search", {"query": question}, when=question)
        record = await put(suite)
        assert [each.error for each in record.attempts] == [None] * len(ASKED)
        return {each.bound.name: each.holds for each in check_suite(SuiteSummary(record))}

    return run


async def test_rag_lets_an_agent_pass_that_finds_and_says_what_it_finds(kept):
    outcome = await kept()
    assert {name for name in CAUGHT_BY if outcome[name]} == CAUGHT_BY


async def test_rag_catches_an_agent_whose_search_is_off(kept, switch_off):
    await switch_off("semantic.search")
    outcome = await kept()
    assert {name for name in CAUGHT_BY if not outcome[name]} == CAUGHT_BY
