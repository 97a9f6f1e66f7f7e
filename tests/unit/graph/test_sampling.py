"""A run's model answers tools' servers within a budget."""

import asyncio
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessageChunk

from graph.errors import ModelUnavailable
from graph.events import ModelCalled
from graph.llm.reply import Delta
from graph.sampling import Sampler, SamplingBudget
from tools.calls import SamplingRequest
from tools.errors import RequestDeclined


class SpokenModel(FakeListChatModel):
    """Says so many words, a piece each, and remembers what it was told."""

    told: list[Any]
    words: int = 3
    fails: bool = False
    closed: list[bool]

    async def stream_reply(self, messages, tool_schemas):
        self.told.append((messages, tool_schemas))
        try:
            for number in range(self.words):
                if self.fails:
                    raise ModelUnavailable("away")
                yield Delta(text=f"{number} ")
            yield AIMessageChunk(
                "whole",
                usage_metadata={"input_tokens": 5, "output_tokens": self.words, "total_tokens": 8},
            )
        finally:
            self.closed.append(True)


def asked(max_tokens: int = 100) -> SamplingRequest:
    return SamplingRequest(
        messages=[("user", "What is 2 + 2?"), ("assistant", "Well"), ("user", "And?")],
        system_prompt="Be brief.",
        max_tokens=max_tokens,
        temperature=None,
    )


def model(**given: Any) -> SpokenModel:
    return SpokenModel(responses=[""], told=[], closed=[], **given)


async def test_the_model_is_told_what_the_server_sends_and_nothing_else():
    spoken, costs = model(), list[ModelCalled]()
    sampler = Sampler(spoken, SamplingBudget(calls=2, tokens=100))
    answer = await sampler.sample(asked(), costs.append)
    assert (answer.text, answer.stop_reason) == ("0 1 2 ", "endTurn")
    [(messages, schemas)] = spoken.told
    assert [(each.type, each.content) for each in messages] == [
        ("system", "Be brief."),
        ("human", "What is 2 + 2?"),
        ("ai", "Well"),
        ("human", "And?"),
    ]
    assert schemas == []
    [cost] = costs
    assert (cost.purpose, cost.tokens_in, cost.tokens_out) == ("sampling", 5, 3)


async def test_an_answer_ends_where_the_server_or_the_budget_wants():
    spoken, costs = model(words=50), list[ModelCalled]()
    budget = SamplingBudget(calls=5, tokens=6)
    sampler = Sampler(spoken, budget)
    answer = await sampler.sample(asked(max_tokens=4), costs.append)
    assert (answer.text, answer.stop_reason) == ("0 1 2 3 ", "maxTokens")
    assert (await sampler.sample(asked(), costs.append)).text == "0 1 "
    with pytest.raises(RequestDeclined, match="as much as it may"):
        await sampler.sample(asked(), costs.append)
    assert [(each.tokens_out, each.estimated) for each in costs] == [(4, True), (2, True)]
    assert spoken.closed == [True, True]


async def test_only_so_many_calls_are_answered():
    sampler = Sampler(model(), SamplingBudget(calls=1, tokens=1_000))
    await sampler.sample(asked(), lambda _: None)
    with pytest.raises(RequestDeclined):
        sampler.require_budget()
    with pytest.raises(RequestDeclined):
        await sampler.sample(asked(), lambda _: None)


async def test_what_was_not_needed_is_given_back():
    budget = SamplingBudget(calls=9, tokens=100)
    await Sampler(model(), budget).sample(asked(max_tokens=90), lambda _: None)
    assert budget.tokens == 97


async def test_a_model_that_fails_is_a_plain_no_and_still_counted():
    costs: list[ModelCalled] = []
    sampler = Sampler(model(fails=True), SamplingBudget(calls=2, tokens=10))
    with pytest.raises(RequestDeclined, match="did not answer"):
        await sampler.sample(asked(), costs.append)
    assert [cost.tokens_out for cost in costs] == [0]


async def test_an_answer_that_is_cancelled_is_counted():
    class Hanging(SpokenModel):
        async def stream_reply(self, messages, tool_schemas):
            yield Delta(text="so")
            reached.set()
            await asyncio.Event().wait()

    reached, costs = asyncio.Event(), list[ModelCalled]()
    budget = SamplingBudget(calls=2, tokens=10)
    sampler = Sampler(Hanging(responses=[""], told=[], closed=[]), budget)
    answering = asyncio.create_task(sampler.sample(asked(), costs.append))
    await reached.wait()
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert [(cost.tokens_out, cost.estimated) for cost in costs] == [(1, True)]
    assert budget.tokens == 9
