"""Which model grades, and Inspect's own models as graders."""

import pytest
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from evals.errors import GraderFailed, UsageMistake
from evals.running.graders import InspectGrader, choose_grader
from evals.target.product import Product
from server.cli.connection import Connection

# Inspect's use of tenacity.
pytestmark = pytest.mark.filterwarnings("ignore:The 'initial' parameter:DeprecationWarning")


@pytest.fixture
def product():
    return Product(Connection(url="http://127.0.0.1:9", key="k"), concurrency=1)


def choose(product, name):
    return choose_grader(name, product, model="small", called="small", concurrency=1)


@pytest.mark.parametrize(
    ("name", "called"),
    [
        (None, "small"),
        ("large", "large"),
        ("youworker/meta/large", "meta/large"),
        ("mockllm/model", "mockllm/model"),
    ],
)
def test_a_grader_is_named(product, name, called):
    assert choose(product, name).name == called


@pytest.mark.parametrize("name", ["nobody/model", "openai-api/nobody/model"])
def test_a_provider_that_is_not_there_is_told(product, name, monkeypatch):
    monkeypatch.delenv("NOBODY_API_KEY", raising=False)
    with pytest.raises(UsageMistake, match="cannot be used"):
        choose(product, name)


async def test_a_model_of_the_installation_that_is_away_is_a_grader_that_failed(product):
    with pytest.raises(GraderFailed, match="the grader did not reply"):
        await choose(product, "large").grader.complete("Is it?")


async def test_a_model_of_inspects_replies():
    output = ModelOutput.from_content("mockllm/model", "It is.")
    output.usage = ModelUsage()
    model = get_model("mockllm/model", custom_outputs=[output], memoize=False)
    assert await InspectGrader(model).complete("Is it?") == "It is."


async def test_the_model_that_is_none_replies_without_the_net(product):
    assert await choose(product, "mockllm/model").grader.complete("Is it?")


async def test_a_model_of_inspects_that_fails_is_a_grader_that_failed():
    model = get_model("mockllm/model", custom_outputs=iter(()), memoize=False)
    with pytest.raises(GraderFailed, match="mockllm/model did not reply"):
        await InspectGrader(model).complete("Is it?")
