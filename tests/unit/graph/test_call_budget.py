"""How many calls a run may make, counted in the messages of its turn."""

from collections.abc import Sequence

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from graph.approvals import ProposedCall
from graph.call_budget import Allowance, CallBudget, clear_affordable, mark_made
from graph.clearance import Clearance
from tools.calls import CallLimits


class Limits:
    """Budgets, each of a tool or of all that begin like it."""

    def __init__(self, **most: int) -> None:
        self.most = most

    def for_call(self, tool: str) -> CallLimits:
        return CallLimits()

    def budgets(self, tool: str) -> Sequence[CallBudget]:
        return [
            CallBudget(id=number, tools=f"{name}*", most=most)
            for number, (name, most) in enumerate(self.most.items())
            if tool.startswith(name)
        ]


def _call(call_id: str, tool: str = "mail.send") -> ProposedCall:
    return ProposedCall(call_id=call_id, tool=tool, args={}, read_only=False, repeatable=False)


def _calls(*ids: str) -> list[ProposedCall]:
    return [_call(call_id) for call_id in ids]


def _result(tool: str | None) -> ToolMessage:
    return mark_made(ToolMessage("done", tool_call_id="0"), tool)


def _turn(*tools: str | None) -> list[AnyMessage]:
    """A question, and the results of calls; None for one that was not made."""
    return [HumanMessage("Go"), *(_result(tool) for tool in tools)]


def _refused(messages: Sequence[AnyMessage], calls: list[ProposedCall], **most: int) -> list[str]:
    return list(Allowance.of(messages, Limits(**most)).refusals(calls))


def test_the_calls_that_come_first_have_what_is_left():
    assert _refused(_turn("mail.send"), _calls("a", "b", "c"), mail=2) == ["b", "c"]


def test_a_call_that_was_not_made_does_not_count():
    assert _refused(_turn(None, None), _calls("a"), mail=1) == []


def test_only_calls_of_this_turn_count():
    messages = [*_turn("mail.send", "mail.send"), AIMessage("Sent."), *_turn()]

    assert _refused(messages, _calls("a"), mail=1) == []


def test_all_tools_that_fit_a_rule_count_together_and_others_do_not():
    calls = [_call("a", "mail.read"), _call("b", "web.fetch"), _call("c", "mail.send")]

    assert _refused(_turn("mail.send"), calls, mail=2) == ["c"]


def test_every_budget_that_fits_has_to_hold():
    calls = [_call("a", "mail.read"), _call("b", "mail.send"), _call("c", "mail.send")]

    assert _refused(_turn(), calls, **{"mail.send": 1, "mail": 9}) == ["c"]
    assert _refused(_turn(), calls, **{"mail.send": 9, "mail": 1}) == ["b", "c"]


def test_a_call_that_one_budget_refuses_is_not_counted_in_another():
    calls = [_call("a", "mail.send"), _call("b", "mail.send"), _call("c", "mail.read")]

    assert _refused(_turn(), calls, **{"mail.send": 1, "mail": 2}) == ["b"]


def test_calls_that_an_earlier_attempt_began_count_first_and_are_not_refused():
    allowance = Allowance.of(_turn(), Limits(mail=1))

    assert list(allowance.refusals(_calls("a", "b", "c"), begun={"b"})) == ["a", "c"]
    assert list(allowance.refusals(_calls("a", "b"), begun={"a", "b"})) == []


@pytest.mark.parametrize(
    ("tools", "most", "sentence"),
    [
        ("mail.send", 1, "mail.send may be called once in a run, and was."),
        ("mail.send", 3, "mail.send may be called 3 times in a run, and was."),
        ("mail.*", 1, "Tools like mail.* may be called once in a run, all together, and were."),
        ("*", 64, "Tools may be called 64 times in a run, all together, and were."),
    ],
)
def test_the_model_hears_what_may_be_called_how_often(tools, most, sentence):
    assert CallBudget(id=1, tools=tools, most=most).refusal.startswith(sentence)


class People:
    """Says what is refused, and remembers in which order people were asked about what."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.asked: list[list[str]] = []

    async def clear(self, calls: Sequence[ProposedCall]) -> Clearance:
        self.asked.append([call.call_id for call in calls])
        refused = {c.call_id: "no" for c in calls if c.call_id in self.refused}
        return Clearance(edited={c.call_id: {} for c in calls}, refused=refused)


async def test_nobody_is_asked_about_calls_for_which_nothing_is_left():
    people = People()

    clearance = await clear_affordable(
        _calls("a", "b", "c"), Allowance.of(_turn(), Limits(mail=2)), people.clear
    )

    assert people.asked == [["a", "b"]]
    assert list(clearance.refused) == ["c"]
    assert list(clearance.edited) == ["a", "b"]


async def test_a_call_that_is_refused_leaves_its_place_to_the_next_one():
    people = People("a", "c")

    clearance = await clear_affordable(
        _calls("a", "b", "c", "d", "e"), Allowance.of(_turn(), Limits(mail=2)), people.clear
    )

    assert people.asked == [["a", "b"], ["c"], ["d"]]
    assert sorted(clearance.refused) == ["a", "c", "e"]


async def test_without_calls_nobody_is_asked():
    people = People()

    clearance = await clear_affordable([], Allowance.of(_turn(), Limits()), people.clear)

    assert (people.asked, clearance.refused) == ([], {})
