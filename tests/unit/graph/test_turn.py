from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from graph.turn import Turn

CALL = {"name": "look", "args": {}, "id": "1"}


def test_only_the_newest_question_and_what_follows_it_count():
    turn = Turn.newest([HumanMessage("a", id="q1"), AIMessage("b"), HumanMessage("c", id="q2")])

    assert (turn.question_id, turn.content) == ("q2", "")


def test_a_conversation_without_a_question_is_nobodys_turn():
    assert Turn.newest([]).question_id is None
    assert Turn.newest([AIMessage("Welcome.")]).question_id is None


def test_steps_that_say_something_are_set_apart():
    turn = Turn.newest(
        [
            HumanMessage("q"),
            AIMessage("", tool_calls=[CALL]),
            AIMessage("One."),
            AIMessage(""),
            AIMessage("Two."),
        ]
    )

    assert turn.content == "One.\n\nTwo."
    assert turn.lead == "\n\n"
    assert turn.call_ids == {"1"}


def test_white_space_alone_says_nothing():
    turn = Turn.newest([HumanMessage("q"), AIMessage(" \n"), AIMessage("One.")])

    assert turn.content == " \nOne."
    assert Turn.newest([HumanMessage("q"), AIMessage(" \n")]).lead == ""


def test_sources_come_in_the_order_of_the_calls_and_malformed_ones_not_at_all():
    artifacts = [{"sources": [{"id": 1}, {"title": "x"}, 3]}, None, {"sources": 5}, "text"]

    turn = Turn.newest(
        [
            HumanMessage("q"),
            *(ToolMessage("r", tool_call_id=str(n), artifact=a) for n, a in enumerate(artifacts)),
        ]
    )

    assert turn.sources == [{"id": 1}]


def test_the_model_and_its_thoughts_are_those_of_the_whole_turn():
    turn = Turn.newest(
        [
            HumanMessage("q"),
            AIMessage("a", additional_kwargs={"reasoning_content": "Hm. "}),
            AIMessage("b", additional_kwargs={"reasoning_content": "Yes."}),
            AIMessage("c", response_metadata={"model_name": "small"}),
        ]
    )

    assert (turn.reasoning, turn.model) == ("Hm. Yes.", "small")
