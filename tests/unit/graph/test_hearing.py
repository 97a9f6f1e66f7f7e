"""What a server says and asks during a call becomes events of the run."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

from graph.approvals import ProposedCall
from graph.events import Log, ModelCalled, QuestionClosed, ToolProgress
from graph.hearing import LOG_MAX, UNHEARD, CallHearing, PersonQuestion
from graph.sampling import Sampler, SamplingBudget
from tools.calls import Elicitation, ElicitationAnswer, SamplingRequest
from tools.errors import RequestDeclined

CALL = ProposedCall(call_id="1", tool="odd.tool", args={}, read_only=False, repeatable=False)
SAMPLING = SamplingRequest(
    messages=[("user", "What?")], system_prompt="Be kind.", max_tokens=5, temperature=None
)

WHO = Elicitation(message="Who?", schema={})


@dataclass
class Somebody:
    """Answers as told; without an answer, only when nobody needs one any more."""

    action: Any = None
    asked: list[PersonQuestion] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    pausing: Any = None
    """What it was given for the time in which a question is open."""

    async def ask(self, call, question, *, over, tell, pausing) -> ElicitationAnswer:
        assert call is CALL
        self.asked.append(question)
        self.pausing = pausing
        self.reached.set()
        if self.action is None:
            await over.wait()
        tell(QuestionClosed(question_id="q", status="cancelled"))
        return ElicitationAnswer(action=self.action or "cancel")


def hearing(told: list[Any], person: Somebody | None = None, **given: Any) -> CallHearing:
    model = FakeListChatModel(responses=["four"])
    budget = given.pop("budget", SamplingBudget(calls=1, tokens=100))
    return CallHearing(
        CALL,
        emit=told.append,
        people=person or Somebody("decline"),
        sampler=Sampler(model, budget),
        sampling=given.pop("sampling", "deny"),
    )


async def test_progress_is_told_in_one_line():
    told: list[Any] = []
    async with hearing(told) as heard:
        heard.progress(1, 10, "half\n way\n")
        heard.progress(2, None, " \n")
    assert told == [
        ToolProgress(tool="odd.tool", call_id="1", progress=1, total=10, message="half way"),
        ToolProgress(tool="odd.tool", call_id="1", progress=2, total=None, message=None),
    ]


async def test_so_many_messages_of_a_log_are_told_and_then_that_there_are_more():
    told: list[Any] = []
    async with hearing(told) as heard:
        heard.log("info", " \n")
        for number in range(300):
            heard.log("warning", f"line {number}")
    assert told[0] == Log(level="warning", message="line 0", tool="odd.tool", call_id="1")
    assert len(told) == LOG_MAX
    assert told[-1].message == UNHEARD


async def test_a_form_and_an_address_are_put_to_the_person():
    person = Somebody("accept")
    async with hearing([], person) as heard:
        form = await heard.elicit(
            Elicitation(message="Who?", schema={"type": "object"}), pausing=nullcontext
        )
        await heard.elicit(
            Elicitation(message="Sign.", schema={}, url="https://example.org"), pausing=nullcontext
        )
    assert form.action == "accept"
    assert [(each.kind, each.url) for each in person.asked] == [
        ("form", None),
        ("url", "https://example.org"),
    ]


async def test_a_question_ends_with_its_call_and_that_is_told_before():
    told: list[Any] = []
    person = Somebody()
    async with hearing(told, person) as heard:
        asking = asyncio.create_task(heard.elicit(WHO, pausing=nullcontext))
        await person.reached.wait()
    assert told == [QuestionClosed(question_id="q", status="cancelled")]
    assert (await asking).action == "cancel"
    with pytest.raises(RequestDeclined):
        await heard.elicit(WHO, pausing=nullcontext)


async def test_a_run_that_is_stopped_hears_nothing_more():
    told: list[Any] = []
    person = Somebody()

    async def call() -> None:
        async with hearing(told, person) as heard:
            asked.append(asyncio.create_task(heard.elicit(WHO, pausing=nullcontext)))
            await asyncio.Event().wait()

    asked: list[asyncio.Task[ElicitationAnswer]] = []
    calling = asyncio.create_task(call())
    await person.reached.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert (await asked[0]).action == "cancel"
    assert told == []


async def test_the_model_answers_where_that_is_allowed():
    told: list[Any] = []
    async with hearing(told, sampling="allow") as heard:
        answer = await heard.sample(SAMPLING, pausing=nullcontext)
    assert answer.text == "four"
    assert [type(each) for each in told] == [ModelCalled]
    assert told[0].purpose == "sampling"


async def test_the_model_answers_nobody_where_it_is_denied():
    async with hearing([]) as heard:
        with pytest.raises(RequestDeclined, match="No model"):
            await heard.sample(SAMPLING, pausing=nullcontext)


async def test_the_person_sees_what_the_model_would_be_told():
    person = Somebody("accept")
    async with hearing([], person, sampling="ask") as heard:
        assert (await heard.sample(SAMPLING, pausing=nullcontext)).text == "four"
    [question] = person.asked
    assert question.kind == "sampling"
    assert question.message == "instructions: Be kind.\n\nuser: What?"


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_what_the_person_does_not_allow_the_model_does_not_answer(action: str):
    told: list[Any] = []
    async with hearing(told, Somebody(action), sampling="ask") as heard:
        with pytest.raises(RequestDeclined, match="did not allow"):
            await heard.sample(SAMPLING, pausing=nullcontext)
    assert [each for each in told if isinstance(each, ModelCalled)] == []


async def test_nobody_is_asked_when_the_budget_is_used_up():
    person = Somebody("accept")
    budget = SamplingBudget(calls=0, tokens=10)
    async with hearing([], person, sampling="ask", budget=budget) as heard:
        with pytest.raises(RequestDeclined, match="as much as it may"):
            await heard.sample(SAMPLING, pausing=nullcontext)
    assert person.asked == []


class Clock:
    """Says whether it stands still, and how often it has done so."""

    def __init__(self) -> None:
        self.pauses, self.open = 0, 0

    @contextmanager
    def pausing(self) -> Iterator[None]:
        self.pauses, self.open = self.pauses + 1, self.open + 1
        try:
            yield
        finally:
            self.open -= 1


async def test_the_time_of_a_call_stands_still_only_while_somebody_is_at_work_on_an_answer():
    clock, person = Clock(), Somebody("accept")
    async with hearing([], person, sampling="ask") as heard:
        await heard.elicit(WHO, pausing=clock.pausing)
        assert clock.pauses == 0  # that is up to whoever shows it to the person
        assert person.pausing == clock.pausing
        await heard.sample(SAMPLING, pausing=clock.pausing)
        with pytest.raises(RequestDeclined, match="as much as it may"):
            await heard.sample(SAMPLING, pausing=clock.pausing)
    assert (clock.pauses, clock.open) == (1, 0)
