"""What of a run is seen in a terminal."""

import io
import json

import pytest
from rich.console import Console

from server.cli.answer_view import AnswerView, plain
from server.cli.events import ServerSentEvent


def test_an_answer_that_goes_on_elsewhere_says_so_and_what_stands():
    out = io.StringIO()
    view = AnswerView(Console(file=out, width=100))
    view.show(ServerSentEvent(event="token", data={"text": "It is"}))
    again = {"run_id": "r", "session_id": "s", "attempt": 2, "content": "It [was]"}
    view.show(ServerSentEvent(event="run", data=again))
    view.show(ServerSentEvent(event="token", data={"text": " noon."}))
    view.show(ServerSentEvent(event="done", data={}))
    assert out.getvalue().splitlines() == [
        "It is",
        "The server was interrupted; the answer goes on from here:",
        "It [was] noon.",
    ]


def test_thoughts_that_stand_are_shown_before_the_words_that_do():
    out = io.StringIO()
    view = AnswerView(Console(file=out, width=100))
    again = {"run_id": "r", "session_id": "s", "attempt": 2, "content": "So", "reasoning": "[Hm] "}
    view.show(ServerSentEvent(event="run", data=again))
    view.show(ServerSentEvent(event="done", data={}))
    assert out.getvalue().splitlines()[1:] == ["[Hm] So"]


@pytest.mark.parametrize("hidden", ["\x1b[2K", "\u202e", "\x9b", "\u200b", "\r", "\U000e0041"])
def test_what_does_not_show_is_written_out(hidden: str):
    shown = plain({"path": f"a{hidden}b"})
    assert shown.isprintable()
    assert json.loads(shown) == {"path": f"a{hidden}b"}


def test_what_shows_stays_as_it_is():
    assert plain({"città": "日本 😀"}) == '{"città": "日本 😀"}'


def test_progress_and_what_a_server_logs_name_their_tool():
    out = io.StringIO()
    view = AnswerView(Console(file=out, width=100))
    call = {"tool": "odd.tool", "call_id": "1", "status": "progress"}
    view.show(ServerSentEvent(event="tool", data={**call, "progress": 1.0, "total": 4.0}))
    view.show(ServerSentEvent(event="tool", data={**call, "progress": 2.5, "message": "[half]"}))
    log = {"level": "info", "message": "[hm]", "tool": "odd.tool", "call_id": "1"}
    view.show(ServerSentEvent(event="log", data=log))
    assert out.getvalue().splitlines() == [
        "… odd.tool 1 of 4",
        "… odd.tool 2.5 [half]",
        "odd.tool: [hm]",
    ]


def test_what_a_tool_has_brought_beside_text_is_named_with_its_address():
    out = io.StringIO()
    view = AnswerView(Console(file=out, width=100))
    end = {"tool": "s.draw", "status": "end", "latency_ms": 5, "result_preview": "Here:"}
    brought = {"contents": [{"kind": "image", "url": "/v1/tool-contents/1"}]}
    view.show(ServerSentEvent(event="tool", data=end | brought))
    assert out.getvalue() == "← s.draw 5 ms Here: image: /v1/tool-contents/1\n"
