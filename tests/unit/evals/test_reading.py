"""From events to an answer."""

import itertools

import pytest

from evals.target.answer import Answer, CalledTool, dump_answer, load_answer
from evals.target.failed_run import RunFailed
from evals.target.reading import AnswerReader
from server.cli.events import ServerSentEvent

RUN = ("run", {"run_id": "r1", "session_id": "s1"})
DONE = (
    "done",
    {
        "metadata": {
            "status": "success",
            "iterations": 2,
            "tool_calls": 1,
            "tokens_in": 30,
            "tokens_out": 5,
            "citations": {"cited": ["a"], "unknown": ["zz"]},
        }
    },
)
CALL = {"tool": "datetime.now", "call_id": "c1"}


def read(*events):
    ticks = itertools.count(100.0)
    reader = AnswerReader(lambda: next(ticks))
    for name, data in events:
        reader.take(ServerSentEvent(event=name, data=data))
    return reader.answer()


def test_text_calls_sources_and_figures_are_read():
    answer = read(
        RUN,
        ("tool", CALL | {"status": "start", "args": {"timezone": "Asia/Tokyo"}}),
        ("tool", CALL | {"status": "end", "latency_ms": 250, "result_preview": "12:00"}),
        ("token", {"text": "It is "}),
        ("token", {"text": "noon."}),
        ("sources", [{"title": "T", "filename": "t.md", "label": "a", "cited": True}]),
        DONE,
    )
    assert answer.content == "It is noon."
    assert answer.calls == (
        CalledTool(
            name="datetime.now", arguments={"timezone": "Asia/Tokyo"}, seconds=0.25, result="12:00"
        ),
    )
    assert [(each.filename, each.cited) for each in answer.sources] == [("t.md", True)]
    assert answer.unknown_citations == ("zz",)
    assert (answer.first_token_seconds, answer.seconds) == (1.0, 2.0)
    assert (answer.steps, answer.tokens_in, answer.tokens_out) == (2, 30, 5)
    assert (answer.run_ids, answer.session_id) == (("r1",), "s1")


def test_a_run_that_another_process_took_over_has_the_text_that_stands():
    again = ("run", {"run_id": "r1", "session_id": "s1", "attempt": 2, "content": "It is "})
    answer = read(RUN, ("token", {"text": "It is void"}), again, ("token", {"text": "noon."}), DONE)
    assert answer.content == "It is noon."


def test_a_run_that_failed_is_no_answer():
    error = ("error", {"code": "MODEL_UNAVAILABLE", "message": "the model is away."})
    with pytest.raises(RunFailed, match="the model is away") as failure:
        read(RUN, error, ("done", {"metadata": {"status": "error"}}))
    assert failure.value.code == "MODEL_UNAVAILABLE"


def test_a_call_that_waits_for_a_person_is_told_as_asked():
    asked = {"approval_id": "a1", "tool": "mail.send", "args": {"to": "x"}, "reason": "rule"}
    waiting = ("done", {"metadata": {"status": "awaiting_approval"}})
    [call] = read(RUN, ("approval", asked), waiting).calls
    assert (call.name, call.arguments, call.status) == ("mail.send", {"to": "x"}, "asked")


def test_a_call_whose_end_was_not_told_is_open():
    [call] = read(RUN, ("tool", CALL | {"status": "start", "args": {}}), DONE).calls
    assert call.status == "open"


def test_a_conversation_has_the_calls_and_costs_of_all_its_turns():
    first = Answer(content="one", seconds=1.0, tokens_in=3, steps=1, run_ids=("r1",))
    second = Answer(content="two", seconds=2.0, tokens_in=4, steps=2, run_ids=("r2",))
    whole = second.after(first)
    assert (whole.content, whole.seconds, whole.tokens_in, whole.steps) == ("two", 3.0, 7, 3)
    assert whole.run_ids == ("r1", "r2")


def test_an_answer_survives_being_written_down():
    answer = read(RUN, ("tool", CALL | {"status": "start", "args": {"n": 1}}), DONE)
    assert load_answer(dump_answer(answer)) == answer
