"""Runs that die around a tool call and are taken over: what must not happen twice does not."""

import asyncio
import gc
from collections.abc import Sequence

import pytest

from graph.approvals import ApprovalRequest, Decision, ProposedCall, Verdict
from graph.events import Sources, ToolCall
from tests.fakes.conversation import Conversation, Told
from tests.fakes.hinted_tools import hinted
from tests.fakes.kept_journal import KeptCalls, KeptJournal
from tests.fakes.mortal_saver import MortalSaver
from tests.fakes.ollama_server import Pause, ScriptedCall, Turn

WAIT_SECONDS = 10
ROUNDS_OF_THE_LOOP = 100
"""In which a step that does not wait is long over."""


class Workshop:
    """Tools that record their calls, and that a test can hold in the middle."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.holds: dict[str, asyncio.Event] = {}
        self.reached: dict[str, asyncio.Event] = {}

        async def pay(to: str) -> tuple[str, dict]:
            """Pay somebody; twice would be wrong."""
            await self._work(to)
            sources = [{"id": to, "title": "receipt"}]
            return f"paid {to}", {"sources": sources, "contents": [{"id": f"stamp of {to}"}]}

        async def look(at: str) -> str:
            """Look at something, as often as one likes."""
            await self._work(at)
            return f"saw {at}"

        self.tools = [
            hinted(pay, response_format="content_and_artifact"),
            hinted(look, repeatable=True),
        ]

    def hold(self, what: str) -> asyncio.Event:
        """Let the next call with this argument stand still; tells when it is there."""
        self.holds[what] = asyncio.Event()
        self.reached[what] = asyncio.Event()
        return self.reached[what]

    async def _work(self, what: str) -> None:
        self.ran.append(what)
        if what in self.holds:
            self.reached[what].set()
            await self.holds.pop(what).wait()


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


@pytest.fixture
def kept() -> KeptCalls:
    return KeptCalls()


@pytest.fixture
def saver() -> MortalSaver:
    return MortalSaver()


@pytest.fixture
def conversation(model, workshop, saver) -> Conversation:
    return Conversation(model, workshop.tools, checkpointer=saver)


async def _die(run: "asyncio.Task[Told]", saver: MortalSaver, when: asyncio.Event) -> None:
    """Kill the process of a run at a moment; nothing of it is stored from then on."""
    await asyncio.wait_for(when.wait(), WAIT_SECONDS)
    saver.is_dead = True
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    saver.is_dead = False


async def _say_and_die(
    conversation: Conversation, journal: KeptJournal, when: asyncio.Event, **context: object
) -> None:
    run = asyncio.create_task(conversation.say("Go on", journal=journal, **context))
    await _die(run, conversation.saver, when)  # type: ignore[arg-type]


def _allow(requests: Sequence[ApprovalRequest]) -> dict[str, Decision]:
    return {request.id: Decision(decision="allow") for request in requests}


async def test_a_result_that_was_heard_is_used_and_the_call_not_made_again(
    conversation, fake, workshop, kept
):
    both = workshop.hold("slow")
    fake.calls(("pay", {"to": "Ada"}), ("look", {"at": "slow"}))
    fake.reply("Paid.")
    ended = asyncio.Event()

    class Telling(KeptJournal):
        async def end(self, *args, **kwargs):
            await super().end(*args, **kwargs)
            await both.wait()
            ended.set()

    await _say_and_die(conversation, Telling(kept), ended)
    told = await conversation.taken_over().say(None, journal=kept.open())

    assert workshop.ran.count("Ada") == 1
    assert workshop.ran.count("slow") == 2
    recalled = [event for event in told.of(ToolCall) if event.recalled]
    assert [(event.status, event.result) for event in recalled] == [("end", "paid Ada")]
    assert [event.contents for event in recalled] == [({"id": "stamp of Ada"},)]
    results = [m["content"] for m in fake.requests[-1].messages if m["role"] == "tool"]
    assert results == ["paid Ada", "saw slow"]
    assert [source["id"] for source in told.finished.sources] == ["Ada"]
    assert told.finished.content == "Paid."


async def test_a_call_that_had_not_begun_is_just_made(conversation, fake, workshop, kept, saver):
    fake.call("pay", {"to": "Ada"})
    fake.reply("Paid.")
    asked = asyncio.Event()

    class Hesitating(KeptJournal):
        async def begin(self, call: ProposedCall) -> None:
            asked.set()
            await asyncio.Event().wait()

    await _say_and_die(conversation, Hesitating(kept), asked)
    assert workshop.ran == []

    told = await conversation.taken_over().say(None, journal=kept.open())
    assert workshop.ran == ["Ada"]
    assert told.finished.content == "Paid."
    assert len(fake.requests) == 2


async def test_a_call_that_had_begun_is_put_to_the_user(conversation, fake, workshop, kept):
    fake.call("pay", {"to": "Ada"})
    await _say_and_die(conversation, kept.open(), workshop.hold("Ada"))

    told = await conversation.taken_over().say(None, journal=kept.open())

    [request] = told.finished.approvals
    assert (request.tool, request.args) == ("tests.pay", {"to": "Ada"})
    assert (request.cause, request.approver) == ("interrupted", "user")
    assert "may have taken effect" in request.reason
    assert workshop.ran == ["Ada"]
    assert told.finished.status == "awaiting_approval"


async def test_a_call_that_had_begun_is_made_again_when_the_user_allows_it(
    conversation, fake, workshop, kept
):
    fake.call("pay", {"to": "Ada"})
    fake.reply("Paid.")
    await _say_and_die(conversation, kept.open(), workshop.hold("Ada"))
    asked = await conversation.taken_over().say(None, journal=kept.open())

    told = await conversation.taken_over().say(
        None, journal=kept.open(), decisions=_allow(asked.finished.approvals)
    )

    assert workshop.ran == ["Ada", "Ada"]
    assert told.finished.content == "Paid."
    [call] = kept.calls.values()
    assert (call.status, call.begun) == ("end", 2)


@pytest.mark.parametrize("decision", ["refuse", "edit"])
async def test_the_model_hears_that_nobody_knows_what_a_call_did(
    conversation, fake, workshop, kept, decision
):
    fake.call("pay", {"to": "Ada"})
    fake.reply("I cannot say.")
    await _say_and_die(conversation, kept.open(), workshop.hold("Ada"))
    asked = await conversation.taken_over().say(None, journal=kept.open())
    [request] = asked.finished.approvals

    told = await conversation.taken_over().say(
        None,
        journal=kept.open(),
        decisions={request.id: Decision(decision=decision, args={"to": "Mallory"})},
    )

    assert workshop.ran == ["Ada"]
    assert "Nobody knows" in fake.requests[-1].messages[-1]["content"]
    assert [(e.status, e.recalled) for e in told.of(ToolCall)] == [("error", True)]
    assert [call.status for call in kept.calls.values()] == ["begun"]


async def test_a_call_that_dies_again_is_asked_about_again(conversation, fake, workshop, kept):
    fake.call("pay", {"to": "Ada"})
    await _say_and_die(conversation, kept.open(), workshop.hold("Ada"))
    first = await conversation.taken_over().say(None, journal=kept.open())
    decisions = _allow(first.finished.approvals)
    again = workshop.hold("Ada")
    run = asyncio.create_task(
        conversation.taken_over().say(None, journal=kept.open(), decisions=decisions)
    )
    await _die(run, conversation.saver, again)

    second = await conversation.taken_over().say(None, journal=kept.open(), decisions=decisions)

    assert workshop.ran == ["Ada", "Ada"]
    assert second.finished.status == "awaiting_approval"
    assert second.finished.approvals[0].id != first.finished.approvals[0].id


async def test_all_calls_of_a_step_that_had_begun_are_asked_about_before_any_is_made(
    conversation, fake, workshop, kept
):
    fake.calls(
        ("look", {"at": "1"}),
        *(("pay", {"to": who}) for who in ("Ada", "Bob", "Eve")),
    )
    fake.reply("Done.")
    holds = [workshop.hold(who) for who in ("Ada", "Bob")]
    eve_is_stored = asyncio.Event()

    class Telling(KeptJournal):
        async def end(self, *args, **kwargs):
            await super().end(*args, **kwargs)
            await asyncio.gather(*(hold.wait() for hold in holds))
            eve_is_stored.set()

    await _say_and_die(conversation, Telling(kept), eve_is_stored)
    workshop.ran.clear()

    asked = await conversation.taken_over().say(None, journal=kept.open())
    assert [request.args["to"] for request in asked.finished.approvals] == ["Ada", "Bob"]
    assert workshop.ran == []

    ada, bob = asked.finished.approvals
    decisions = {ada.id: Decision(decision="refuse"), bob.id: Decision(decision="allow")}
    await conversation.taken_over().say(None, journal=kept.open(), decisions=decisions)
    assert sorted(workshop.ran) == ["1", "Bob"]
    results = [m["content"] for m in fake.requests[-1].messages if m["role"] == "tool"]
    assert "Nobody knows" in results[1]
    assert [results[0], *results[2:]] == ["saw 1", "paid Bob", "paid Eve"]


async def test_a_call_that_was_allowed_and_then_died_is_asked_about_anew(
    conversation, fake, workshop, kept
):
    async def ask(calls: Sequence[ProposedCall]) -> list[Verdict]:
        return [Verdict(decision="ask")] * len(calls)

    fake.call("pay", {"to": "Ada"})
    first = await conversation.say("Pay", journal=kept.open(), policy=ask)
    decisions = _allow(first.finished.approvals)
    run = asyncio.create_task(
        conversation.taken_over().say(None, journal=kept.open(), policy=ask, decisions=decisions)
    )
    await _die(run, conversation.saver, workshop.hold("Ada"))

    second = await conversation.taken_over().say(
        None, journal=kept.open(), policy=ask, decisions=decisions
    )

    assert [request.cause for request in second.finished.approvals] == ["interrupted"]
    assert workshop.ran == ["Ada"]


async def test_what_is_known_of_a_call_is_used_although_its_tool_is_gone(
    conversation, fake, workshop, kept
):
    fake.calls(("pay", {"to": "Ada"}), ("pay", {"to": "Bob"}))
    fake.reply("I cannot say.")
    bob_is_paid = asyncio.Event()
    ada = workshop.hold("Ada")

    class Telling(KeptJournal):
        async def end(self, *args, **kwargs):
            await super().end(*args, **kwargs)
            await ada.wait()
            bob_is_paid.set()

    await _say_and_die(conversation, Telling(kept), bob_is_paid)
    await conversation.taken_over().say(None, journal=kept.open(), tools=())

    results = [m["content"] for m in fake.requests[-1].messages if m["role"] == "tool"]
    assert "Nobody knows" in results[0]
    assert results[1] == "paid Bob"
    assert sorted(workshop.ran) == ["Ada", "Bob"]


async def test_what_was_asked_is_asked_the_same_when_the_process_died_before_it_was_told(
    conversation, fake, workshop, kept
):
    fake.call("pay", {"to": "Ada"})
    await _say_and_die(conversation, kept.open(), workshop.hold("Ada"))

    first = await conversation.taken_over().say(None, journal=kept.open())
    second = await conversation.taken_over().say(None, journal=kept.open())

    assert first.finished.approvals == second.finished.approvals


async def test_a_result_is_stored_although_the_run_is_cancelled_meanwhile(
    conversation, fake, workshop, kept
):
    storing, may_store = asyncio.Event(), asyncio.Event()

    class Slow(KeptJournal):
        async def end(self, *args, **kwargs):
            storing.set()
            await may_store.wait()
            await super().end(*args, **kwargs)

    fake.call("pay", {"to": "Ada"})
    run = asyncio.create_task(conversation.say("Pay", journal=Slow(kept)))
    await asyncio.wait_for(storing.wait(), WAIT_SECONDS)
    run.cancel()
    may_store.set()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert [call.status for call in kept.calls.values()] == ["end"]


async def test_a_call_that_cannot_be_journaled_is_not_made(conversation, fake, workshop, kept):
    class LeaseLost(Exception):
        pass

    class Refusing(KeptJournal):
        async def begin(self, call: ProposedCall) -> None:
            raise LeaseLost

    fake.calls(("pay", {"to": "Ada"}), ("look", {"at": "1"}))

    with pytest.raises(LeaseLost):
        await conversation.say("Pay", journal=Refusing(kept))

    assert "Ada" not in workshop.ran


async def test_a_call_is_not_made_before_the_checkpoint_that_holds_it_is_stored(
    conversation, fake, workshop, kept, saver
):
    # Otherwise the attempt that follows would not know the call, and ask the model for another.
    pause = Pause()
    calls = (ScriptedCall(tool="pay", args={"to": "Ada"}),)
    fake.add(Turn(calls=calls, ending="hang", pause=pause))
    fake.reply("Paid.")
    run = asyncio.create_task(conversation.say("Pay", journal=kept.open()))
    await asyncio.wait_for(pause.reached.wait(), WAIT_SECONDS)
    saver.may_store.clear()
    pause.release()
    await asyncio.wait_for(saver.is_asked.wait(), WAIT_SECONDS)
    for _ in range(ROUNDS_OF_THE_LOOP):
        await asyncio.sleep(0)
    assert kept.calls == {}

    saver.may_store.set()
    await run
    assert workshop.ran == ["Ada"]


async def test_a_run_whose_tools_may_all_be_repeated_does_not_wait_for_its_checkpoints(
    model, fake, workshop, kept, saver
):
    conversation = Conversation(model, workshop.tools, checkpointer=saver)
    fake.call("look", {"at": "1"})
    reached = workshop.hold("1")
    saver.may_store.clear()
    run = asyncio.create_task(
        conversation.say("Look", journal=kept.open(), tools=(workshop.tools[1],))
    )

    await asyncio.wait_for(reached.wait(), WAIT_SECONDS)

    assert saver.is_asked.is_set()
    assert not run.done()
    run.cancel()
    saver.may_store.set()
    await asyncio.gather(run, return_exceptions=True)


async def test_calls_that_may_be_repeated_are_in_no_journal(conversation, fake, workshop, kept):
    fake.call("look", {"at": "1"})
    fake.reply("Seen.")

    await conversation.say("Look", journal=kept.open())

    assert kept.calls == {}


async def test_the_journal_is_no_obstacle_when_nothing_goes_wrong(
    conversation, fake, workshop, kept
):
    fake.call("pay", {"to": "Ada"})
    fake.reply("Paid.")

    told = await conversation.say("Pay", journal=kept.open())

    assert told.finished.content == "Paid."
    assert [e.status for e in told.of(ToolCall)] == ["start", "end"]
    assert told.of(Sources)
    assert [(c.status, c.text) for c in kept.calls.values()] == [("end", "paid Ada")]


@pytest.mark.parametrize("lost_at", ["begin", "end"])
async def test_a_journal_that_refuses_a_run_that_was_stopped_is_heard_by_nobody_and_no_fault(
    conversation, fake, workshop, kept, lost_at
):
    class LeaseLost(Exception):
        pass

    asked, stopped = asyncio.Event(), asyncio.Event()

    async def refuse() -> None:
        asked.set()
        try:
            await stopped.wait()
        finally:
            raise LeaseLost

    class Refusing(KeptJournal):
        async def begin(self, call: ProposedCall) -> None:
            await super().begin(call)
            if lost_at == "begin":
                await refuse()

        async def end(self, *args, **kwargs) -> None:
            await refuse()

    unheard: list = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: unheard.append(about))
    fake.call("pay", {"to": "Ada"})
    run = asyncio.create_task(conversation.say("Pay", journal=Refusing(kept)))
    await asyncio.wait_for(asked.wait(), WAIT_SECONDS)
    run.cancel()
    for _ in range(ROUNDS_OF_THE_LOOP):
        await asyncio.sleep(0)
    stopped.set()
    await asyncio.wait({run})
    assert run.cancelled()
    del run  # and with it all that its traceback holds
    for _ in range(ROUNDS_OF_THE_LOOP):
        await asyncio.sleep(0)
    gc.collect()
    assert unheard == []
