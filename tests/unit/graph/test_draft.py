from hypothesis import given
from hypothesis import strategies as st

from graph.draft import Draft
from graph.events import Reasoning, Token


def _write(pieces, **options):
    events = []
    draft = Draft(events.append, **({"hold_calls": False} | options))
    for piece in pieces:
        draft.add(piece)
    draft.close()
    draft.release()
    text = "".join(event.text for event in events if isinstance(event, Token))
    thought = "".join(event.text for event in events if isinstance(event, Reasoning))
    assert (draft.text, draft.reasoning) == (text, thought)
    return text, thought, events


@given(st.lists(st.text()), st.booleans())
def test_text_without_tags_arrives_whole(pieces, hold_calls):
    whole = "".join(pieces)
    if whole.lstrip().startswith("<think>"):
        return

    assert _write(pieces, hold_calls=hold_calls)[:2] == (whole, "")


@given(st.data())
def test_thinking_is_told_apart_wherever_the_pieces_are_cut(data):
    whole = " <think>one <b> two</think>\n\nthree </think> four"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1))))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    text, thought, _ = _write(pieces)

    assert (text, thought) == ("three </think> four", "one <b> two")


def test_a_tag_that_is_never_closed_holds_only_reasoning():
    assert _write(["<think>on and on </thi"])[:2] == ("", "on and on </thi")


def test_a_tag_in_the_middle_is_part_of_the_answer():
    assert _write(["The tag <think> opens it."])[:2] == ("The tag <think> opens it.", "")


def test_text_goes_out_piece_by_piece():
    *_, events = _write(["One ", "two"], hold_calls=True)

    assert events == [Token(text="One "), Token(text="two")]


def test_what_may_be_a_call_is_held_back_until_it_is_clear():
    events = []
    draft = Draft(events.append, hold_calls=True)

    draft.add('{"name": "add"')
    assert events == []
    draft.close()
    assert draft.text == '{"name": "add"'
    assert events == []


def test_the_lead_goes_out_with_the_first_word_and_is_not_part_of_the_text():
    events = []
    draft = Draft(events.append, hold_calls=False, lead="\n\n")

    draft.add("Hello")
    draft.add(" there")

    assert events == [Token(text="\n\nHello"), Token(text=" there")]
    assert draft.text == "Hello there"
