from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from graph.loops import IDENTICAL_CALLS_ALLOWED, is_going_in_circles, repeated_calls


def _asked(*args: dict) -> AIMessage:
    calls = [{"name": "look", "args": a, "id": f"c{number}"} for number, a in enumerate(args)]
    return AIMessage("", tool_calls=calls)


def test_different_calls_are_no_circle():
    messages = [HumanMessage("Look"), *(_asked({"place": number}) for number in range(9))]

    assert repeated_calls(messages) == []
    assert not is_going_in_circles(messages)


def test_the_same_call_is_a_circle_after_the_allowed_number():
    messages = [HumanMessage("Look"), *([_asked({"a": 1, "b": 2})] * IDENTICAL_CALLS_ALLOWED)]
    assert repeated_calls(messages) == []

    messages.append(_asked({"b": 2, "a": 1}))

    assert len(repeated_calls(messages)) == 1
    assert is_going_in_circles([*messages, ToolMessage("no", tool_call_id="c0")])


def test_a_new_call_beside_a_repeated_one_is_progress():
    messages = [HumanMessage("Look"), *([_asked({"a": 1})] * IDENTICAL_CALLS_ALLOWED)]
    messages.append(_asked({"a": 1}, {"a": 2}))

    assert [call["id"] for call in repeated_calls(messages)] == ["c0"]
    assert not is_going_in_circles(messages)


def test_calls_repeated_within_one_step_count():
    messages = [HumanMessage("Look"), _asked(*[{"a": 1}] * (IDENTICAL_CALLS_ALLOWED + 2))]

    assert len(repeated_calls(messages)) == 2


def test_a_new_turn_starts_afresh():
    messages = [HumanMessage("Look"), *([_asked({"a": 1})] * 9), HumanMessage("Again")]

    assert repeated_calls(messages) == []
