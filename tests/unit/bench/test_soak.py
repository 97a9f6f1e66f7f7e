"""The checks of the soak see what they are there to see."""

import json

import pytest

from bench.soak.asked import Asked, Decision
from bench.soak.checks import check_ledger, check_transcripts
from bench.soak.script import MOST_TOOL_TURNS, SIGN, WRITE, script_for
from bench.soak.transcript import Event, FrameReader, Transcript


def asked(*events: tuple[str, object]) -> Asked:
    question = Asked(text="q", session_id="s", run_id="r")
    for number, (name, content) in enumerate(events, 1):
        question.transcript.take(Event(number=number, name=name, data=json.dumps(content).encode()))
    return question


def done(status: str = "success") -> tuple[str, object]:
    return "done", {"metadata": {"status": status}}


def started(tool: str, note: str) -> tuple[str, object]:
    return "tool", {"tool": tool, "call_id": note, "status": "start", "args": {"note": note}}


def ended(tool: str, note: str) -> tuple[str, object]:
    return "tool", {"tool": tool, "call_id": note, "status": "end"}


def lines(tmp_path, *notes: str):
    path = tmp_path / "ledger"
    path.write_text("".join(json.dumps(["write", note]) + "\n" for note in notes))
    return path


def test_frames_are_read_wherever_they_are_cut():
    wire = b': heartbeat\n\nid: 1\nevent: run\ndata: {}\n\nevent: error\ndata: {"a": 1}\n\n'
    for cut in range(len(wire)):
        reader = FrameReader()
        events = [*reader.feed(wire[:cut]), *reader.feed(wire[cut:])]
        assert [(e.number, e.name, e.data) for e in events] == [
            (1, "run", b"{}"),
            (0, "error", b'{"a": 1}'),
        ]


@pytest.mark.parametrize("number", [1, 3])
def test_an_event_twice_or_a_gap_is_a_fault(number):
    transcript = Transcript()
    transcript.take(Event(number=1, name="run", data=b"{}"))
    transcript.take(Event(number=number, name="token", data=b"{}"))
    assert transcript.faults == [f"event {number} came after event 1"]


def test_text_that_a_takeover_declares_void_is_not_part_of_the_answer():
    question = asked(
        ("run", {"run_id": "r"}),
        ("token", {"text": "one "}),
        ("token", {"text": "lost "}),
        ("run", {"run_id": "r", "attempt": 2, "content": "one "}),
        ("token", {"text": "two"}),
        done(),
    )
    assert question.transcript.answer() == "one two"
    assert [*check_transcripts([question])] == []


def test_a_run_without_an_end_or_with_a_failed_one_is_a_fault():
    assert len([*check_transcripts([asked(("run", {}))])]) == 1
    assert len([*check_transcripts([asked(("run", {}), done("error"))])]) == 1


def test_only_the_approvals_of_the_last_pause_are_pending():
    approval = ("approval", {"approval_id": "1"}), ("approval", {"approval_id": "2"})
    question = asked(approval[0], done("awaiting_approval"), approval[1], done("awaiting_approval"))
    assert [each["approval_id"] for each in question.transcript.pending()] == ["2"]


def test_an_unsafe_call_made_twice_is_a_fault_unless_it_was_allowed_again(tmp_path):
    question = asked(started(WRITE, "n"), ended(WRITE, "n"))
    assert [*check_ledger(lines(tmp_path, "n"), [question])] == []
    twice = lines(tmp_path, "n", "n")
    assert len([*check_ledger(twice, [question])]) == 1
    question.decisions["a"] = Decision(tool=WRITE, note="n", cause="interrupted", decision="allow")
    assert [*check_ledger(twice, [question])] == []


def test_a_call_that_needs_an_approval_is_made_once_for_it_however_often_it_was_asked(tmp_path):
    question = asked(started(SIGN, "n"), ended(SIGN, "n"))
    assert len([*check_ledger(lines(tmp_path, "n"), [question])]) == 1
    for approval in "ab":
        question.decisions[approval] = Decision(
            tool=SIGN, note="n", cause="policy", decision="allow"
        )
    assert [*check_ledger(lines(tmp_path, "n"), [question])] == []
    assert len([*check_ledger(lines(tmp_path, "n", "n"), [question])]) == 1


def test_a_call_that_nobody_was_told_of_or_that_never_was_made_is_a_fault(tmp_path):
    assert len([*check_ledger(lines(tmp_path, "n"), [asked()])]) == 1
    question = asked(started(WRITE, "n"), ended(WRITE, "n"))
    assert len([*check_ledger(lines(tmp_path), [question])]) == 1


def test_scripts_are_the_same_for_everybody_and_end_with_an_answer():
    for number in range(50):
        script = script_for(f"c/{number}")
        assert script == script_for(f"c/{number}")
        assert len(script) <= MOST_TOOL_TURNS + 1
        assert not script[-1].calls
        assert script[-1].words
