"""Runs whose calls are limited, in number and in what they may take, and tools that are denied."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool

from graph.approvals import Decision, ProposedCall, Verdict
from graph.call_budget import CallBudget, Limiter, RunLimits
from graph.events import ToolCall
from tests.fakes.conversation import Conversation
from tests.fakes.hinted_tools import hinted
from tests.fakes.kept_journal import KeptCalls
from tests.fakes.mortal_saver import MortalSaver
from tests.integration.graph.test_rules_that_change import Shop, _die_in_the_call
from tools.calls import CALL_KEY, CallLimits

ONCE = "tests.buy may be called once in a run, and was."


class Limits:
    """So many calls of a tool or of certain tools, each of which may take so long."""

    def __init__(self, most: int, *, tools: str = "", seconds: float | None = None) -> None:
        self.most = most
        self.tools = tools
        self.seconds = seconds

    def for_call(self, tool: str) -> CallLimits:
        return CallLimits(seconds=self.seconds)

    def budgets(self, tool: str) -> Sequence[CallBudget]:
        return [CallBudget(id=1, tools=self.tools or tool, most=self.most)]


def limited(most: int, **values: Any) -> Limiter:
    async def look() -> RunLimits:
        return Limits(most, **values)

    return look


async def ask(calls: Sequence[ProposedCall]) -> list[Verdict]:
    return [Verdict(decision="ask")] * len(calls)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def kept() -> KeptCalls:
    return KeptCalls()


@pytest.fixture
def conversation(model, shop) -> Conversation:
    return Conversation(model, [hinted(shop.buy)], checkpointer=MortalSaver())


def _heard(fake: Any) -> list[str]:
    """What the model was told of its calls in its newest request."""
    return [m["content"] for m in fake.requests[-1].messages if m["role"] == "tool"]


async def test_a_call_beyond_the_budget_is_not_made_and_the_model_answers_with_what_there_is(
    conversation, fake, shop
):
    fake.call("buy", {"what": "a"})
    fake.call("buy", {"what": "b"})
    fake.reply("One is bought.")

    told = await conversation.say("Buy", limits=limited(1))

    assert shop.bought == ["a"]
    assert told.finished.content == "One is bought."
    assert "bought a" in _heard(fake)[0]
    assert ONCE in _heard(fake)[1]
    assert {event.args["what"] for event in told.of(ToolCall)} == {"a"}


async def test_of_calls_at_once_the_first_are_made_and_the_next_question_starts_afresh(
    conversation, fake, shop
):
    for _ in range(2):
        fake.calls(*(("buy", {"what": what}) for what in "abc"))
        fake.reply("Bought.")
        await conversation.say("Buy", limits=limited(2))

    assert sorted(shop.bought) == ["a", "a", "b", "b"]


async def test_a_call_that_people_refuse_leaves_its_place_and_nobody_is_asked_beyond_the_budget(
    conversation, fake, shop, kept
):
    fake.calls(*(("buy", {"what": what}) for what in "abc"))
    asked = await conversation.say("Buy", journal=kept.open(), policy=ask, limits=limited(1))
    said: dict[str, Decision] = {}
    for decision in ("refuse", "allow"):
        [request] = asked.finished.approvals
        said[request.id] = Decision(decision=decision)
        fake.reply("Bought.")
        asked = await conversation.taken_over().say(
            None, journal=kept.open(), policy=ask, limits=limited(1), decisions=said
        )

    assert asked.finished.status == "success"
    assert shop.bought == ["b"]
    refused, bought, beyond = _heard(fake)
    assert "refused" in refused
    assert "bought b" in bought
    assert ONCE in beyond


async def test_a_call_counts_that_was_made_before_the_process_died(conversation, fake, shop, kept):
    await _die_in_the_call(conversation, shop, kept, fake)
    asked = await conversation.taken_over().say(None, journal=kept.open(), limits=limited(1))
    fake.call("buy", {"what": "b"})
    fake.reply("One.")
    said = {each.id: Decision(decision="refuse") for each in asked.finished.approvals}

    await conversation.taken_over().say(
        None, journal=kept.open(), limits=limited(1), decisions=said
    )

    assert shop.bought == ["a"]
    assert ONCE in _heard(fake)[1]


async def test_a_call_counts_although_its_tool_is_there_no_more(model, fake, shop, kept):
    async def pay(what: str) -> str:
        """Pay for something."""
        return shop.bought.append("paid") or f"paid {what}"

    async def ask_to_pay(calls: Sequence[ProposedCall]) -> list[Verdict]:
        asks = Verdict(decision="ask")
        return [asks if c.tool == "tests.pay" else Verdict(decision="allow") for c in calls]

    conversation = Conversation(model, [hinted(shop.buy), hinted(pay)])
    fake.call("buy", {"what": "a"})
    fake.call("pay", {"what": "a"})
    asked = await conversation.say("Buy", policy=ask_to_pay, limits=limited(2, tools="tests.*"))
    said = {each.id: Decision(decision="allow") for each in asked.finished.approvals}
    fake.reply("Not paid.")

    await conversation.taken_over().say(
        None,
        policy=ask_to_pay,
        limits=limited(1, tools="tests.*"),
        decisions=said,
        tools=(hinted(pay),),
    )

    assert shop.bought == ["a"]
    assert "Tools like tests.* may be called once" in _heard(fake)[1]


async def test_what_a_call_may_take_reaches_its_tool(model, fake):
    taken: list[CallLimits] = []

    async def look(config: RunnableConfig) -> str:
        """Look."""
        taken.append(config["configurable"][CALL_KEY].limits)
        return "seen"

    conversation = Conversation(model, [StructuredTool.from_function(coroutine=look)])
    fake.call("look", {})
    fake.reply("Seen.")

    await conversation.say("Look", limits=limited(1, seconds=2.5))

    assert taken == [CallLimits(seconds=2.5)]


def _because(reason: str | None) -> Callable[[str], Awaitable[str | None]]:
    async def why(_name: str) -> str | None:
        return reason

    return why


@pytest.mark.parametrize(
    ("reason", "heard"),
    [("No shopping.", "policy forbids this call"), (None, "There is no tool named buy")],
)
async def test_of_a_tool_that_is_denied_by_now_the_model_hears_why(
    conversation, fake, shop, kept, reason, heard
):
    fake.call("buy", {"what": "a"})
    asked = await conversation.say("Buy", journal=kept.open(), policy=ask)
    said = {each.id: Decision(decision="allow") for each in asked.finished.approvals}
    fake.reply("I may not.")

    told = await conversation.taken_over().say(
        None,
        journal=kept.open(),
        policy=ask,
        tools=(),
        decisions=said,
        why_denied=_because(reason),
    )

    assert told.finished.content == "I may not."
    assert shop.bought == []
    assert heard in _heard(fake)[0]
    assert (reason or "There is no tool") in _heard(fake)[0]
