"""What earlier attempts at a run have left in the database, for the one that goes on with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from graph.approvals import Decision
from graph.events import QuestionStatus
from persistence.question_records import Question
from persistence.repositories.run_events import RunHistory
from persistence.run_records import Run, ToolRun
from persistence.unit_of_work import UnitOfWork
from server.runs.asking import decided

PAUSES = "pauses"
"""The fact with which an attempt begins: how often the run had waited for a person by then."""


@dataclass(frozen=True, kw_only=True)
class RunPast:
    """Everything that is known of the attempts before this one."""

    run: Run
    """As it was claimed; what it has cost is from the last time that it began to wait for a person.
    """
    history: RunHistory = field(repr=False)
    tool_runs: tuple[ToolRun, ...] = field(default=(), repr=False)
    decisions: Mapping[str, Decision] = field(default_factory=dict, repr=False)
    """What people said, by the requests' ids."""
    questions: tuple[Question, ...] = field(default=(), repr=False)
    """What tools' servers asked; all of it is over."""

    @property
    def question_statuses(self) -> Mapping[str, QuestionStatus]:
        """How the questions ended, by their ids."""
        return {str(each.id): each.status for each in self.questions if each.status != "open"}

    @property
    def asked_seconds(self) -> float:
        """How long somebody was being asked, however many questions there were at once.

        Of a process that has died, a question stays open until that is noticed: what comes after
        the last sign of life, or after the question's own time, is no work either.
        """
        seconds, reached = 0.0, datetime.min.replace(tzinfo=UTC)
        for each in sorted(self.questions, key=lambda each: each.created_at):
            begin, end = max(each.created_at, reached), self._end_of(each)
            seconds += max(0.0, (end - begin).total_seconds())
            reached = max(reached, end)
        return seconds

    def _end_of(self, question: Question) -> datetime:
        ended = min(question.answered_at or question.created_at, question.expires_at)
        return ended if self.run.worked_until is None else min(ended, self.run.worked_until)

    @property
    def sampling_calls(self) -> list[dict[str, Any]]:
        """What the run's model was asked by tools' servers."""
        calls = (fact["call"] for fact in self.history.usage if "call" in fact)
        return [call for call in calls if call["purpose"] == "sampling"]

    @property
    def last_id(self) -> int:
        """The number of the last event."""
        return self.history.last_id

    @property
    def pauses(self) -> int:
        """How often the run has waited for a person."""
        return sum(name == "done" for _, name, _ in self.history.events)

    @property
    def latest_facts(self) -> list[dict[str, Any]]:
        """What was noted beside the events since the figures of `run` were written."""
        if not self.pauses:
            return self.history.usage
        for place, fact in enumerate(self.history.usage):
            if fact.get(PAUSES) == self.pauses:
                return self.history.usage[place:]
        return []

    @property
    def tool_started(self) -> dict[str, datetime]:
        """When tool calls began, as far as that is known."""
        noted = {
            fact["call_id"]: datetime.fromisoformat(fact["started_at"])
            for fact in self.history.usage
            if "call_id" in fact
        }
        return noted | {each.call_id: each.started_at for each in self.tool_runs}

    def events(self) -> list[tuple[str, Any]]:
        """The events, read from their JSON."""
        return [(name, orjson.loads(data)) for _, name, data in self.history.events]


async def read_past(uow: UnitOfWork, run: Run) -> RunPast:
    """Reads what there is of a run that was begun before, and closes what it had asked.

    Who asked waits no more: the calls of an attempt end with it.
    """
    questions = await uow.questions.of_runs([run.id])
    if any(each.status == "open" for each in questions):
        await uow.questions.cancel_of_run(run.id)
        questions = await uow.questions.of_runs([run.id])
    return RunPast(
        run=run,
        history=await uow.run_events.history(run.id),
        tool_runs=tuple(await uow.tool_runs.of_runs([run.id])),
        decisions=await decided(uow, run.id),
        questions=tuple(questions),
    )
