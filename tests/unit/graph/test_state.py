from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage

from graph.state import current_turn, merge_messages

IDS = st.sampled_from("abcd")
MESSAGES = st.builds(lambda text, key: HumanMessage(text, id=key), st.text(max_size=3), IDS)
REMOVALS = st.builds(lambda key: RemoveMessage(id=key), IDS)
WRITES = st.lists(st.lists(MESSAGES | REMOVALS, max_size=3), max_size=5)


@given(WRITES, WRITES)
def test_messages_merge_alike_however_the_writes_are_batched(first, second):
    step_by_step = merge_messages(merge_messages([], first), second)

    assert step_by_step == merge_messages([], first + second)


def test_a_message_with_a_known_id_replaces_the_other_in_its_place():
    old = [HumanMessage("one", id="1"), AIMessage("two", id="2")]

    merged = merge_messages(old, [[HumanMessage("uno", id="1")]])

    assert [message.text for message in merged] == ["uno", "two"]
    assert old[0].text == "one"


def test_messages_without_ids_are_all_kept():
    merged = merge_messages([], [[HumanMessage("a"), HumanMessage("b")], [HumanMessage("c")]])

    assert [message.text for message in merged] == ["a", "b", "c"]


def test_messages_may_be_written_as_pairs_and_dictionaries():
    merged = merge_messages([], [[("user", "Hello")], {"role": "assistant", "content": "Hi"}])

    assert [(type(m), m.text) for m in merged] == [(HumanMessage, "Hello"), (AIMessage, "Hi")]


def test_a_turn_begins_with_the_newest_message_of_the_user():
    messages = [
        HumanMessage("one"),
        AIMessage("1"),
        HumanMessage("two"),
        AIMessage("", tool_calls=[{"name": "t", "args": {}, "id": "c"}]),
        ToolMessage("2", tool_call_id="c"),
    ]

    assert list(current_turn(messages)) == messages[2:]
    assert list(current_turn([])) == []
