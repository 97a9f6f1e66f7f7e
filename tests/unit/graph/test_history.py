from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from graph.history import (
    CLIPPED_RESULT_CHARS,
    batch_history,
    count_tokens,
    fit_history,
    split_history,
)


def _turns(*sizes: int) -> list:
    return [
        message
        for number, size in enumerate(sizes)
        for message in (HumanMessage("q" * size, id=f"q{number}"), AIMessage("a", id=f"a{number}"))
    ]


def test_tokens_are_counted_by_the_bytes_of_the_text():
    assert count_tokens([HumanMessage("a" * 400)]) == 104
    assert count_tokens([HumanMessage("日" * 400)]) == 304
    assert count_tokens([AIMessage([{"type": "text", "text": "a" * 400}])]) == 104


def test_arguments_of_calls_count():
    call = {"name": "search", "args": {"query": "x" * 400}, "id": "1"}

    assert count_tokens([AIMessage("", tool_calls=[call])]) > 100


def test_whole_turns_are_kept_from_the_newest_on():
    messages = _turns(400, 400, 400)

    split = split_history(messages, 250)

    assert [message.id for message in split.old] == ["q0", "a0"]
    assert [message.id for message in split.recent] == ["q1", "a1", "q2", "a2"]


@given(st.lists(st.integers(1, 800), min_size=1, max_size=8), st.integers(1, 1000))
def test_splitting_loses_nothing_and_keeps_the_newest_turn(sizes, budget):
    messages = _turns(*sizes)

    split = split_history(messages, budget)

    assert [*split.old, *split.recent] == messages
    assert split.recent[-2:] == messages[-2:]
    assert count_tokens(split.recent[:-2]) <= budget


@given(st.lists(st.integers(1, 800), max_size=8), st.integers(1, 1000))
def test_batches_are_the_whole_conversation_in_order(sizes, budget):
    messages = _turns(*sizes)

    batches = batch_history(messages, budget)

    assert [message for batch in batches for message in batch] == messages
    assert all(isinstance(batch[0], HumanMessage) for batch in batches)


def test_a_conversation_that_begins_with_an_answer_is_kept_together():
    messages = [AIMessage("Welcome."), HumanMessage("Hi")]

    assert split_history(messages, 100).recent == messages


def test_calls_without_a_result_are_answered_where_they_were_made():
    messages = [
        HumanMessage("Do two things"),
        AIMessage(
            "",
            tool_calls=[
                {"name": "one", "args": {}, "id": "1"},
                {"name": "two", "args": {}, "id": "2"},
            ],
        ),
        ToolMessage("done", tool_call_id="1", name="one"),
        HumanMessage("And now?"),
    ]

    sent = fit_history(messages, 1000)

    closing = [message for message in sent if message not in messages]
    assert [(m.tool_call_id, m.status) for m in closing] == [("2", "error")]
    assert isinstance(sent[-1], HumanMessage)
    assert len(messages) == 4


def test_results_come_in_the_order_of_their_calls():
    calls = [{"name": "read", "args": {}, "id": str(number)} for number in range(3)]
    messages = [
        HumanMessage("Read"),
        AIMessage("", tool_calls=calls),
        *(ToolMessage(each, tool_call_id=each) for each in ("2", "garbled", "0")),
        AIMessage("Again", tool_calls=calls[:1]),
        ToolMessage("later", tool_call_id="0"),
    ]

    sent = fit_history(messages, 1000)

    results = [message for message in sent if isinstance(message, ToolMessage)]
    assert [message.tool_call_id for message in results] == ["0", "1", "2", "garbled", "0"]
    assert (results[0].text, results[-1].text) == ("0", "later")


def test_long_tool_results_of_an_oversized_turn_are_shortened_oldest_first():
    calls = [{"name": "read", "args": {}, "id": str(number)} for number in range(2)]
    messages = [
        HumanMessage("Read both"),
        AIMessage("", tool_calls=calls),
        ToolMessage("x" * 4000, tool_call_id="0"),
        ToolMessage("y" * 4000, tool_call_id="1"),
    ]

    sent = fit_history(messages, 1300)

    assert sent[2].text.startswith("x" * CLIPPED_RESULT_CHARS + " […")
    assert not any(character.isdigit() for character in sent[2].text)
    assert sent[3].text == "y" * 4000
    assert messages[2].text == "x" * 4000


def test_images_of_the_user_are_sent_as_they_are():
    blocks = [{"type": "image", "base64": "AA==", "mime_type": "image/png"}]

    assert fit_history([HumanMessage(blocks)], 1000)[0].content == blocks
