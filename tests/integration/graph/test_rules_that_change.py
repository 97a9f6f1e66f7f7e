"""Calls that were cleared once, and are not to be made under the rules that hold when they are."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from graph.approvals import ApprovalRequest, Decision, ProposedCall, Verdict
from graph.events import ToolCall
from tests.fakes.conversation import Conversation, Told
from tests.fakes.hinted_tools import HintedTool, hinted
from tests.fakes.kept_journal import KeptCalls, KeptJournal
from tests.fakes.mortal_saver import MortalSaver

WAIT_SECONDS = 10
ALLOW, ASK = Verdict(decision="allow"), Verdict(decision="ask")
ADMIN = Verdict(decision="ask", reason="Ask an admin.", approver="group_admin", group_id=3)
DENY = Verdict(decision="deny", reason="Not any more.")


class Rule:
    """Says the same of all calls."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict

    async def __call__(self, calls: Sequence[ProposedCall]) -> list[Verdict]:
        return [self.verdict] * len(calls)


class Shop:
    """Records what is bought; the first purchase can stand still."""

    def __init__(self) -> None:
        self.bought: list[str] = []
        self.reached = asyncio.Event()
        self.holds = False

    async def buy(self, what: str) -> str:
        """Buy something."""
        self.bought.append(what)
        if self.holds:
            self.reached.set()
            await asyncio.Event().wait()
        return f"bought {what}"


class Hesitating(KeptJournal):
    """The journal of a process that dies before it stores that a call begins."""

    def __init__(self, kept: KeptCalls) -> None:
        super().__init__(kept)
        self.reached = asyncio.Event()

    async def begin(self, call: ProposedCall) -> None:
        self.reached.set()
        await asyncio.Event().wait()


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def kept() -> KeptCalls:
    return KeptCalls()


@pytest.fixture
def conversation(model, shop) -> Conversation:
    return Conversation(model, [hinted(shop.buy)], checkpointer=MortalSaver())


async def _go_on(
    conversation: Conversation,
    kept: KeptCalls,
    rule: Verdict,
    decisions: Mapping[str, Decision] | None = None,
    **context: Any,
) -> Told:
    return await conversation.taken_over().say(
        None, journal=kept.open(), policy=Rule(rule), decisions=decisions, **context
    )


async def _die(run: "asyncio.Task[Told]", saver: Any, when: asyncio.Event) -> None:
    await asyncio.wait_for(when.wait(), WAIT_SECONDS)
    saver.is_dead = True
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    saver.is_dead = False


async def _die_in_the_call(
    conversation: Conversation, shop: Shop, kept: KeptCalls, fake: Any
) -> None:
    """Die while the call is made that the rules allow."""
    fake.call("buy", {"what": "a"})
    shop.holds = True
    say = conversation.say("Buy", journal=kept.open(), policy=Rule(ALLOW))
    await _die(asyncio.create_task(say), conversation.saver, shop.reached)
    shop.holds = False


async def _die_before_the_call(conversation: Conversation, kept: KeptCalls, fake: Any) -> None:
    """Die between the step in which the model asks for a call and the call."""
    fake.call("buy", {"what": "a"})
    journal = Hesitating(kept)
    say = conversation.say("Buy", journal=journal, policy=Rule(ALLOW))
    await _die(asyncio.create_task(say), conversation.saver, journal.reached)


def _say(requests: Sequence[ApprovalRequest], decision: Decision) -> dict[str, Decision]:
    return {request.id: decision for request in requests}


ALLOWED = Decision(decision="allow")
REFUSED = Decision(decision="refuse")


@pytest.mark.parametrize("edit_first", [True, False])
async def test_a_call_that_was_made_too_often_is_not_made_when_people_change_the_others(
    conversation, fake, shop, kept, edit_first
):
    fake.calls(*[("buy", {"what": "gold"})] * 4)
    fake.reply("Well.")
    asked = await conversation.say("Buy", journal=kept.open(), policy=Rule(ASK))
    first, *others = asked.finished.approvals
    assert len(others) == 2
    said = _say(others, REFUSED)
    said[first.id] = Decision(decision="edit", args={"what": "tin"}) if edit_first else REFUSED

    told = await _go_on(conversation, kept, ASK, said)

    assert shop.bought == (["tin"] if edit_first else [])
    assert told.finished.status == "success"
    results = [m["content"] for m in fake.requests[-1].messages if m["role"] == "tool"]
    assert len(results) == 4
    assert "several times already" in results[-1]


async def test_a_call_that_had_begun_is_not_made_again_when_a_rule_forbids_it_by_now(
    conversation, fake, shop, kept
):
    await _die_in_the_call(conversation, shop, kept, fake)
    fake.reply("I cannot say.")

    told = await _go_on(conversation, kept, DENY)

    assert shop.bought == ["a"]
    assert told.finished.approvals == ()
    answer = fake.requests[-1].messages[-1]["content"]
    assert "Nobody knows" in answer
    assert "Not any more." in answer


async def test_a_call_that_was_allowed_again_is_not_made_when_a_rule_forbids_it_by_now(
    conversation, fake, shop, kept
):
    await _die_in_the_call(conversation, shop, kept, fake)
    asked = await _go_on(conversation, kept, ALLOW)
    fake.reply("I cannot say.")

    await _go_on(conversation, kept, DENY, _say(asked.finished.approvals, ALLOWED))

    assert shop.bought == ["a"]


async def test_whoever_a_rule_wants_asked_decides_whether_a_call_that_had_begun_is_made_again(
    conversation, fake, shop, kept
):
    await _die_in_the_call(conversation, shop, kept, fake)
    by_user = await _go_on(conversation, kept, ALLOW)
    said = _say(by_user.finished.approvals, ALLOWED)

    again = await _go_on(conversation, kept, ADMIN, said)

    [request] = again.finished.approvals
    assert (request.cause, request.approver, request.group_id) == ("interrupted", "group_admin", 3)
    assert request.reason.endswith("Ask an admin.")
    assert shop.bought == ["a"]
    fake.reply("Bought.")
    await _go_on(conversation, kept, ADMIN, said | _say([request], ALLOWED))
    assert shop.bought == ["a", "a"]


async def test_what_an_admin_allowed_needs_no_user_when_the_rule_is_gone(
    conversation, fake, shop, kept
):
    await _die_in_the_call(conversation, shop, kept, fake)
    asked = await _go_on(conversation, kept, ADMIN)
    fake.reply("Bought.")

    told = await _go_on(conversation, kept, ALLOW, _say(asked.finished.approvals, ALLOWED))

    assert told.finished.status == "success"
    assert shop.bought == ["a", "a"]


async def test_a_call_that_had_not_begun_is_not_made_when_a_rule_forbids_it_by_now(
    conversation, fake, shop, kept
):
    await _die_before_the_call(conversation, kept, fake)
    fake.reply("I may not.")

    told = await _go_on(conversation, kept, DENY)

    assert shop.bought == []
    assert told.of(ToolCall) == []
    assert "policy forbids" in fake.requests[-1].messages[-1]["content"]


async def test_a_call_that_may_be_repeated_is_not_when_a_rule_forbids_it_by_now(
    model, fake, shop, kept
):
    conversation = Conversation(
        model, [hinted(shop.buy, repeatable=True)], checkpointer=MortalSaver()
    )
    await _die_in_the_call(conversation, shop, kept, fake)
    fake.reply("I may not.")

    await _go_on(conversation, kept, DENY)

    assert shop.bought == ["a"]
    assert "policy forbids" in fake.requests[-1].messages[-1]["content"]


async def test_a_call_that_had_not_begun_is_asked_about_when_a_rule_wants_it_by_now(
    conversation, fake, shop, kept
):
    await _die_before_the_call(conversation, kept, fake)
    asked = await _go_on(conversation, kept, ASK)
    assert [request.cause for request in asked.finished.approvals] == ["policy"]
    fake.reply("Bought.")
    edit = Decision(decision="edit", args={"what": "b"})

    told = await _go_on(conversation, kept, ASK, _say(asked.finished.approvals, edit))

    assert shop.bought == ["b"]
    assert told.of(ToolCall)[0].args == {"what": "b"}
    sent = next(m for m in fake.requests[-1].messages if m.get("tool_calls"))
    assert [c["function"]["arguments"] for c in sent["tool_calls"]] == [{"what": "b"}]


async def test_a_call_that_dies_with_edited_arguments_is_asked_about_with_these(
    conversation, fake, shop, kept
):
    await _die_before_the_call(conversation, kept, fake)
    asked = await _go_on(conversation, kept, ASK)
    said = _say(asked.finished.approvals, Decision(decision="edit", args={"what": "b"}))
    shop.holds = True
    run = asyncio.create_task(_go_on(conversation, kept, ASK, said))
    await _die(run, conversation.saver, shop.reached)
    shop.holds = False

    again = await _go_on(conversation, kept, ASK, said)

    [request] = again.finished.approvals
    assert (request.cause, request.args) == ("interrupted", {"what": "b"})
    fake.reply("Bought.")
    await _go_on(conversation, kept, ASK, said | _say([request], ALLOWED))
    assert shop.bought == ["b", "b"]


def _named(shop: Shop, name: str) -> HintedTool:
    tool = hinted(shop.buy)
    tool.qualified_name = name
    return tool


async def test_what_was_allowed_for_a_tool_is_not_for_one_that_models_know_by_the_same_name(
    conversation, fake, shop, kept
):
    fake.call("buy", {"what": "a"})
    asked = await conversation.say(
        "Buy", journal=kept.open(), policy=Rule(ASK), tools=(_named(shop, "shop.buy.one"),)
    )
    said = _say(asked.finished.approvals, ALLOWED)

    again = await _go_on(conversation, kept, ASK, said, tools=(_named(shop, "shop.buy_one"),))

    assert [request.tool for request in again.finished.approvals] == ["shop.buy_one"]
    assert shop.bought == []


async def test_what_was_refused_is_not_made_with_a_tool_that_models_know_by_the_same_name(
    conversation, fake, shop, kept
):
    fake.call("buy", {"what": "a"})
    asked = await conversation.say(
        "Buy", journal=kept.open(), policy=Rule(ASK), tools=(_named(shop, "shop.buy.one"),)
    )
    said = _say(asked.finished.approvals, REFUSED)
    fake.reply("Well.")

    await _go_on(conversation, kept, ALLOW, said, tools=(_named(shop, "shop.buy_one"),))

    assert shop.bought == []
