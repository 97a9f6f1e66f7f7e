"""What a run that goes on keeps of what was shown before."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest

from graph.context import AgentContext
from graph.events import (
    Log,
    QuestionClosed,
    QuestionOpened,
    Reasoning,
    Resumed,
    Token,
    ToolCall,
    ToolProgress,
)
from persistence.access import AccessScope
from persistence.account_records import User
from persistence.repositories.run_events import RunHistory
from persistence.run_records import Run, RunClaim, RunInput
from server.runs.past import RunPast
from server.runs.progress import RunProgress
from server.runs.run import RunRequest
from server.runs.stream import RunStream
from server.security.principal import Origin, Principal

RUN = UUID(int=7)
NOW = datetime(2024, 1, 1, tzinfo=UTC)
AGAIN = {"run_id": str(RUN), "session_id": "s", "attempt": 2}


class Attempt:
    """The second attempt at a run of which these events were stored."""

    def __init__(self, *stored: tuple[str, dict[str, Any]]) -> None:
        first = ("run", {"run_id": str(RUN), "session_id": "s"})
        events = [
            (number, name, orjson.dumps(data))
            for number, (name, data) in enumerate((first, *stored), start=1)
        ]
        run = Run(
            id=RUN, session_row_id=1, user_id=1, model="m", status="running", error_code=None,
            iterations=0, tool_calls=0, tokens_in=0, tokens_out=0, started_at=NOW,
            finished_at=None, attempt=2,
        )  # fmt: skip
        user = User(id=1, username="ada", is_root=False, is_active=True, created_at=NOW)
        request = RunRequest(
            claim=RunClaim(run_id=RUN, attempt=2, owner="b"),
            session_row_id=1,
            input=RunInput(session_id="s", thread_id=RUN, text="Why?"),
            model="m",
            context=AgentContext(),
            principal=Principal(user=user, scope=AccessScope(user_id=1, is_root=False)),
            origin=Origin(ip=None, user_agent=None, correlation_id=""),
            past=RunPast(run=run, history=RunHistory(events=events, usage=[])),
        )
        self._begins_after = len(events)
        self._stream = RunStream(len(events))
        self.progress = RunProgress(request, self._stream)

    def shown(self) -> list[tuple[str, Any]]:
        """What this attempt has added to the events."""
        batch = self._stream.cut(RUN, 2)
        if batch is not None:
            self._stream.confirm(batch)
        events = self._stream.read(self._begins_after)
        return [(name, orjson.loads(data)) for _, name, data in events]

    def kept(self) -> tuple[str, str | None]:
        outcome = self.progress.outcome("success")
        return outcome.content, outcome.reasoning


def test_half_a_thought_is_void_when_it_is_thought_anew():
    attempt = Attempt(("reasoning", {"text": "Half a "}))
    attempt.progress.take(Resumed(content=""))
    attempt.progress.take(Reasoning(text="A whole thought."))
    attempt.progress.take(Token(text="So."))

    assert attempt.kept() == ("So.", "A whole thought.")
    assert attempt.shown()[0] == ("run", AGAIN | {"content": ""})


def test_thoughts_that_stand_are_said_beside_the_words_that_do():
    attempt = Attempt(
        ("reasoning", {"text": "First. "}),
        ("token", {"text": "One."}),
        ("reasoning", {"text": "Half a "}),
    )
    attempt.progress.take(Resumed(content="One.", reasoning="First. "))
    attempt.progress.take(Reasoning(text="Second."))

    assert attempt.kept() == ("One.", "First. Second.")
    assert attempt.shown()[0] == ("run", AGAIN | {"content": "One.", "reasoning": "First. "})


def test_where_nothing_is_void_nothing_is_said_of_it():
    attempt = Attempt(("reasoning", {"text": "First. "}), ("token", {"text": "One."}))
    attempt.progress.take(Resumed(content="One.", reasoning="First. "))

    assert attempt.shown() == []
    assert attempt.kept() == ("One.", "First. ")


@pytest.mark.parametrize(("stands", "kept"), [({"reasoning": "First. "}, "First. "), ({}, None)])
def test_what_an_earlier_attempt_took_back_stays_void(stands: dict[str, Any], kept: str | None):
    attempt = Attempt(
        ("reasoning", {"text": "First. Half a "}),
        ("run", AGAIN | {"content": "One."} | stands),
    )

    assert attempt.kept() == ("One.", kept)


OPENED = QuestionOpened(
    question_id="q",
    call_id="1",
    tool="odd.tool",
    kind="url",
    message="Sign.",
    url="https://example.org",
    expires_at=NOW,
)
SHOWN = {
    "question_id": "q",
    "call_id": "1",
    "tool": "odd.tool",
    "kind": "url",
    "message": "Sign.",
    "url": "https://example.org",
    "status": "open",
    "expires_at": NOW.isoformat(),
}


def test_progress_and_logs_of_a_call_are_shown_and_are_no_calls():
    attempt = Attempt()
    call: dict[str, Any] = {"tool": "odd.tool", "call_id": "1"}
    attempt.progress.take(ToolCall(**call, status="start", args={}))
    attempt.progress.take(ToolProgress(**call, progress=1, total=2, message="half"))
    attempt.progress.take(ToolProgress(**call, progress=2))
    attempt.progress.take(Log(**call, level="info", message="well"))
    attempt.progress.take(Log(level="info", message="ours"))
    attempt.progress.take(ToolCall(**call, status="end", args={}, latency_ms=1, result="r"))

    shown = attempt.shown()
    assert shown[1:5] == [
        ("tool", {**call, "status": "progress", "progress": 1, "total": 2, "message": "half"}),
        ("tool", {**call, "status": "progress", "progress": 2}),
        ("log", {"level": "info", "message": "well", **call}),
        ("log", {"level": "info", "message": "ours"}),
    ]
    outcome = attempt.progress.outcome("success")
    assert (outcome.tool_calls, len(outcome.tools)) == (1, 1)


def test_an_attempt_that_goes_on_takes_progress_for_no_call():
    call = {"tool": "odd.tool", "call_id": "1"}
    attempt = Attempt(
        ("tool", {**call, "status": "start", "args": {}}),
        ("tool", {**call, "status": "progress", "progress": 1}),
        ("tool", {**call, "status": "end", "latency_ms": 1, "result_preview": "r"}),
    )

    outcome = attempt.progress.outcome("success")
    assert (outcome.tool_calls, [each.status for each in outcome.tools]) == (1, ["end"])


def test_a_question_is_shown_and_so_is_its_end_and_what_is_open_is_known():
    attempt = Attempt()
    attempt.progress.take(OPENED)
    assert attempt.progress.outcome("cancelled").open_questions == ("q",)
    attempt.progress.take(QuestionClosed(question_id="q", status="declined"))
    attempt.progress.take(QuestionClosed(question_id="q", status="cancelled"))

    assert attempt.progress.outcome("success").open_questions == ()
    assert attempt.shown() == [
        ("question", SHOWN),
        ("question", {"question_id": "q", "status": "declined"}),
    ]


def test_what_an_attempt_that_died_had_asked_is_closed_by_the_next_one():
    attempt = Attempt(
        ("question", SHOWN | {"question_id": "answered"}),
        ("question", {"question_id": "answered", "status": "accepted"}),
        ("question", SHOWN),
    )

    assert attempt.shown() == [("question", {"question_id": "q", "status": "cancelled"})]
    assert attempt.progress.outcome("success").open_questions == ()
