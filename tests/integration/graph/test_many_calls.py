"""Messages that ask for many calls at once."""

import asyncio
from collections.abc import Sequence

import pytest
from langchain_core.messages import ToolMessage

from graph.approvals import Decision, ProposedCall, Verdict
from graph.events import ApprovalNeeded, Log, ToolCall
from tests.fakes.conversation import Conversation
from tests.fakes.hinted_tools import hinted
from tests.fakes.kept_journal import KeptCalls

WAIT_SECONDS = 10


class Desk:
    """A tool that counts who is at it, and lets everybody go when as many came as were awaited."""

    def __init__(self, awaited: int) -> None:
        self.present = self.most = 0
        self.served: list[int] = []
        self._awaited = awaited
        self._go_on = asyncio.Event()

        async def queue(number: int) -> str:
            """Wait for one's turn."""
            self.present += 1
            self.most = max(self.most, self.present)
            if self.most == self._awaited:
                self._go_on.set()
            await self._go_on.wait()
            await asyncio.sleep(0)
            self.present -= 1
            self.served.append(number)
            return f"served {number}"

        self.tool = hinted(queue)


def _numbered(count: int) -> list[tuple[str, dict[str, int]]]:
    return [("queue", {"number": number}) for number in range(count)]


async def test_so_many_calls_of_a_message_are_made_at_a_time_and_no_more(model, fake):
    desk = Desk(awaited=3)
    conversation = Conversation(model, [desk.tool], max_parallel_calls=3)
    fake.calls(*_numbered(10))
    fake.reply("Done.")

    told = await asyncio.wait_for(
        conversation.say("Go", journal=KeptCalls().open()), timeout=WAIT_SECONDS
    )

    assert desk.most == 3
    results = [m["content"] for m in fake.requests[1].messages if m["role"] == "tool"]
    assert results == [f"served {number}" for number in range(10)]
    assert told.finished.tool_calls == 10


async def test_a_run_that_is_cancelled_leaves_the_calls_that_wait_alone(model, fake):
    desk = Desk(awaited=99)
    journal = KeptCalls()
    conversation = Conversation(model, [desk.tool], max_parallel_calls=2)
    fake.calls(*_numbered(5))
    run = asyncio.create_task(conversation.say("Go", journal=journal.open()))
    async with asyncio.timeout(WAIT_SECONDS):
        while desk.present < 2:
            await asyncio.sleep(0)

    run.cancel()
    await asyncio.gather(run, return_exceptions=True)

    assert desk.present == 2
    assert [call.status for call in journal.calls.values()] == ["begun"] * 2


async def test_calls_that_are_too_many_for_a_message_are_left_out_and_the_model_is_told_once(
    model, fake
):
    desk = Desk(awaited=1)
    conversation = Conversation(model, [desk.tool], max_calls_per_message=4)
    fake.calls(*_numbered(5_000))
    fake.reply("Done.")
    fake.reply("Again.")

    told = await conversation.say("Go")
    await conversation.say("And now?")

    assert sorted(desk.served) == [0, 1, 2, 3]
    for request in fake.requests[1:]:
        [asked] = [m for m in request.messages if "tool_calls" in m]
        assert len(asked["tool_calls"]) == 4
        results = [m["content"] for m in request.messages if m["role"] == "tool"]
        assert results[:3] == [f"served {number}" for number in range(3)]
        assert len(results) == 4
        assert "4996 more calls" in results[3]
        assert results[3].endswith("served 3")
    assert told.finished.tool_calls == 4
    assert len(told.of(ToolCall)) == 8
    assert [log.level for log in told.of(Log)] == ["warning"]
    kept = [m for m in await conversation.messages() if isinstance(m, ToolMessage)]
    assert [m.content for m in kept] == [f"served {number}" for number in range(4)]


async def test_calls_that_cannot_be_understood_are_limited_with_the_others(model, fake):
    desk = Desk(awaited=1)
    conversation = Conversation(model, [desk.tool], max_calls_per_message=4)
    fake.calls(*[("queue", "no json")] * 5_000, *_numbered(1))
    fake.reply("Done.")

    await conversation.say("Go")

    [asked] = [m for m in await conversation.messages() if getattr(m, "tool_calls", ())]
    assert (len(asked.tool_calls), len(asked.invalid_tool_calls)) == (1, 3)
    results = [m["content"] for m in fake.requests[1].messages if m["role"] == "tool"]
    assert results[0] == "served 0"
    assert ["not valid JSON" in result for result in results[1:]] == [True] * 3
    assert ["4997 more calls" in result for result in results] == [False] * 3 + [True]


@pytest.mark.parametrize("verdict", ["allow", "ask"])
async def test_nobody_is_asked_about_calls_that_are_too_many(model, fake, verdict):
    judged: list[ProposedCall] = []

    async def policy(calls: Sequence[ProposedCall]) -> list[Verdict]:
        judged.extend(calls)
        return [Verdict(decision=verdict) for _ in calls]

    desk = Desk(awaited=1)
    conversation = Conversation(model, [desk.tool], max_calls_per_message=2)
    fake.calls(*_numbered(5))
    fake.reply("Done.")
    told = await conversation.say("Go", policy=policy)
    if verdict == "ask":
        [needed] = told.of(ApprovalNeeded)
        assert [request.args["number"] for request in needed.requests] == [0, 1]
        decisions = {request.id: Decision(decision="allow") for request in needed.requests}
        await conversation.taken_over().say(None, policy=policy, decisions=decisions)

    assert {call.args["number"] for call in judged} == {0, 1}
    assert sorted(desk.served) == [0, 1]
    results = [m["content"] for m in fake.requests[1].messages if m["role"] == "tool"]
    assert ["served" in result for result in results] == [True] * 2
    assert "3 more calls" in results[1]
